/** One LangGraph run from the command line: streamed, always in durability "sync", and judged. */

import { withoutStaleResume } from "../run/answers.ts";
import type { Saver } from "./database.ts";
import type { Graph } from "./graph.ts";
import { anySignal } from "../abort.ts";
import { withSaver } from "../run/graph.ts";
import type { Gate } from "../run/gate.ts";
import { askAtGates } from "../run/inbox-gates.ts";
import { configFor } from "../history/address.ts";
import { configurableOf, holdLease, type HeldLease } from "../run/lease.ts";
import { isForeign } from "../run/foreign.ts";
import { standing, type Standing } from "../run/standing.ts";
import type { StatusNote } from "../step-store.ts";
import { describeError } from "./exit.ts";
import type { Io } from "./io.ts";
import type { Output } from "./output.ts";
import { Progress } from "./progress.ts";
import { errorsOf, readLevel } from "../run/tasks.ts";
import type { Level } from "../run/tasks.ts";
import { harmless } from "./text.ts";

/** How a run ended, or where the thread stands. */
export type Outcome =
  | Exclude<Standing, { status: "waiting" }>
  /** `at`: an earlier checkpoint that was to be gone on from. */
  | (Extract<Standing, { status: "waiting" }> & { at?: string })
  | { status: "failed"; error: unknown; failures: { node: string; message: string }[] }
  /** `goesOn`: a run that others go on with. */
  | { status: "aborted"; goesOn?: string };

/** How long a thread stays ours after this process was killed on another machine; here it is free at once. */
const LEASE_DURATION = 30_000;

export interface Drive {
  io: Io;
  out: Output;
  graph: Graph;
  /** The name that the thread remembers its graph by. */
  graphName: string;
  saver: Saver;
  threadId: string;
  /** The thread as it was read before; undefined for a new one. */
  level: Level | undefined;
  configurable: Record<string, unknown>;
  recursionLimit: number | undefined;
  /** Under which it is done. */
  lease: HeldLease | undefined;
}

interface DriveOptions {
  /** Goes on from this one, on a new branch, and not from the latest. */
  checkpointId?: string;
  answering?: boolean;
}

/** Runs until the end, a gate, a question or an error. */
export async function drive(
  run: Drive,
  input: unknown,
  options: DriveOptions = {},
): Promise<Outcome> {
  const outcome = await stream(run, input, options);
  if (outcome.status === "failed" && isForeign(outcome.error)) return outcome;
  const { status } = run.saver.steps;
  status.note(run.threadId, noteOf(outcome));
  await status.flush();
  return outcome;
}

async function stream(run: Drive, input: unknown, options: DriveOptions): Promise<Outcome> {
  const { io, out, saver, threadId, level, graphName, recursionLimit, lease } = run;
  const view =
    level === undefined ? saver : withoutStaleResume(saver, level, options.answering === true);
  const progress = new Progress(io, out);
  out.note(`${out.notePaint.bold("thread")} ${harmless(threadId)}`);
  const { status } = saver.steps;
  status.note(threadId, { status: "running", workflowName: graphName, errorMessage: undefined });
  try {
    const chunks = await withSaver(run.graph, view).stream(input, {
      configurable: {
        ...run.configurable,
        thread_id: threadId,
        // Even an undefined one would make LangGraph repeat finished siblings.
        ...(options.checkpointId === undefined ? {} : { checkpoint_id: options.checkpointId }),
        ...(lease === undefined ? {} : configurableOf(lease)),
      },
      metadata: { graph_id: graphName },
      streamMode: ["tasks"],
      subgraphs: true,
      // A finished node is stored before the next one begins: nothing finished is lost (P1).
      durability: "sync",
      signal: anySignal(io.signal, lease?.signal),
      ...(recursionLimit === undefined ? {} : { recursionLimit }),
    });
    for await (const chunk of chunks) progress.show(chunk);
  } catch (error) {
    lease?.signal.throwIfAborted();
    if (io.signal.aborted) return { status: "aborted" };
    const after = await readLevel(run.graph, saver, threadId).catch(() => undefined);
    return { status: "failed", error, failures: after === undefined ? [] : errorsOf(after) };
  }
  const after = await readLevel(run.graph, saver, threadId);
  if (after === undefined) return { status: "done" };
  const stands = await standing(after, saver, threadId);
  if (stands.status === "waiting" && stands.gates.length > 0) await askInInbox(run, stands.gates);
  return stands;
}

/** A gate is a question in the inbox, too. */
async function askInInbox(
  { graph, saver, threadId }: Drive,
  gates: readonly Gate[],
): Promise<void> {
  if (saver.steps.approvals === undefined) return;
  const { values } = await graph.getState(configFor(threadId, ""));
  await askAtGates(saver.steps, saver.steps.approvals, threadId, gates, values);
}

/** The thread is ours while we run it; somebody else's is left alone. */
function leaseOf({ saver, threadId }: Pick<Drive, "saver" | "threadId">) {
  const { leases, clock } = saver.steps;
  return leases === undefined ? undefined : holdLease(leases, clock, threadId, LEASE_DURATION);
}

/** Work on a thread that nobody may run meanwhile. */
export async function underLease<T>(
  { saver, threadId, io }: Pick<Drive, "saver" | "threadId" | "io">,
  work: (signal: AbortSignal, lease: HeldLease | undefined) => Promise<T>,
): Promise<T> {
  const lease = await leaseOf({ saver, threadId });
  try {
    return await work(anySignal(io.signal, lease?.signal) ?? io.signal, lease);
  } finally {
    await lease?.release();
  }
}

/** As `runToEnd` notes it. */
function noteOf(outcome: Outcome): StatusNote {
  switch (outcome.status) {
    case "done":
      return { status: "completed", progressPercent: 100, errorMessage: undefined };
    case "waiting":
      return { status: "interrupted" };
    case "parked":
      return { status: "parked", progressNote: outcome.parks[0]?.reason };
    case "failed":
      return { status: "failed", errorMessage: describeError(outcome.error) };
    case "unfinished":
    case "aborted":
      return { status: "queued" };
  }
}
