import type { Command } from "commander";
import { configFor } from "../../../history/address.ts";
import { resolveSource } from "../../../history/source.ts";
import { StateReader } from "../../../history/state.ts";
import { standing } from "../../../run/standing.ts";
import { readLevel } from "../../../run/tasks.ts";
import type { StoredRun } from "../../../run-store.ts";
import { infoOf } from "../../../runtime/info.ts";
import type { Act, Cli } from "../../cli.ts";
import type { Saver } from "../../database.ts";
import { describeError } from "../../exit.ts";
import { count, instant } from "../../format.ts";
import type { Graph } from "../../graph.ts";
import { findRun } from "../../lookup.ts";
import { questionJson, sayWaiting } from "../../report.ts";
import { exitAs, follow, queueOf, statusOf } from "../../runs.ts";
import { isSettled } from "../../../turns.ts";
import { harmless } from "../../text.ts";
import { valueLines } from "../../values.ts";

export function addWait(runs: Command, act: Act): void {
  runs
    .command("wait")
    .description("Waits until a run has ended or a person is asked, and shows its state.")
    .argument("<run>", "its id, or a unique beginning of it")
    .addHelpText(
      "after",
      `
Example:
  holdfast runs wait 4be1 -o json | jq .values

Exit codes: 0 completed, 1 failed, cancelled or dead, 3 not found, 5 waiting for a person.`,
    )
    .action((run: string) =>
      act(async (cli) => waitFor(cli, await findRun(queueOf(await cli.saver()), run))),
    );
}

/** @throws {Exit} it did not complete */
export async function waitFor(cli: Cli, runId: string): Promise<void> {
  const saver = await cli.saver();
  const run = await settled(cli, saver, runId);
  const graph = await graphOf(cli, run, saver);
  const values = await valuesOf(run, graph, saver);
  const level =
    run.status === "interrupted" && graph !== undefined
      ? await readLevel(graph, saver, run.threadId)
      : undefined;
  const stands = level === undefined ? undefined : await standing(level, saver, run.threadId);
  const waiting = stands?.status === "waiting" ? stands : undefined;
  cli.out.one(
    {
      ...infoOf(run),
      ...run.end,
      ...(waiting && { gates: waiting.gates, questions: waiting.questions.map(questionJson) }),
      values,
    },
    () => (values === undefined ? [] : valueLines(values, cli.out.paint)),
  );
  if (waiting !== undefined) sayWaiting(cli, run.threadId, waiting);
  else sayEnd(cli, run);
  exitAs(run);
}

/** Says on the way how it stands. */
async function settled(cli: Cli, saver: Saver, runId: string): Promise<StoredRun> {
  const { out } = cli;
  let last = "";
  return follow(cli, saver, runId, (run) => {
    if (isSettled(run)) return;
    const parked = run.status === "parked" && run.startAt !== undefined;
    const until = parked ? `  until ${instant(run.startAt ?? 0)}: ${run.reason ?? ""}` : "";
    const line = `${statusOf(infoOf(run))}${harmless(until)}`;
    if (line !== last) out.note(out.notePaint.dim(`${line}  run ${harmless(runId)}`));
    last = line;
  });
}

/** Its state shows without the graph, too. */
async function graphOf(cli: Cli, run: StoredRun, saver: Saver): Promise<Graph | undefined> {
  const named = cli.options.graph;
  try {
    return await cli.openGraph(await cli.findGraph(named ?? run.graph), saver);
  } catch (error) {
    if (named !== undefined) throw error;
    cli.out.note(cli.out.notePaint.dim(`Read without the graph: ${describeError(error)}`));
    return undefined;
  }
}

/** What it ended with; undefined where it never began, or its checkpoints are gone. */
async function valuesOf(
  { threadId, status, end }: StoredRun,
  graph: Graph | undefined,
  saver: Saver,
): Promise<unknown> {
  if (status !== "interrupted" && end?.checkpointId === undefined) return undefined;
  const tuple = await saver.getTuple(configFor(threadId, "", end?.checkpointId));
  if (tuple === undefined) return undefined;
  return (await new StateReader(resolveSource(graph ?? saver)).read(tuple)).values;
}

function sayEnd(cli: Cli, { runId, threadId, status, reason, end }: StoredRun): void {
  const { out } = cli;
  const name = `run ${harmless(runId)}`;
  const why = reason === undefined ? "" : `: ${harmless(reason)}`;
  switch (status) {
    case "completed":
      return out.note(`${out.notePaint.green("completed")}  ${name}`);
    case "interrupted":
      return out.note(`${out.notePaint.yellow("waiting")}  ${name}${why}`);
    default:
      out.error(`Run "${runId}" ${status === "failed" ? "failed" : `is ${status}`}${why}`);
  }
  const { undone = [], stuck = [] } = end ?? {};
  if (undone.length > 0) out.note(`Undone: ${undone.map(harmless).join(", ")}`);
  if (stuck.length > 0) {
    const words = cli.again("stuck", "ls", "--thread", threadId);
    out.note(`${count(stuck.length, "effect")} stuck: ${words}`);
  }
  out.note(
    `Let it go on with: ${cli.again("runs", status === "dead" ? "revive" : "retry", runId)}`,
  );
}
