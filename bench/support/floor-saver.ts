/**
 * LangGraph's floor: a whole and correct saver that keeps references in memory, so that what is
 * left to measure is LangGraph itself. No serialization, no copies of values, integer versions. It
 * passes the official validation suite but for checkpoints older than format 4, which it never
 * sees, and for leaving out values without a new version, which MemorySaver doesn't do either.
 */

import type { RunnableConfig } from "@langchain/core/runnables";
import {
  BaseCheckpointSaver,
  WRITES_IDX_MAP,
  copyCheckpoint,
  type Checkpoint,
  type CheckpointListOptions,
  type CheckpointMetadata,
  type CheckpointPendingWrite,
  type CheckpointTuple,
  type PendingWrite,
} from "@langchain/langgraph-checkpoint";

interface Kept {
  readonly checkpoint: Checkpoint;
  readonly metadata: CheckpointMetadata;
  readonly parentId: string | undefined;
}

interface Namespace {
  /** By checkpoint id. */
  readonly checkpoints: Map<string, Kept>;
  /** By checkpoint id, then by task and index. Writes may come before their checkpoint. */
  readonly writes: Map<string, Map<string, CheckpointPendingWrite>>;
  /** The greatest id so far: ids of checkpoints sort by time. */
  latest: string;
}

function text(value: unknown, what: string): string {
  if (typeof value !== "string") throw new Error(`The floor saver needs configurable.${what}.`);
  return value;
}

export class FloorSaver extends BaseCheckpointSaver {
  readonly #threads = new Map<string, Map<string, Namespace>>();

  async getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    const threadId: unknown = config.configurable?.["thread_id"];
    if (typeof threadId !== "string") return undefined;
    const ns = text(config.configurable?.["checkpoint_ns"] ?? "", "checkpoint_ns");
    const kept = this.#threads.get(threadId)?.get(ns);
    const asked: unknown = config.configurable?.["checkpoint_id"];
    const id = typeof asked === "string" && asked !== "" ? asked : kept?.latest;
    if (kept === undefined || id === undefined) return undefined;
    return this.#tuple(threadId, ns, kept, id);
  }

  async *list(
    config: RunnableConfig,
    options: CheckpointListOptions = {},
  ): AsyncGenerator<CheckpointTuple> {
    const { thread_id, checkpoint_ns, checkpoint_id } = config.configurable ?? {};
    const before: unknown = options.before?.configurable?.["checkpoint_id"];
    const filter = Object.entries(options.filter ?? {});
    let left = options.limit ?? Infinity;
    for (const [threadId, namespaces] of this.#threads) {
      if (thread_id !== undefined && threadId !== thread_id) continue;
      for (const [ns, kept] of namespaces) {
        if (checkpoint_ns !== undefined && ns !== checkpoint_ns) continue;
        const newestFirst = [...kept.checkpoints.keys()].toSorted().toReversed();
        for (const id of newestFirst) {
          if (typeof checkpoint_id === "string" && id !== checkpoint_id) continue;
          if (typeof before === "string" && id >= before) continue;
          const tuple = this.#tuple(threadId, ns, kept, id);
          if (tuple === undefined) continue;
          const metadata: Record<string, unknown> = { ...tuple.metadata };
          if (!filter.every(([key, value]) => metadata[key] === value)) continue;
          if (left-- <= 0) return;
          yield tuple;
        }
      }
    }
  }

  async put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
  ): Promise<RunnableConfig> {
    const threadId = text(config.configurable?.["thread_id"], "thread_id");
    const ns = text(config.configurable?.["checkpoint_ns"] ?? "", "checkpoint_ns");
    const parentId: unknown = config.configurable?.["checkpoint_id"];
    const kept = this.#namespace(threadId, ns);
    // LangGraph hands over a copy that it does not touch again, so the reference will do.
    kept.checkpoints.set(checkpoint.id, {
      checkpoint,
      metadata,
      parentId: typeof parentId === "string" ? parentId : undefined,
    });
    if (checkpoint.id > kept.latest) kept.latest = checkpoint.id;
    return {
      configurable: { thread_id: threadId, checkpoint_ns: ns, checkpoint_id: checkpoint.id },
    };
  }

  async putWrites(config: RunnableConfig, writes: PendingWrite[], taskId: string): Promise<void> {
    const threadId = text(config.configurable?.["thread_id"], "thread_id");
    const ns = text(config.configurable?.["checkpoint_ns"] ?? "", "checkpoint_ns");
    const id = text(config.configurable?.["checkpoint_id"], "checkpoint_id");
    const kept = this.#namespace(threadId, ns);
    let ofCheckpoint = kept.writes.get(id);
    if (ofCheckpoint === undefined) kept.writes.set(id, (ofCheckpoint = new Map()));
    for (const [at, [channel, value]] of writes.entries()) {
      const index = WRITES_IDX_MAP[channel] ?? at;
      const key = `${taskId},${index}`;
      // As in MemorySaver: a special channel replaces what was there, another write keeps it.
      if (index >= 0 && ofCheckpoint.has(key)) continue;
      ofCheckpoint.set(key, [taskId, channel, value]);
    }
  }

  async deleteThread(threadId: string): Promise<void> {
    this.#threads.delete(threadId);
  }

  #namespace(threadId: string, ns: string): Namespace {
    let namespaces = this.#threads.get(threadId);
    if (namespaces === undefined) this.#threads.set(threadId, (namespaces = new Map()));
    let kept = namespaces.get(ns);
    if (kept === undefined) {
      namespaces.set(ns, (kept = { checkpoints: new Map(), writes: new Map(), latest: "" }));
    }
    return kept;
  }

  #tuple(threadId: string, ns: string, from: Namespace, id: string): CheckpointTuple | undefined {
    const kept = from.checkpoints.get(id);
    if (kept === undefined) return undefined;
    const at = (checkpointId: string) => ({
      configurable: { thread_id: threadId, checkpoint_ns: ns, checkpoint_id: checkpointId },
    });
    const tuple: CheckpointTuple = {
      config: at(id),
      // The containers are copied, since getState applies pending writes to what it is given;
      // the values are not.
      checkpoint: copyCheckpoint(kept.checkpoint),
      metadata: kept.metadata,
      pendingWrites: [...(from.writes.get(id)?.values() ?? [])],
    };
    if (kept.parentId !== undefined) tuple.parentConfig = at(kept.parentId);
    return tuple;
  }
}
