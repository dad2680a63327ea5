/**
 * The port: schedules, each of which begins runs of a graph at the instants of a cron expression.
 *
 * Types and contract prose only. Every change of a schedule draws a new revision, and is made only where
 * the one before is still there. A firing is such a change, made in the transaction that accepts its run
 * (`RunQueue.turn`): so an instant is fired once, whoever tries, and nothing fires what was removed.
 */

import type { MultitaskStrategy, RunBudget, ScheduleMove } from "./run-store.ts";

/** What becomes of instants at which no worker was there to fire them. */
export type Missed = "skip" | "once" | "all";

export interface ScheduleRecord {
  /** At most 150 characters. */
  name: string;
  /** A random id, drawn anew by each change. */
  revision: string;
  cron: string;
  zone: string;
  /** The name under which workers know it. */
  graph: string;
  missed: Missed;
  paused: boolean;
  /** The first instant that was not fired yet; undefined where none comes any more. */
  nextAt: number | undefined;
  createdAt: number;
  updatedAt: number;
  /** The latest instant that was fired, and its run. */
  lastAt: number | undefined;
  lastRun: string | undefined;
}

/** What of a schedule is the user's: how its runs are started. */
export interface ScheduleDetails {
  input: unknown;
  metadata: Record<string, unknown>;
  threadId: string | undefined;
  multitaskStrategy: MultitaskStrategy;
  priority: number;
  /** For each run from when it is accepted, in milliseconds. */
  deadline: number | undefined;
  stepLimit: number | undefined;
  budget: RunBudget | undefined;
  /** Undefined for that of the runtime which fires it. */
  streamMode: readonly string[] | undefined;
  configurable: Record<string, unknown> | undefined;
  compensate: boolean | undefined;
}

export interface StoredSchedule extends ScheduleRecord {
  details: ScheduleDetails;
}

export interface ScheduleStore {
  /**
   * Stores a new schedule, or changes one: all but what was fired last, and when it was made.
   * @param from the revision that is changed; undefined for a new one
   * @param details undefined leaves them
   * @returns false where somebody else was faster
   * @throws {UnserializableError} details that cannot be kept
   */
  put(
    schedule: ScheduleRecord,
    from: string | undefined,
    details?: ScheduleDetails,
  ): Promise<boolean>;
  /** @returns false where somebody else was faster */
  move(move: ScheduleMove): Promise<boolean>;
  /** @returns false where there is none */
  remove(name: string): Promise<boolean>;
  read(name: string): Promise<StoredSchedule | undefined>;
  /** By name. */
  list(): Promise<ScheduleRecord[]>;
  /** Those of these graphs that are not paused, the next to fire first. */
  next(graphs: readonly string[], limit: number): Promise<ScheduleRecord[]>;
}
