/**
 * Runs that this command line accepted, and works on itself: until they have ended, or wait for a person
 * or an event. Waits that end by themselves are waited out.
 *
 * They are runs like any other: where a worker has the graph, it may be faster, and one that was left is
 * gone on with by whoever comes first.
 */

import { anySignal } from "../abort.ts";
import { events } from "../events.ts";
import { readLevel, errorsOf } from "../run/tasks.ts";
import { standing } from "../run/standing.ts";
import type { StoredRun } from "../run-store.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { isSettled } from "../turns.ts";
import type { Cli } from "./cli.ts";
import type { Saver } from "./database.ts";
import type { Outcome } from "./drive.ts";
import { instant } from "./format.ts";
import type { Graph } from "./graph.ts";
import { Progress } from "./progress.ts";
import { LOOK_AGAIN, mustReadRun, queueOf } from "./runs.ts";
import { harmless } from "./text.ts";

/** So many looks at a run that is not at work here go by before it is said why. */
const PATIENCE = 3;

export interface Attended {
  saver: Saver;
  graph: Graph;
  /** With the graph, and without a worker of its own. */
  runtime: Runtime;
  threadId: string;
  runId: string;
  /** Runs of the thread that are to be ended before. */
  before?: readonly string[];
}

export async function attend(cli: Cli, attended: Attended): Promise<Outcome> {
  const { io, out } = cli;
  const { runtime, threadId, runId, before = [] } = attended;
  const progress = new Progress(io, out);
  const worker = runtime.worker({
    runs: [...before, runId].map((id) => ({ runId: id, threadId })),
    ...{ concurrency: 1, pollInterval: LOOK_AGAIN },
    onTasks: (of, chunk) => {
      if (of === runId) progress.show(chunk);
    },
  });
  out.note(`${out.notePaint.bold("thread")} ${harmless(threadId)}`);
  try {
    await worker.start();
    const run = await stopping(cli, attended, () => worker.runs.includes(runId));
    if (run !== undefined) return await outcomeOf(attended, run);
    await worker.stop();
    // It may have ended at that very moment.
    const left = await mustReadRun(queueOf(attended.saver), runId);
    if (isSettled(left)) return await outcomeOf(attended, left);
    return { status: "aborted", ...(left.status === "running" && { goesOn: runId }) };
  } finally {
    await worker.stop();
    await runtime.close();
  }
}

/** Until it stops by itself. @returns undefined where Ctrl-C was faster */
async function stopping(
  { io, out }: Cli,
  { saver, runId }: Attended,
  isOurs: () => boolean,
): Promise<StoredRun | undefined> {
  let said = "";
  for (let looks = 0; ; looks += 1) {
    const left = new AbortController();
    const unlisten = events.on("run.left", (event) => {
      if (event.runId === runId) left.abort(new Error("left"));
    });
    try {
      const run = await mustReadRun(queueOf(saver), runId);
      if (isSettled(run) || (run.status === "parked" && run.startAt === undefined)) return run;
      if (io.signal.aborted) return undefined;
      const note = isOurs() || looks < PATIENCE ? "" : noteOf(run);
      if (note !== "" && note !== said) out.note(out.notePaint.dim(note));
      said = note;
      await saver.steps.clock
        .sleep(LOOK_AGAIN, anySignal(io.signal, left.signal))
        .catch(() => undefined);
    } finally {
      unlisten();
    }
  }
}

/** Why it is not at work here. */
function noteOf({ status, startAt, reason }: StoredRun): string {
  switch (status) {
    case "parked":
      return `parked  until ${instant(startAt ?? 0)}: ${harmless(reason ?? "")}`;
    case "queued":
      return "queued  waits for its turn on the thread";
    default:
      return `${status}  by a worker`;
  }
}

async function outcomeOf(
  { saver, graph, threadId }: Attended,
  { runId, status, reason, end }: StoredRun,
): Promise<Outcome> {
  const level = await readLevel(graph, saver, threadId);
  if (status === "completed") return { status: "done" };
  if (status === "parked" || status === "interrupted") {
    const stands = level && (await standing(level, saver, threadId));
    if (stands?.status === "waiting" || stands?.status === "parked") return stands;
  }
  const why = reason === undefined ? "" : `: ${reason}`;
  const said = { name: "Error", message: `Run "${runId}" is ${status}${why}` };
  const { name, message } = end?.error ?? said;
  return {
    status: "failed",
    error: Object.assign(new Error(message), { name }),
    failures: level === undefined || status !== "failed" ? [] : errorsOf(level),
  };
}
