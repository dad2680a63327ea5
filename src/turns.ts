/**
 * What may become of accepted runs: pure decisions about a thread, made by turns (run-store.ts).
 *
 *   queued -> running -> completed | failed | cancelled
 *                     -> parked (a time is waited for) | interrupted (a person) | queued (drained) -> running
 *                     -> compensating -> failed | cancelled
 *   running, compensating -> queued, when their worker died; -> dead, when it did so again and again
 *   failed, cancelled, dead -> queued, by `retry`
 *
 * Invariants
 *   T1  Of a thread's runs at most one is at work, and only under the thread's lease.
 *   T2  Runs of a thread go in the order in which they were accepted. One that has begun keeps its turn,
 *       parked or left by its worker; one that waits for a person does not, and a new input takes its place.
 *   T3  Who has lost the lease changes nothing any more.
 *   T4  A run that is to be stopped is never parked or left waiting: a worker takes it, to end it.
 *   T5  No answer is missed: one that comes while the run is at work, and perhaps on its way to wait for
 *       it, leaves `startAt` on its row, and the run is then not left waiting, but looked at once more.
 *   T6  Time that a run waits for a person does not count against its deadline.
 *   T7  What a schedule fired never takes the place of a question: it is not accepted where one is open,
 *       and where one is asked before its turn has come, it has no `startAt` until that is over.
 *   T8  A reason is of the status: what a run waited for is not told of it when it waits no more.
 */

import { InvalidInputError, RunActiveError } from "./errors.ts";
import type {
  Decided,
  MultitaskStrategy,
  RunRecord,
  StopRequest,
  Turn,
  WorkflowState,
} from "./run-store.ts";
import type { Lease } from "./step-store.ts";

const AT_WORK: ReadonlySet<WorkflowState> = new Set(["running", "compensating"]);
const ACTIVE: ReadonlySet<WorkflowState> = new Set(["queued", "running", "parked", "compensating"]);
const OVER: ReadonlySet<WorkflowState> = new Set(["completed", "failed", "cancelled", "dead"]);

export const isOver = ({ status }: Pick<RunRecord, "status">): boolean => OVER.has(status);
/** Nothing more comes by itself: it is over, or a person is asked. */
export const isSettled = (run: Pick<RunRecord, "status">): boolean =>
  isOver(run) || run.status === "interrupted";
const isActive = ({ status }: RunRecord): boolean => ACTIVE.has(status);
export const isAtWork = ({ status }: RunRecord): boolean => AT_WORK.has(status);
const isAsking = ({ status }: RunRecord): boolean => status === "interrupted";
const isWaiting = ({ status }: Pick<RunRecord, "status">): boolean =>
  status === "interrupted" || status === "parked";

export interface Accepted {
  run: RunRecord;
  /** False where a run with this id had been accepted before. */
  isNew: boolean;
  /** Runs that are to be stopped for it. */
  stopped: string[];
  /** True where nothing on its thread comes before it. */
  isFirst: boolean;
}

/** A run as somebody asks for it. */
export type NewRun = Omit<
  RunRecord,
  "seq" | "status" | "enqueuedAt" | "startedAt" | "endedAt" | "waitingSince" | "fingerprint"
>;

/**
 * @throws {RunActiveError} another run is active, and the strategy is "reject"; or a person is asked, and
 *   the run is a schedule's
 */
export function accept(turn: Turn, run: NewRun, strategy: MultitaskStrategy): Decided<Accepted> {
  const known = turn.runs.find(({ runId }) => runId === run.runId);
  if (known !== undefined)
    return { result: { run: known, isNew: false, stopped: [], isFirst: false } };
  const others = turn.runs.filter(isActive);
  // Invariant T7.
  const asking = run.schedule === undefined ? undefined : turn.runs.find(isAsking);
  const inTheWay = asking ?? (strategy === "reject" ? others[0] : undefined);
  if (inTheWay !== undefined) {
    throw new RunActiveError(run.threadId, inTheWay.runId, inTheWay.status);
  }
  const stopped =
    strategy === "interrupt" || strategy === "rollback"
      ? others.map((other) => stopping(turn, other, strategy, `for run ${run.runId}`))
      : [];
  const accepted: RunRecord = {
    ...run,
    seq: 0,
    status: "queued",
    startAt: run.startAt ?? turn.now,
    enqueuedAt: turn.now,
    startedAt: undefined,
    endedAt: undefined,
    waitingSince: undefined,
    fingerprint: undefined,
  };
  return {
    put: [...stopped, accepted],
    result: {
      run: accepted,
      isNew: true,
      stopped: stopped.map(({ runId }) => runId),
      isFirst: others.length === 0,
    },
  };
}

/** What becomes of a run that is to be stopped: it ends at once where no worker has ever taken it. */
function stopping(turn: Turn, run: RunRecord, stop: StopRequest, reason: string): RunRecord {
  if (run.attempt === 0) {
    return { ...run, status: "cancelled", startAt: undefined, endedAt: turn.now, stop, reason };
  }
  if (isAtWork(run)) return { ...run, stop, reason };
  return { ...run, status: "queued", startAt: turn.now, stop, reason };
}

/** @returns the run, or undefined where there is none with that id */
export function stop(
  turn: Turn,
  runId: string,
  request: StopRequest,
  reason: string,
): Decided<RunRecord | undefined> {
  const run = turn.runs.find((each) => each.runId === runId);
  if (run === undefined || isOver(run)) return { result: run };
  const changed = stopping(turn, run, request, reason);
  return { put: [changed], result: changed };
}

/**
 * An answer is about to be stored: should its giver die before it wakes who waits for it, a worker looks by
 * itself so many milliseconds from now.
 */
export function expectAnswer(turn: Turn, within: number): Decided<void> {
  const at = turn.now + within;
  const waiting = turn.runs.filter(
    ({ status, startAt = Infinity }) => status === "interrupted" && startAt > at,
  );
  return { put: waiting.map((run) => ({ ...run, startAt: at })), result: undefined };
}

/** Somebody acted: what waits on the thread is due now. @returns the ids of the runs that do not wait any more */
export function wake(turn: Turn): Decided<string[]> {
  const waiting = turn.runs.filter(isWaiting);
  const put = waiting.map((run): RunRecord => ({
    ...run,
    status: "queued",
    startAt: turn.now,
    reason: undefined,
  }));
  // Invariant T5.
  const heard = turn.runs.filter(isAtWork).map((run): RunRecord => ({ ...run, startAt: turn.now }));
  return { put: [...put, ...heard], result: put.map(({ runId }) => runId) };
}

/**
 * A run that ended without success goes on once more.
 * @param deadline how long it may take, in milliseconds
 * @throws {InvalidInputError} it cannot
 */
export function retry(
  turn: Turn,
  runId: string,
  deadline?: number,
): Decided<RunRecord | undefined> {
  const run = turn.runs.find((each) => each.runId === runId);
  if (run === undefined) return { result: undefined };
  if (run.status === "completed" || !isOver(run)) {
    throw new InvalidInputError(`Run "${runId}" is ${run.status}, so there is nothing to retry.`);
  }
  const active = turn.runs.find((each) => each.seq > run.seq && !isOver(each));
  if (active !== undefined) {
    throw new InvalidInputError(
      `Run "${runId}" cannot be retried: its thread has gone on with run "${active.runId}", which is ${active.status}.`,
    );
  }
  const again: RunRecord = {
    ...run,
    status: "queued",
    startAt: turn.now,
    deadlineAt: deadline === undefined ? undefined : turn.now + deadline,
    endedAt: undefined,
    waitingSince: undefined,
    crashes: 0,
    stop: undefined,
    reason: undefined,
  };
  return { put: [again], result: again };
}

/**
 * A run that was given up goes on once more.
 * @throws {InvalidInputError} it is not dead, or cannot go on
 */
export function revive(
  turn: Turn,
  runId: string,
  deadline?: number,
): Decided<RunRecord | undefined> {
  const run = turn.runs.find((each) => each.runId === runId);
  if (run !== undefined && run.status !== "dead") {
    throw new InvalidInputError(`Run "${runId}" is ${run.status}, and only a dead one is revived.`);
  }
  return retry(turn, runId, deadline);
}

export interface ClaimOptions {
  /** Of the lease: this process, and which of its claims. */
  owner: string;
  graphs: ReadonlyMap<string, ClaimedGraph>;
  /** Of the lease, in milliseconds. */
  duration: number;
  /** A run whose workers died so often in a row is dead. */
  maxCrashes: number;
  /** Others are left, also where they come first. */
  only?: ReadonlySet<string> | undefined;
  /** True for an owner that is certainly gone, whose lease need not be waited for. */
  isDead(owner: string): boolean;
}

/** A graph that the worker has. */
export interface ClaimedGraph {
  /** Of its version. */
  fingerprint: string;
  /** Runs that were begun under another version are left to others. */
  pins: boolean;
}

export interface Claimed {
  run: RunRecord;
  lease: Lease;
}

/** What came of an attempt to take a run of a thread. */
export interface Claims {
  /** What the worker runs now, under which lease; undefined where there is nothing for it. */
  claimed: Claimed | undefined;
  /** Runs that were given up. */
  dead: RunRecord[];
}

export function claim(turn: Turn, options: ClaimOptions): Decided<Claims> {
  const { owner, graphs, duration } = options;
  const { lease, now } = turn;
  if (lease?.owner === owner) {
    // The answer to this very claim was lost.
    const run = turn.runs.find(isAtWork);
    const held = { threadId: run?.threadId ?? "", token: turn.token, ...lease };
    return { result: { claimed: run === undefined ? undefined : { run, lease: held }, dead: [] } };
  }
  if (lease !== undefined && lease.expiresAt > now && !options.isDead(lease.owner)) {
    return { result: { claimed: undefined, dead: [] } };
  }
  const changed = turn.runs.map((run) => (isAtWork(run) ? orphaned(run, now, options) : run));
  const orphans = changed.filter((run, i) => run !== turn.runs[i]);
  const dead = orphans.filter(isOver);
  const next = nextOf(changed, now);
  const graph = next && graphs.get(next.graph);
  const isWanted = next !== undefined && options.only?.has(next.runId) !== false;
  if (!isWanted || graph === undefined || isPinnedElsewhere(next, graph)) {
    const result = { claimed: undefined, dead };
    const put = [...dead, ...heldBack(turn, dead)];
    return { put, result, ...(dead.length > 0 && { lease: "released" }) };
  }
  const superseded = changed
    .filter((run) => run !== next && run.status === "interrupted")
    .filter(({ seq }) => seq < next.seq || next.attempt === 0)
    .map((run): RunRecord => ({
      ...run,
      status: "cancelled",
      startAt: undefined,
      endedAt: now,
      reason: `superseded by run ${next.runId}`,
    }));
  const claimed: RunRecord = {
    ...next,
    status: "running",
    startAt: undefined,
    startedAt: next.startedAt ?? now,
    attempt: next.attempt + 1,
    // Invariant T6.
    deadlineAt: next.deadlineAt && next.deadlineAt + (now - (next.waitingSince ?? now)),
    waitingSince: undefined,
    fingerprint: next.fingerprint ?? graph.fingerprint,
    // Invariant T8.
    reason: isWaiting(next) ? undefined : next.reason,
  };
  const taken = { owner, expiresAt: now + duration };
  const { threadId } = claimed;
  // What is at work no more comes first: two may not be so at any moment.
  const left = orphans.filter((run) => run !== next);
  const put = [...left, ...superseded, claimed];
  return {
    put: [...put, ...heldBack(turn, put)],
    lease: taken,
    result: {
      claimed: { run: claimed, lease: { threadId, token: turn.token + 1, ...taken } },
      dead,
    },
  };
}

function isPinnedElsewhere(run: RunRecord, { pins, fingerprint }: ClaimedGraph): boolean {
  // One that is to be stopped needs no node of its version: invariant T4.
  if (!pins || run.stop !== undefined) return false;
  return run.fingerprint !== undefined && run.fingerprint !== fingerprint;
}

/** A run whose worker is gone. */
function orphaned(run: RunRecord, now: number, { maxCrashes }: ClaimOptions): RunRecord {
  const crashes = run.crashes + 1;
  if (crashes <= maxCrashes || run.stop !== undefined) {
    return { ...run, status: "queued", startAt: now, crashes };
  }
  return {
    ...run,
    status: "dead",
    startAt: undefined,
    endedAt: now,
    crashes,
    reason: `its worker died ${crashes} times in a row`,
  };
}

/** It has begun, and goes on before any other. */
const hasItsTurn = ({ status, attempt }: RunRecord): boolean =>
  status === "parked" || (status === "queued" && attempt > 0);

/** Invariant T2. */
function nextOf(runs: readonly RunRecord[], now: number): RunRecord | undefined {
  const isDue = ({ startAt }: RunRecord): boolean => startAt !== undefined && startAt <= now;
  const begun = runs.find(hasItsTurn);
  if (begun !== undefined) return isDue(begun) ? begun : undefined;
  return (
    runs.find((run) => run.status === "queued" && isDue(run)) ??
    runs.find((run) => run.status === "interrupted" && isDue(run))
  );
}

/** A run goes on under another version of its graph. Invariant T3: undefined where the lease was lost. */
export function adopt(
  turn: Turn,
  runId: string,
  token: number,
  fingerprint: string,
): Decided<RunRecord | undefined> {
  const run = turn.runs.find((each) => each.runId === runId);
  if (run === undefined || turn.lease === undefined || turn.token !== token)
    return { result: undefined };
  const adopted = { ...run, fingerprint };
  return { put: [adopted], result: adopted };
}

/** What is the user's of a run that has not ended is another from now on: stored with the turn. */
export function amend(turn: Turn, runId: string): Decided<void> {
  return { put: turn.runs.filter((run) => run.runId === runId), result: undefined };
}

export interface Upcoming {
  run: RunRecord;
  at: number;
}

/**
 * Which run of a thread a worker may take next, and when, as things stand; undefined where somebody has to
 * act first, or a worker is on it. By the same rule as a claim.
 */
export function upcoming(runs: readonly RunRecord[], now: number): Upcoming | undefined {
  if (runs.some(isAtWork)) return undefined;
  const later = runs.flatMap(({ startAt }) =>
    startAt !== undefined && startAt > now ? startAt : [],
  );
  for (const at of [now, ...later.toSorted((a, b) => a - b)]) {
    const run = nextOf(runs, at);
    if (run !== undefined) return { run, at };
  }
  return undefined;
}

/** How a worker leaves a run. */
export type Ending = {
  status: "completed" | "failed" | "cancelled" | "parked" | "interrupted" | "queued";
  /** When a worker shall look again. */
  startAt?: number | undefined;
  reason?: string | undefined;
};

/** Invariant T3: undefined where the lease was lost. */
export function finish(
  turn: Turn,
  runId: string,
  token: number,
  ending: Ending,
): Decided<RunRecord | undefined> {
  const run = turn.runs.find((each) => each.runId === runId);
  if (run === undefined || turn.lease === undefined || turn.token !== token)
    return { result: undefined };
  const isEnd = OVER.has(ending.status);
  // Invariants T4 and T5.
  const isDue =
    (run.stop !== undefined && !isEnd) || (run.startAt !== undefined && isWaiting(ending));
  const status = isDue ? "queued" : ending.status;
  const left: RunRecord = {
    ...run,
    status,
    startAt: isDue ? turn.now : ending.startAt,
    endedAt: isEnd ? turn.now : undefined,
    waitingSince: ending.status === "interrupted" ? turn.now : undefined,
    crashes: 0,
    // Invariant T8. One that was sent on its way stays so until it has come to wait, or to an end.
    reason: status === "queued" ? run.reason : ending.reason,
  };
  return { put: [left, ...heldBack(turn, [left])], lease: "released", result: left };
}

/** Invariant T7. @returns what of schedules has to wait now, or has not any more, once these are stored */
function heldBack(turn: Turn, put: readonly RunRecord[]): RunRecord[] {
  const changed = new Map(put.map((run) => [run.runId, run]));
  const runs = turn.runs.map((run) => changed.get(run.runId) ?? run);
  const isAsked = runs.some(isAsking);
  return runs
    .filter(
      ({ schedule, status, attempt }) =>
        schedule !== undefined && status === "queued" && attempt === 0,
    )
    .filter(({ startAt }) => isAsked === (startAt !== undefined))
    .map((run) => ({ ...run, startAt: isAsked ? undefined : turn.now }));
}
