import type { Command } from "commander";
import { InvalidInputError } from "../../../errors.ts";
import { history } from "../../../history/history.ts";
import type { HistoryPoint } from "../../../history/point.ts";
import type { StoredRun } from "../../../run-store.ts";
import { infoOf } from "../../../runtime/info.ts";
import { isOver } from "../../../turns.ts";
import type { Act, Cli } from "../../cli.ts";
import type { Saver } from "../../database.ts";
import { instant, when } from "../../format.ts";
import { findRun } from "../../lookup.ts";
import { exitAs, follow, mustReadRun, queueOf, statusOf } from "../../runs.ts";
import { harmless } from "../../text.ts";
import { textOf } from "../../values.ts";
import { tailStream } from "./tail-stream.ts";

export function addTail(runs: Command, act: Act): void {
  runs
    .command("tail")
    .description(
      "Follows a run until it has ended or a person is asked: what it streams, where that is kept " +
        "(`runs start --stream`), and else each superstep that it stores and each change of its status.",
    )
    .argument("<run>", "its id, or a unique beginning of it")
    .option("--after <id>", "of a stream: only what comes behind that event")
    .addHelpText(
      "after",
      `
Examples:
  holdfast runs tail 4be1
  holdfast runs tail 4be1 --after 1.42 -o json
  holdfast runs tail 4be1 -o jsonl | jq -r '.node // empty'

Exit codes: 0 completed, 1 failed, cancelled or dead, 3 not found, 5 waiting for a person.`,
    )
    .action((run: string, { after }: { after?: string }) => act((cli) => tail(cli, run, after)));
}

async function tail(cli: Cli, asked: string, after: string | undefined): Promise<void> {
  const saver = await cli.saver();
  const runId = await findRun(queueOf(saver), asked);
  const stored = await mustReadRun(queueOf(saver), runId);
  if ((stored.details.streamMode ?? []).length > 0) return tailStream(cli, saver, stored, after);
  if (after !== undefined) {
    throw new InvalidInputError(
      `--after: run "${runId}" keeps nothing of its stream. Start one that does with: runs start --stream messages`,
    );
  }
  let known: string | undefined;
  let last = "";
  const run = await follow(cli, saver, runId, async (now) => {
    // The row was read first: what is stored until it changes is of the status before.
    for (const point of await newPoints(saver, now, known)) {
      tellPoint(cli, point);
      known = point.checkpointId;
    }
    const line = statusLine(now);
    if (line !== last) tellStatus(cli, now, line);
    last = line;
  });
  exitAs(run);
}

type Point = HistoryPoint<unknown>;

/**
 * What the run has stored since, oldest first: from its input up to its end, or the thread's newest.
 * @param known the newest checkpoint that was told
 */
async function newPoints(
  saver: Saver,
  run: StoredRun,
  known: string | undefined,
): Promise<Point[]> {
  const { threadId, runId, end } = run;
  if (known === undefined && !(await queueOf(saver).hasBegun(threadId, runId))) return [];
  // What comes after its end is another run's.
  const last = isOver(run) ? end?.checkpointId : "";
  if (last === undefined) return [];
  const points: Point[] = [];
  for await (const point of history<unknown>(saver, threadId, { values: false })) {
    if (point.checkpointId === known) break;
    if (points.length > 0 || last === "" || point.checkpointId === last) points.unshift(point);
    if (points.length > 0 && point.source === "input") break;
  }
  return points;
}

function tellPoint({ out }: Cli, point: Point): void {
  const { checkpointId, step, source, createdAt, node, nodes, changed, branch, interrupts } = point;
  out.event({ checkpointId, step, source, createdAt, nodes, changed, branch, interrupts }, () => {
    const asks = interrupts.map(({ value }) => `asks ${textOf(value)}`);
    const rest = [changed.join(", "), ...asks].filter((text) => text !== "").join("  ");
    const what = node === undefined ? `(${source})` : `${out.paint.green("✓")} ${harmless(node)}`;
    return `${out.paint.dim(when(createdAt))}  ${what}${rest === "" ? "" : `  ${harmless(rest)}`}`;
  });
}

function tellStatus({ io, out }: Cli, run: StoredRun, line: string): void {
  out.event(infoOf(run), () => `${out.paint.dim(instant(io.now()))}  ${out.paint.bold(line)}`);
}

function statusLine(run: StoredRun): string {
  const { status, attempt, startAt, reason } = run;
  const until = status === "parked" && startAt !== undefined ? `  until ${instant(startAt)}` : "";
  const again = status === "running" && attempt > 1 ? `  attempt ${attempt}` : "";
  const why = reason === undefined || status === "running" ? "" : `  ${harmless(reason)}`;
  return `${statusOf(infoOf(run))}${until}${again}${why}`;
}
