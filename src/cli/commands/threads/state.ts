import type { Command } from "commander";
import { configFor, requireTuple } from "../../../history/address.ts";
import { findCheckpoint } from "../../../history/find.ts";
import { resolveSource } from "../../../history/source.ts";
import { StateReader } from "../../../history/state.ts";
import { NotFoundError } from "../../../errors.ts";
import type { Act, Cli } from "../../cli.ts";
import { standing } from "../../../run/standing.ts";
import type { Outcome } from "../../drive.ts";
import { findThread } from "../../lookup.ts";
import { questionJson, sayParked, sayWaiting } from "../../report.ts";
import { tryGraph } from "../../source.ts";
import { errorsOf, readLevel } from "../../../run/tasks.ts";
import type { Level } from "../../../run/tasks.ts";
import { harmless } from "../../text.ts";
import { valueLines } from "../../values.ts";

interface Options {
  checkpoint?: string;
  namespace?: string;
}

export function addState(threads: Command, act: Act): void {
  threads
    .command("state")
    .description("Shows the state of a thread, now or at an earlier checkpoint.")
    .argument("<thread>", "its id, or a unique beginning of it")
    .option("--checkpoint <id>", "a checkpoint's id, or a unique beginning of it")
    .option("--namespace <ns>", "a subgraph's checkpoint namespace", "")
    .addHelpText(
      "after",
      `
Examples:
  holdfast threads state order-42
  holdfast threads state order-42 --checkpoint 1f0a4c2e-3b1a-6f2c -o json | jq .values`,
    )
    .action((thread: string, options: Options) => act((cli) => show(cli, thread, options)));
}

async function show(cli: Cli, thread: string, options: Options): Promise<void> {
  const { out } = cli;
  const namespace = options.namespace ?? "";
  const saver = await cli.saver();
  const threadId = await findThread(saver, thread);
  const tuple =
    options.checkpoint === undefined
      ? await saver.getTuple(configFor(threadId, namespace))
      : await requireTuple(
          saver,
          await findCheckpoint(saver, threadId, options.checkpoint, { namespace }),
        );
  if (tuple === undefined) {
    throw new NotFoundError(`Thread "${threadId}" has no checkpoint in namespace "${namespace}".`);
  }
  const graph = await tryGraph(cli, threadId, saver);
  const { values, next } = await new StateReader(resolveSource(graph ?? saver)).read(tuple);
  // What a thread waits for is a matter of its head.
  const isHead = options.checkpoint === undefined && namespace === "";
  const level =
    graph === undefined || !isHead ? undefined : await readLevel(graph, saver, threadId);
  const stands = level === undefined ? undefined : await standing(level, saver, threadId);
  out.one(
    {
      threadId,
      checkpointId: tuple.checkpoint.id,
      createdAt: tuple.checkpoint.ts,
      ...(stands === undefined || level === undefined ? {} : standingJson(stands, level)),
      next,
      values,
      metadata: tuple.metadata,
    },
    () => valueLines(values, out.paint),
  );
  if (out.forPeople && stands !== undefined && level !== undefined) {
    sayStanding(cli, threadId, stands, level);
  }
}

function standingJson(stands: Outcome, level: Level): Record<string, unknown> {
  const errors = errorsOf(level);
  return {
    status: stands.status,
    ...(stands.status === "waiting"
      ? { gates: stands.gates, questions: stands.questions.map(questionJson) }
      : {}),
    ...(stands.status === "parked" ? { parks: stands.parks } : {}),
    ...(errors.length === 0 ? {} : { errors }),
  };
}

function sayStanding(cli: Cli, threadId: string, stands: Outcome, level: Level): void {
  const { out } = cli;
  for (const { node, message } of errorsOf(level)) {
    out.note(`${out.notePaint.red("failed")}  ${harmless(node)}: ${harmless(message)}`);
  }
  if (stands.status === "waiting") sayWaiting(cli, threadId, stands);
  if (stands.status === "parked") sayParked(cli, threadId, stands.parks);
  if (stands.status === "unfinished") {
    out.note(
      `Not finished: next is ${stands.nodes.map(harmless).join(", ")}. ` +
        `Go on with: ${cli.again("resume", threadId)}`,
    );
  }
}
