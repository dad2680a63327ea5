/** The port between waits for events and a database. */

import type { Cell } from "../encoding/cells.ts";
import type { FoundEvent } from "./event-rows.ts";

export interface NewWaitRow {
  id: string;
  thread: Uint8Array;
  ns: Uint8Array;
  checkpoint: Uint8Array;
  task: Uint8Array;
  name: string;
  paths: string;
  hash: string;
  runId: string | null;
  since: number;
  exceptId: string | null;
  /** Milliseconds from now on. */
  timeout: number | null;
}

export interface WaitRow {
  id: string;
  name: string;
  isOpen: boolean;
  isLooked: boolean;
  deadlineAt: number | null;
  eventSeq: number | null;
  eventId: string | null;
  eventAt: number | null;
  eventData: Cell | null;
}

export interface EventWaitRows {
  /** Nothing happens where one with this id is there. */
  insert(row: NewWaitRow): Promise<void>;
  read(id: string): Promise<WaitRow | undefined>;
  candidates(
    id: string,
    after: { at: number; seq: number } | undefined,
    limit: number,
  ): Promise<FoundEvent[]>;
  offer(id: string, seq: number): Promise<void>;
  looked(id: string): Promise<void>;
  /** Closes it where it has an event, or its time is up. */
  settle(id: string, isTimeUp: boolean): Promise<void>;
  /** How many of these are open, and have no event. */
  countIdle(ids: readonly string[]): Promise<number>;
  pathsOf(name: string): Promise<string[]>;
  give(
    seq: number,
    matches: readonly { paths: string; hash: string }[],
  ): Promise<{ thread: Uint8Array; threadName: Cell | null }[]>;
}

/** Columns of {@link NewWaitRow}, in the order of {@link waitValues}; the rest is the database's to tell. */
export const WAIT_COLUMNS = [
  ...["id", "thread_key", "checkpoint_ns", "checkpoint_id", "task_id", "name", "paths"],
  ...["match_hash", "run_id", "since", "except_id"],
] as const;

export function waitValues(row: NewWaitRow): (string | number | Uint8Array | null)[] {
  return [
    ...[row.id, row.thread, row.ns, row.checkpoint, row.task, row.name, row.paths],
    ...[row.hash, row.runId, row.since, row.exceptId],
  ];
}
