/** The port between events and a database. */

import type { Cell } from "../encoding/cells.ts";

export interface EventRow {
  id: string;
  name: string;
  /** Where it came from. */
  thread: Uint8Array | null;
  runId: string | null;
  data: Cell;
}

/** An event of a node, as it leaves with a checkpoint. */
export interface LeavingEvent {
  id: string;
  name: string;
  /** Serialized. */
  payload: string;
}

export interface FoundEvent extends EventRow {
  seq: number;
  /** As {@link EventRows.advance} takes it. */
  place: string;
  createdAt: number;
  /** Of the thread's row, where it has one. */
  threadName: Cell | null;
}

export interface EventRows {
  /** @returns false where one with this id is there */
  insert(row: EventRow): Promise<boolean>;
  /** Latest first. */
  list(query: {
    name: string | undefined;
    since: number | undefined;
    limit: number;
  }): Promise<FoundEvent[]>;
  read(seqs: readonly number[]): Promise<FoundEvent[]>;
  /** In the order in which they came. */
  undelivered(limit: number): Promise<{ seq: number; name: string }[]>;
  delivered(seqs: readonly number[]): Promise<void>;
  listen(listener: { name: string; event: string; graph: string }): Promise<void>;
  touch(listener: { name: string; event: string; graph: string }): Promise<void>;
  behind(listener: string, event: string, limit: number): Promise<FoundEvent[]>;
  /** Never back. */
  advance(listener: string, place: string): Promise<void>;
  /** @returns how many rows went of the kind that most went of */
  sweep(before: number, forgotten: number, limit: number): Promise<number>;
}
