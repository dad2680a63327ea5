/**
 * The port: how the ledger of effects reaches a database.
 *
 * A row is changed only by who knows its version (compare and set), so every decision is taken by the
 * ledger (src/effects), and the database merely refuses the one that came too late. Types and contract
 * prose only; `checkpointers/steps/effects.ts` implements it over both dialects.
 */

/**
 * What a row is about: a side effect, the undoing of one, a database transaction, or an answered
 * request (`idempotent`).
 */
export type EffectKind = "effect" | "undo" | "transaction" | "request";

/**
 * - `claimed`: somebody performs it, until the claim expires or its process is dead; then it is unknown
 * - `unknown`: it may have been performed or not
 * - `released`: it was certainly not performed
 * - `recorded`: it was performed, and this is its result
 * - `stuck`: an undo that keeps failing; a person must look
 * - `closed`: it was undone (or a person dealt with it): the next call is a new generation
 */
export type EffectState = "claimed" | "unknown" | "released" | "recorded" | "stuck" | "closed";

/** Where an effect was claimed. */
export interface EffectPlace {
  threadId: string;
  /** The newest checkpoint of the outermost graph. */
  rootCheckpointId: string;
  runId: string | undefined;
  node: string;
  /** The task, where the effect is one execution's of it (it has no key). */
  taskId: string | undefined;
  /** The execution of the task. */
  execution: string;
}

export interface EffectRow {
  /** What the effect is: 64 hex digits, equal for all its generations. */
  identity: string;
  /** Counts from 1; a compensated effect is closed, and called again is a new one. */
  generation: number;
  kind: EffectKind;
  name: string;
  scope: "thread" | "global";
  /** The business key, where the call had one. */
  key: string | undefined;
  idempotencyKey: string;
  place: EffectPlace;
  state: EffectState;
  /** Changes with every write. */
  version: string;
  /** Who claimed it last, in which lease's name. */
  process: string;
  leaseToken: number | undefined;
  /** When the claim expires, unless it is renewed; or the record of a request. */
  expiresAt: number | undefined;
  /** Times that it was begun. */
  attempts: number;
  /** When it was first begun since it was last known not to be performed. */
  sentAt: number | undefined;
  claimedAt: number;
  updatedAt: number;
  /** It can be undone, and is when its run fails for good. */
  undoable: boolean;
  /** Serialized by {@link EffectStore.serialize}. */
  args: string;
  result: string | undefined;
  /** How it failed last. */
  error: string | undefined;
  /** Why a person closed it. */
  reason: string | undefined;
}

/** What a write says of a row; the rest the database sets. */
export type WrittenRow = Omit<
  EffectRow,
  "version" | "expiresAt" | "sentAt" | "claimedAt" | "updatedAt"
>;

export interface EffectWrite {
  row: WrittenRow;
  /** The version that it replaces; undefined for a row that is not there yet. */
  replaces: string | undefined;
  /** The new one; the old one again renews. */
  version: string;
  /** Of a claim that was found expired: refused if it was renewed since. */
  expiredAt?: number | undefined;
  /** Whether place and arguments are written, too; they are of a new row. */
  claims: boolean;
  /** The claim, or the record, counts so much longer; undefined for ever. */
  expiresIn: number | undefined;
  /** Whether it counts as begun: not at all, since now, or since then if it was begun before. */
  sent: "no" | "now" | "before";
  /** Of a new row: refused unless this checkpoint is stored. */
  checkpoint?: { namespace: string; checkpointId: string } | undefined;
  /** Of a new row: refused if another execution of the same task has left one of this name. */
  unlessRerun?: boolean | undefined;
  /** Of a new row: refused if the thread has a {@link ForkMark}. */
  unlessForked?: boolean | undefined;
  /** Closed with it: the effect that this one undid. */
  closes?: { identity: string; generation: number } | undefined;
}

/** How a fork wants effects recorded outside of it to be taken. */
export type ForkEffects = "reuse" | "redo" | "compensate" | "ask";

/** A branch whose keyed effects are not simply those of the thread. */
export interface ForkMark {
  threadId: string;
  /** The first checkpoint of the branch. */
  checkpointId: string;
  effects: "redo" | "ask";
}

export interface EffectQuery {
  threadId?: string;
  taskId?: string;
  kind?: EffectKind;
  name?: string;
  states?: readonly EffectState[];
  /** Only those whose idempotency key begins so: hex digits. */
  prefix?: string;
  /** Only those that can be undone. */
  undoable?: boolean;
  /** Default 100. */
  limit?: number;
}

/** A checkpoint of the outermost graph and its ancestors, as far as they are stored. */
export interface Lineage {
  /** How far back: 0 for the checkpoint itself; undefined for one that is not in the line. */
  depthOf(checkpointId: string): number | undefined;
  /**
   * Whether what ran at a checkpoint of the line is part of it: not where the line goes on from there
   * as a later branch, beside the one that was begun first.
   */
  owns(checkpointId: string): boolean;
}

export interface EffectStore {
  /**
   * A value as a row keeps it, to be compared and stored.
   * @throws {UnserializableError} it cannot be stored faithfully; `what` is named as the channel
   */
  serialize(value: unknown, what: string, node?: string): string;
  deserialize(text: string): unknown;

  /** Settles once all that is queued of the thread's checkpoints is durable. */
  settled(threadId: string): Promise<void>;
  /**
   * Durable when it settles.
   * @returns false, and nothing written, where it is refused
   * @throws {LeaseLostError} the row's lease is somebody else's now
   */
  write(write: EffectWrite): Promise<boolean>;
  /** The latest generation, and the database's time. */
  latest(identity: string): Promise<{ row: EffectRow | undefined; now: number }>;
  /** Latest claimed first. */
  list(query: EffectQuery): Promise<EffectRow[]>;

  lineage(threadId: string, checkpointId: string): Promise<Lineage>;
  /** Whether a checkpoint of the outermost graph is still there. */
  isStored(threadId: string, checkpointId: string): Promise<boolean>;
  mark(mark: ForkMark): Promise<void>;
  marks(threadId: string): Promise<ForkMark[]>;

  /**
   * Writes a new, recorded row in one transaction with the user's work, whose result it keeps. On SQLite
   * the work must be synchronous. Where the database was lost in between, all of it is done again.
   * @returns the result, serialized; undefined, and nothing done, where the row is refused
   */
  transact(write: EffectWrite, work: (handle: unknown) => unknown): Promise<string | undefined>;
  /** Removes requests whose records have expired. */
  expireRequests(): Promise<void>;
}
