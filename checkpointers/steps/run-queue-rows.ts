/** The port between accepted runs and a database. */

import type { DueGraph, RunServer, TurnTransaction } from "../../src/run-store.ts";
import type { NewThread, ThreadRow } from "../thread-rows.ts";
import type { Cell } from "../encoding/cells.ts";
import type { EventRow } from "./event-rows.ts";
import type { ScheduleMoveRow } from "./schedule-rows.ts";

/** A run's row, without what is the user's. */
export interface RunRow {
  runId: string;
  thread: Uint8Array;
  graph: string;
  status: string;
  /** 0 for a row that is not stored yet. */
  seq: number;
  priority: number;
  startAt: number | null;
  deadlineAt: number | null;
  enqueuedAt: number;
  startedAt: number | null;
  endedAt: number | null;
  attempt: number;
  crashes: number;
  stop: string | null;
  reason: string | null;
  fingerprint: string | null;
  waitingSince: number | null;
  schedule: string | null;
}

export interface FoundRun extends RunRow {
  /** Of the thread's row, where it has one. */
  threadName: Cell | null;
}

/** A row to be written; a cell that is null stays as it is. */
export interface RunChange extends RunRow {
  details: Cell | null;
  end: Cell | null;
}

export interface RunTurn {
  now: number;
  lease: { owner: string; expiresAt: number } | undefined;
  token: number;
  runs: readonly RunRow[];
}

export interface RunTurnOptions {
  thread: Uint8Array;
  /** One that is shown also where it has ended. */
  runId: string | undefined;
  skipBusy: boolean;
  /** Of a schedule, in the same transaction. */
  move: ScheduleMoveRow | undefined;
  /** The thread's row, made where there is none; without it there is no turn then. */
  make: MadeThread | undefined;
  /** A worker takes a run: the turn tells what it needs of it. */
  takes: boolean;
}

export interface MadeThread {
  row: NewThread;
  now: number;
  /** It is probably there. */
  isKnown: boolean;
}

/** What a worker needs of the run that a turn gave it. */
export interface TakenRow {
  details: Cell;
  end: Cell | null;
  /** The thread's row, where it has no checkpoint, for certain. */
  empty: ThreadRow | undefined;
}

export interface MadeTurn {
  /** Undefined where no run was taken, or the answer to it was lost. */
  taken?: TakenRow | undefined;
}

export interface RunDecision {
  put: readonly RunChange[];
  /** That leave with it. */
  events: readonly EventRow[];
  lease: { owner: string; expiresAt: number } | "released" | undefined;
}

/** What is stored together with a turn that changed something. */
export type WithTurn = (transaction: TurnTransaction) => Promise<void>;

/** It could not be stored, and the turn was not made; nothing is wrong with the turn itself. */
export class WithTurnError extends Error {}

export interface RunQueueRows {
  /**
   * Holds the thread's row while `decide` looks at it; what that throws ends the transaction.
   * @param withTurn only where there is a `server`
   * @throws {WithTurnError} caused by what `withTurn` threw
   * @returns undefined where the thread has no row, somebody else holds it and it was to be skipped, or the
   *   schedule that was to be moved has another revision
   */
  turn(
    options: RunTurnOptions,
    decide: (turn: RunTurn) => RunDecision,
    withTurn?: WithTurn,
  ): Promise<MadeTurn | undefined>;
  readonly server?: Omit<RunServer, "join">;
  due(graphs: readonly DueGraph[], limit: number): Promise<FoundThread[]>;
  working(): Promise<(FoundThread & { owner: string })[]>;
  nextAt(graphs: readonly string[]): Promise<{ at: number | null; now: number }>;
  stopping(runIds: readonly string[]): Promise<string[]>;
  settled(runIds: readonly string[]): Promise<string[]>;
  hasBegun(thread: Uint8Array, run: Uint8Array): Promise<boolean>;
  read(runId: string): Promise<(FoundRun & { details: Cell; end: Cell | null }) | undefined>;
  list(query: {
    runId: string | undefined;
    status: string | undefined;
    graph: string | undefined;
    thread: Uint8Array | undefined;
    schedule: string | undefined;
    since: number | undefined;
    prefix: string | undefined;
    limit: number;
  }): Promise<FoundRun[]>;
}

export interface FoundThread {
  thread: Uint8Array;
  threadName: Cell | null;
}

/** Statuses that are over. */
export const ENDED = ["completed", "failed", "cancelled", "dead"] as const;

/** Statuses that nothing changes by itself. */
export const SETTLED = [...ENDED, "interrupted"] as const;

/**
 * In SQL: whether a run has its turn before another one of its thread; the rule of `nextOf` in src/turns.ts.
 * @param o the one, r the other, by their names in the statement
 */
export function isBefore(o: string, r: string, now: string): string {
  const isBegun = (run: string): string =>
    `(${run}.status IN ('running', 'compensating', 'parked') OR (${run}.status = 'queued' AND ${run}.attempt > 0))`;
  const isFresh = (run: string): string => `(${run}.status = 'queued' AND ${run}.attempt = 0)`;
  return `(
    (${isBegun(o)} AND (${o}.seq < ${r}.seq OR NOT ${isBegun(r)}))
    OR (${isFresh(o)} AND coalesce(${o}.start_at <= ${now}, false) AND NOT ${isBegun(r)}
      AND (${o}.seq < ${r}.seq OR ${r}.status = 'interrupted'))
    OR (${o}.status = 'interrupted' AND coalesce(${o}.start_at <= ${now}, false)
      AND ${r}.status = 'interrupted' AND ${o}.seq < ${r}.seq)
  )`;
}

/** Columns of {@link RunRow}, in the order of {@link valuesOf}. */
export const RUN_COLUMNS = [
  ...["run_id", "thread_key", "graph", "status", "priority", "start_at", "deadline_at"],
  ...["enqueued_at", "started_at", "ended_at", "attempt", "crashes", "stop", "reason"],
  ...["fingerprint", "waiting_since", "schedule"],
] as const;

export function valuesOf(row: RunRow): (string | number | Uint8Array | null)[] {
  return [
    ...[row.runId, row.thread, row.graph, row.status, row.priority, row.startAt, row.deadlineAt],
    ...[row.enqueuedAt, row.startedAt, row.endedAt, row.attempt, row.crashes, row.stop, row.reason],
    ...[row.fingerprint, row.waitingSince, row.schedule],
  ];
}

export function runRow(row: Record<string, unknown>): RunRow {
  return {
    runId: row["run_id"] as string,
    thread: row["thread_key"] as Uint8Array,
    graph: row["graph"] as string,
    status: row["status"] as string,
    seq: row["seq"] as number,
    priority: row["priority"] as number,
    startAt: row["start_at"] as number | null,
    deadlineAt: row["deadline_at"] as number | null,
    enqueuedAt: row["enqueued_at"] as number,
    startedAt: row["started_at"] as number | null,
    endedAt: row["ended_at"] as number | null,
    attempt: row["attempt"] as number,
    crashes: row["crashes"] as number,
    stop: row["stop"] as string | null,
    reason: row["reason"] as string | null,
    fingerprint: row["fingerprint"] as string | null,
    waitingSince: row["waiting_since"] as number | null,
    schedule: row["schedule"] as string | null,
  };
}
