import { Option, type Command } from "commander";
import type { ForkEffects } from "../../../effect-store.ts";
import { InvalidInputError } from "../../../errors.ts";
import { findCheckpoint } from "../../../history/find.ts";
import { fork } from "../../../history/fork.ts";
import type { Act, Cli } from "../../cli.ts";
import { Exit, EXIT } from "../../exit.ts";
import { underLease } from "../../drive.ts";
import { goOn, mustRead } from "../../go-on.ts";
import { giveWay, mustBeOurs } from "../../hand-over.ts";
import { readJson } from "../../input.ts";
import { findThread } from "../../lookup.ts";
import { report } from "../../report.ts";
import { harmless } from "../../text.ts";

interface Options {
  checkpoint: string;
  update?: string;
  asNode?: string;
  namespace?: string;
  effects?: ForkEffects;
  run?: boolean;
}

export function addFork(threads: Command, act: Act): void {
  threads
    .command("fork")
    .description(
      "Begins a new branch at an earlier checkpoint, and makes it the thread's head. All other " +
        "branches stay as they are.",
    )
    .argument("<thread>", "its id, or a unique beginning of it")
    .requiredOption("--checkpoint <id>", "where to begin: a checkpoint's id, or a beginning of it")
    .option("--update <json>", "what the branch begins with: JSON, @file or -; reducers apply")
    .option("--as-node <node>", "the node that the update counts as written by")
    .option("--namespace <ns>", "a subgraph's checkpoint namespace", "")
    .addOption(
      new Option("--effects <what>", "what becomes of recorded effects; compensate undoes them")
        .choices(["reuse", "redo", "compensate", "ask"])
        .default("reuse"),
    )
    .option("--run", "go on from there at once; stays at a gate")
    .addHelpText(
      "after",
      `
Examples:
  holdfast threads fork order-42 --checkpoint 1f0a4c2e-3b1a-6f2c
  holdfast threads fork order-42 --checkpoint 1f0a4c2e-3b1a-6f2c --update '{"total": 12}' --run`,
    )
    .action((thread: string, options: Options) => act((cli) => begin(cli, thread, options)));
}

async function begin(cli: Cli, thread: string, options: Options): Promise<void> {
  const { io, out } = cli;
  const { update, asNode, namespace = "", effects = "reuse" } = options;
  const value = update === undefined ? undefined : await readJson(update, "--update", io);
  if (value === null) throw new InvalidInputError("--update: null changes nothing; leave it out.");
  const saver = await cli.saver();
  const threadId = await findThread(saver, thread);
  const { checkpointId } = await findCheckpoint(saver, threadId, options.checkpoint, { namespace });
  const source = await cli.graphOf(threadId, undefined, saver);
  const graph = await cli.openGraph(source, saver);
  if (options.run === true) {
    await mustBeOurs(cli, saver, threadId);
    await underLease({ saver, threadId, io }, () => Promise.resolve());
  }
  const branch = await fork(graph, threadId, {
    checkpointId,
    namespace,
    effects,
    ...(value === undefined ? {} : { update: value }),
    ...(asNode === undefined ? {} : { asNode }),
  });
  const { forkedFrom, compensation } = branch;
  for (const name of compensation?.undone ?? []) out.note(`undone ${harmless(name)}`);
  for (const name of compensation?.stuck ?? []) {
    out.note(`stuck ${harmless(name)}: see ${cli.again("stuck", "ls")}`);
  }
  if (options.run !== true) {
    const { checkpointId: id, namespace: ns } = branch;
    out.one(
      {
        threadId,
        checkpointId: id,
        namespace: ns,
        forkedFrom,
        ...(compensation && { compensation }),
      },
      () => [`${id}  forked from ${forkedFrom.checkpointId}`],
    );
    out.note(
      `Thread ${harmless(threadId)} goes on from there with: ${cli.again("resume", threadId)}`,
    );
    return;
  }
  out.note(`forked at ${branch.checkpointId}`);
  await giveWay(cli, { graph, saver, threadId });
  const outcome = await underLease({ saver, threadId, io }, async (_, lease) => {
    const level = await mustRead({ graph, saver, threadId });
    const graphName = source.name;
    const at = {
      ...{ io, out, graph, graphName, saver, threadId, level, lease },
      ...{ configurable: {}, recursionLimit: undefined },
    };
    return goOn(at, level, { approved: false, answer: undefined });
  });
  const code = await report(cli, graph, threadId, outcome);
  if (code !== EXIT.ok) throw new Exit(code);
}
