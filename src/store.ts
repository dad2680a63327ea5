/**
 * The port: what a holdfast saver offers beyond LangGraph's own contract.
 *
 * Types and contract prose only. `checkpointers/` implements it twice, over SQLite and Postgres;
 * everything in `src/` that needs more than a `BaseCheckpointSaver` asks for a {@link ThreadStore}.
 */

import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";

/** One thread, as `listThreads` tells it; read without touching any checkpoint's values. */
export interface ThreadInfo {
  threadId: string;
  /** ISO instant of the first write. */
  createdAt: string;
  /** ISO instant of the last checkpoint. */
  updatedAt: string;
  /** The user's own metadata of the runs on this thread, the latest value of each key. */
  metadata: Record<string, unknown>;
  /** Checkpoints of all namespaces. */
  checkpoints: number;
}

export interface ListThreadsOptions {
  /** Only threads whose metadata has these values (compared deeply). */
  metadata?: Record<string, unknown>;
  createdAfter?: Date | string;
  createdBefore?: Date | string;
  updatedAfter?: Date | string;
  updatedBefore?: Date | string;
  /** Only threads whose id begins so. */
  prefix?: string;
  /** At most this many; default 100. */
  limit?: number;
  /** Goes on where an earlier call ended: its `cursor`. */
  cursor?: string;
}

export interface ThreadPage {
  /** Latest updated first. */
  threads: ThreadInfo[];
  /** For the next call; absent on the last page. */
  cursor?: string;
}

/**
 * What `prune` keeps. A checkpoint stays when any rule given keeps it; at least one rule is needed.
 * The latest checkpoint of each namespace, and one with an unanswered interrupt, always stays.
 */
export interface PrunePolicy {
  /** The newest N checkpoints of each namespace. */
  keepLast?: number;
  /** Everything younger than this many milliseconds, or since this instant. */
  keepSince?: number | Date;
  /** Only what must always stay. */
  latestOnly?: boolean;
  /** Say what would go, and change nothing. */
  dryRun?: boolean;
}

export interface PruneResult {
  threads: number;
  /** Checkpoints that went. */
  checkpoints: number;
  /** Checkpoints that stayed. */
  kept: number;
  /** Bytes of values, payloads and writes that went. */
  bytes: number;
}

export interface ChannelStats {
  channel: string;
  /** Stored versions: keyframes and deltas. */
  versions: number;
  keyframes: number;
  bytes: number;
}

export interface ThreadStats {
  threads: number;
  checkpoints: number;
  pendingWrites: number;
  /** Bytes of all rows' data: values, payloads, pending writes, checkpoint headers. */
  bytes: number;
  payloads: { count: number; bytes: number };
  pendingWriteBytes: number;
  checkpointBytes: number;
  /** Largest first. */
  channels: ChannelStats[];
}

/** Operations on whole threads. Every holdfast saver is a `BaseCheckpointSaver` and this. */
export interface ThreadStore {
  setup(): Promise<void>;
  end(): Promise<void>;
  listThreads(options?: ListThreadsOptions): Promise<ThreadPage>;
  /**
   * Copies all checkpoints and writes of a thread, with their ids, to a new thread id.
   * @throws {NotFoundError} no such thread
   * @throws {InvalidInputError} the target exists
   */
  copyThread(from: string, to: string): Promise<void>;
  deleteThread(threadId: string): Promise<void>;
  /** Removes what the policy does not keep, of these threads; "*" for all. */
  prune(threadIds: readonly string[] | "*", policy: PrunePolicy): Promise<PruneResult>;
  /** Removes the checkpoints that these runs (`metadata.run_id` or `runId` of the config) wrote. */
  deleteForRuns(runIds: readonly string[]): Promise<PruneResult>;
  /** Of one thread, or of the whole database. */
  stats(threadId?: string): Promise<ThreadStats>;
}

/** True for a saver of holdfast, of any copy of the package. */
export function isThreadStore(saver: unknown): saver is BaseCheckpointSaver & ThreadStore {
  return (
    typeof saver === "object" &&
    saver !== null &&
    ["listThreads", "copyThread", "prune", "deleteForRuns", "stats"].every(
      (name) => typeof (saver as Record<string, unknown>)[name] === "function",
    )
  );
}
