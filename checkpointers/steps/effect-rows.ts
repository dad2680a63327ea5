/**
 * The ledger's rows as the databases keep them: the port between `effects.ts` and SQL. Fields are named
 * like their columns.
 */

import type { Cell } from "../encoding/cells.ts";

export interface EffectColumns {
  identity: Uint8Array;
  generation: number;
  kind: string;
  name: string;
  scope: string;
  idempotency_key: string;
  /** Of the thread that claimed it; null for requests. */
  thread_key: Uint8Array | null;
  root_checkpoint: Uint8Array | null;
  /** Null where it has a key. */
  task_id: Uint8Array | null;
  execution: string;
  state: string;
  version: string;
  process: string;
  lease_token: number | null;
  attempts: number;
  undoable: boolean;
  /** In a write, null leaves it as it was. */
  call: Cell | null;
  result: Cell | null;
  notes: Cell | null;
}

export interface FoundEffect extends EffectColumns {
  call: Cell;
  expires_at: number | null;
  sent_at: number | null;
  claimed_at: number;
  updated_at: number;
}

/** A row's new content, and what must hold for it to be written. */
export interface EffectChange {
  row: EffectColumns;
  /** The version to replace; null inserts, and never replaces. */
  replaces: string | null;
  /** When the row was to expire as it was found: not if it was renewed since. */
  expired_at: number | null;
  expires_in: number | null;
  sent: "no" | "now" | "before";
  /** For inserts: only if this checkpoint of the thread is there. */
  checkpoint: { ns: Uint8Array; id: Uint8Array } | null;
  /** For inserts: not if another execution of the task has left a row of the name. */
  unless_rerun: boolean;
  /** For inserts: not if the thread has marked forks. */
  unless_forked: boolean;
  closes: { identity: Uint8Array; generation: number } | null;
}

export interface EffectFilter {
  thread: Uint8Array | undefined;
  task: Uint8Array | undefined;
  kind: string | undefined;
  name: string | undefined;
  states: readonly string[] | undefined;
  /** Of the idempotency key; hex digits. */
  prefix: string | undefined;
  undoable: boolean;
  limit: number;
}

export interface EffectForkRow {
  checkpoint_id: Uint8Array;
  effects: string;
}

/** Instants are the database's; `now` stands for them where a test holds the time. */
export interface EffectRows {
  /**
   * Writes in one commit, each row by itself if it may be; each row at most once. Sent again after it was written, a change
   * counts as written.
   * @returns which were
   */
  write(changes: readonly EffectChange[], now: number | null): Promise<boolean[]>;
  /** The latest generation of each. */
  latest(identities: readonly Uint8Array[]): Promise<FoundEffect[]>;
  /** Latest claimed first. */
  list(filter: EffectFilter): Promise<FoundEffect[]>;
  mark(thread: Uint8Array, checkpoint: Uint8Array, effects: string): Promise<void>;
  marks(thread: Uint8Array): Promise<EffectForkRow[]>;
  /** Checkpoints of the outermost graph that were put first of those with the same parent. */
  firstChildren(thread: Uint8Array, parents: readonly Uint8Array[]): Promise<Uint8Array[]>;
  /** True where work in a transaction cannot wait for anything. */
  readonly synchronous: boolean;
  /**
   * Inserts a row and runs work in one transaction; what the work gives becomes the row's result.
   * @returns false, and nothing done, where the row is refused
   */
  transact(
    change: EffectChange,
    now: number | null,
    work: (handle: unknown) => Cell | Promise<Cell>,
  ): Promise<boolean>;
  /** Removes requests whose records have expired. */
  expire(now: number): Promise<void>;
}
