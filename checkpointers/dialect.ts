/**
 * The port between the saver and a database: rows in, rows out, no LangGraph and no encoding.
 *
 * `sqlite/` and `postgres/` implement it; one conformance suite runs over both.
 */

import type { Cell } from "./encoding/cells.ts";
import type { ApprovalRows } from "./steps/approval-rows.ts";
import type { EventWaitRows } from "./steps/event-wait-rows.ts";
import type { LeaseRows } from "./steps/lease-rows.ts";
import type { EffectRows } from "./steps/effect-rows.ts";
import type { EventRow, EventRows } from "./steps/event-rows.ts";
import type { AttemptRows } from "./steps/attempts-rows.ts";
import type { PulseRows } from "./steps/pulse-rows.ts";
import type { RunEventRows } from "./steps/run-events-rows.ts";
import type { RunQueueRows } from "./steps/run-queue-rows.ts";
import type { RunRows } from "./steps/runs-rows.ts";
import type { ScheduleRows } from "./steps/schedule-rows.ts";
import type { StateRows } from "./steps/states-rows.ts";
import type { StatusRows } from "./steps/status-rows.ts";
import type { UsageRows } from "./steps/usage-rows.ts";
import type { NewThread, ThreadRow } from "./thread-rows.ts";

export type { NewThread, ThreadRow } from "./thread-rows.ts";

export interface CheckpointRow {
  thread: number;
  ns: Uint8Array;
  id: Uint8Array;
  parent: Uint8Array | null;
  /** Version ids of its channels. */
  manifest: readonly number[];
  /** Which of its parent's pending writes went into it; null for those of branch 0. */
  consumed: readonly number[] | null;
  /** The run that wrote it, where the config named one. */
  runId: Uint8Array | null;
  /** Milliseconds since the epoch. */
  createdAt: number;
  /** Versions, metadata, and ids too long for their keys. */
  header: Cell;
}

export interface VersionRow {
  id: number;
  thread: number;
  channel: Uint8Array;
  /** The version that `data` is a delta on; null for a keyframe. */
  base: number | null;
  data: Cell;
}

export interface PayloadRow {
  thread: number;
  hash: string;
  kind: number;
  data: Cell;
}

export interface WriteRow {
  thread: number;
  ns: Uint8Array;
  checkpoint: Uint8Array;
  task: Uint8Array;
  idx: number;
  /** Which loop wrote it, where several may write to one checkpoint. */
  branch: number;
  channel: Uint8Array;
  base: number | null;
  /** A later write at the same place replaces it; otherwise the first one stays. */
  replace: boolean;
  data: Cell;
}

/** In place of a token: whoever may hold a lease. */
export const UNLEASED = -1;

/** What one commit holds: rows of any number of threads. */
export interface Batch {
  /** Threads of the rows, each as its writer knew it, and what to update. */
  threads: {
    id: number;
    generation: number;
    /**
     * The fencing token of the writer's lease. A writer without one has null, and is refused while somebody
     * holds a lease, or {@link UNLEASED}, and is not.
     */
    token: number | null;
    updatedAt: number;
    metadata: Cell | null;
  }[];
  versions: VersionRow[];
  payloads: PayloadRow[];
  checkpoints: CheckpointRow[];
  writes: WriteRow[];
  /** That leave with the checkpoints; one that is known by its id has left before. */
  events: (EventRow & { threadId: number })[];
}

/** A checkpoint as read, with its thread and its pending writes, ordered by (task, idx, branch). */
export interface FoundCheckpoint {
  thread: ThreadRow;
  checkpoint: CheckpointRow;
  writes: FoundWrite[];
}

/** The checkpoint with all that it consists of. */
export interface WholeCheckpoint extends FoundCheckpoint {
  /** Its versions, those that its writes build on, and all that these are deltas on. */
  versions: Omit<VersionRow, "thread">[];
  /** What these refer to, as far as their text tells it without a serde. */
  payloads: Omit<PayloadRow, "thread">[];
}

export type FoundWrite = Pick<WriteRow, "task" | "idx" | "branch" | "channel" | "base" | "data">;

export interface CheckpointQuery {
  thread?: number | undefined;
  ns?: Uint8Array | undefined;
  id?: Uint8Array | undefined;
  /** Only ids before this one. */
  before?: Uint8Array | undefined;
  /** Goes on behind this row, in the order of the listing. */
  after?: { thread: number; ns: Uint8Array; id: Uint8Array } | undefined;
  limit: number;
}

/** One step of a walk towards the root, for `getDeltaChannelHistory`. */
export interface Ancestor {
  id: Uint8Array;
  manifest: readonly number[];
  /** What the step's child took of its writes. */
  consumed: readonly number[] | null;
}

export interface ThreadListing {
  id: number;
  key: Uint8Array;
  /** The whole id where the key does not tell it. */
  name: Cell | null;
  createdAt: number;
  updatedAt: number;
  metadata: Cell | null;
  checkpoints: number;
}

export interface ThreadQuery {
  /** Keys that begin so. */
  prefix?: Uint8Array | undefined;
  createdAfter?: number | undefined;
  createdBefore?: number | undefined;
  updatedAfter?: number | undefined;
  updatedBefore?: number | undefined;
  /** Behind this row, latest updated first. */
  after?: { updatedAt: number; id: number } | undefined;
  limit: number;
}

/** A whole thread without its values, as `prune` needs it. */
export interface ThreadOutline {
  /** Grows with every commit; {@link Dialect.removeRows} compares it. */
  revision: number;
  checkpoints: CheckpointRow[];
  versions: { id: number; channel: Uint8Array; base: number | null; bytes: number }[];
  writes: {
    ns: Uint8Array;
    checkpoint: Uint8Array;
    channel: Uint8Array;
    idx: number;
    bytes: number;
  }[];
  payloads: { hash: string; bytes: number }[];
}

/** Rows that go, of one thread. The pending writes of a checkpoint, and attempts at its tasks, go with it. */
export interface Removal {
  checkpoints: { ns: Uint8Array; id: Uint8Array }[];
  versions: number[];
  payloads: string[];
}

export interface StatsRows {
  threads: number;
  checkpoints: number;
  checkpointBytes: number;
  pendingWrites: number;
  pendingWriteBytes: number;
  payloads: number;
  payloadBytes: number;
  channels: { channel: Uint8Array; versions: number; keyframes: number; bytes: number }[];
}

/** What is found when the tables are looked at. */
export interface SetUp {
  /** Where tables of LangGraph's own saver are, in the same database. */
  officialTables: string | undefined;
}

export const MAX_RESERVED = 65_536;

export interface Dialect {
  /** Which database, without credentials, for messages. */
  readonly where: string;
  /** Creates or migrates the tables, once; safe in many processes at the same time. */
  setup(): Promise<SetUp>;
  end(): Promise<void>;

  /** The first of so many version ids (at most {@link MAX_RESERVED}) that nobody else will get. */
  reserveVersions(count: number): Promise<number>;

  findThread(key: Uint8Array): Promise<ThreadRow | undefined>;
  /** Finds or makes each of them, at once. @returns their rows, in this order */
  createThreads(threads: readonly NewThread[], now: number): Promise<ThreadRow[]>;

  /**
   * Writes everything in one transaction; rows of a thread that is gone, at another generation, or
   * leased otherwise, are left out, and the others written.
   * @returns the threads left out
   */
  commit(batch: Batch): Promise<ReadonlySet<number>>;

  /** With an id that checkpoint, without one the latest of the namespace. */
  readCheckpoint(
    thread: Uint8Array,
    ns: Uint8Array,
    id: Uint8Array | undefined,
  ): Promise<FoundCheckpoint | undefined>;
  /**
   * The same and all that the checkpoint consists of in one round trip, where that saves some; also
   * before `setup`.
   * @returns undefined where it cannot be had so, or `setup` has something to do first
   */
  readAtOnce?(
    thread: Uint8Array,
    ns: Uint8Array,
    id: Uint8Array | undefined,
  ): Promise<(SetUp & { found: WholeCheckpoint | undefined }) | undefined>;
  /** These versions and all that they are deltas on. */
  readVersions(thread: number, ids: readonly number[]): Promise<Omit<VersionRow, "thread">[]>;
  /** Which of the thread's versions are of these channels. */
  versionsOfChannels(
    thread: number,
    channels: readonly Uint8Array[],
  ): Promise<{ id: number; channel: Uint8Array }[]>;
  readPayloads(thread: number, hashes: readonly string[]): Promise<Omit<PayloadRow, "thread">[]>;
  /** By thread and namespace, then newest first. */
  listCheckpoints(query: CheckpointQuery): Promise<CheckpointRow[]>;
  /** The pending writes of these checkpoints of one namespace. */
  readWrites(
    thread: number,
    ns: Uint8Array,
    checkpoints: readonly Uint8Array[],
    channels?: readonly Uint8Array[],
  ): Promise<(FoundWrite & { checkpoint: Uint8Array })[]>;
  /** The ancestors of a checkpoint, nearest first, at most so many. */
  readAncestors(thread: number, ns: Uint8Array, id: Uint8Array, limit: number): Promise<Ancestor[]>;

  listThreads(query: ThreadQuery): Promise<ThreadListing[]>;
  threadsById(
    ids: readonly number[],
  ): Promise<(ThreadRow & { key: Uint8Array; name: Cell | null })[]>;
  /** With all that durable steps keep of it. */
  deleteThread(key: Uint8Array): Promise<void>;
  /** Copies all rows of a thread to a new one. @returns false if the target exists */
  copyThread(from: ThreadRow, key: Uint8Array, name: Cell | null, now: number): Promise<boolean>;

  outlineThread(thread: number): Promise<ThreadOutline | undefined>;
  /** Takes rows away and raises the generation; false, and nothing done, at another revision. */
  removeRows(thread: number, revision: number, removal: Removal): Promise<boolean>;
  /** Threads with checkpoints of these runs. */
  threadsOfRuns(runIds: readonly Uint8Array[]): Promise<number[]>;
  stats(thread: number | undefined): Promise<StatsRows>;

  readonly approvals: ApprovalRows;
  readonly effects: EffectRows;
  readonly leases: LeaseRows;
  /** The database's time, or that of the clock which the saver was given. */
  now(): Promise<number>;
  /** What durable steps keep, a member for each part (steps/). */
  readonly states: StateRows;
  readonly attempts: AttemptRows;
  readonly status: StatusRows;
  readonly usage: UsageRows;
  readonly runs: RunRows;
  readonly runQueue: RunQueueRows;
  readonly events: EventRows;
  readonly runEvents: RunEventRows;
  readonly schedules: ScheduleRows;
  readonly eventWaits: EventWaitRows;
  readonly pulses: PulseRows;
}
