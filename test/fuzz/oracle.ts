/**
 * The oracle: LangGraph's in-memory saver, which stores every checkpoint as a whole and so cannot
 * mix up branches, with the rules that holdfast adds on purpose (research/langgraph-facts.md):
 *
 * - writes of the null task replace earlier ones, all of them, as LangGraph itself does in memory;
 * - a failed task's channel writes are not stored beside its error, or a resume takes it for done;
 * - a checkpoint keeps its parent: an "exit" invocation that got no further puts the one it started
 *   from again, with itself as the parent.
 */

import {
  ERROR,
  MemorySaver,
  WRITES_IDX_MAP,
  type Checkpoint,
  type CheckpointMetadata,
  type PendingWrite,
} from "@langchain/langgraph-checkpoint";
import type { RunnableConfig } from "@langchain/core/runnables";

export const NULL_TASK_ID = "00000000-0000-0000-0000-000000000000";

/** Where a failed task's error handler finds what failed; not a channel. */
const ERROR_SOURCE_NODE = "__error_source_node__";

export class Oracle extends MemorySaver {
  override async put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
  ): Promise<RunnableConfig> {
    const { thread_id, checkpoint_ns = "", checkpoint_id } = config.configurable ?? {};
    if (checkpoint_id !== checkpoint.id) return super.put(config, checkpoint, metadata);
    const [, , parent] =
      this.storage[thread_id as string]?.[checkpoint_ns as string]?.[checkpoint.id] ?? [];
    const configurable = { ...config.configurable, checkpoint_id: parent };
    return super.put({ ...config, configurable }, checkpoint, metadata);
  }

  override async putWrites(
    given: RunnableConfig,
    writes: PendingWrite[],
    taskId: string,
  ): Promise<void> {
    // `updateState` on a checkpoint by id passes no namespace, which the in-memory saver refuses.
    const config = { ...given, configurable: { checkpoint_ns: "", ...given.configurable } };
    const failed = writes.some(([channel]) => channel === ERROR);
    const kept = failed
      ? writes.filter(([channel]) => channel in WRITES_IDX_MAP || channel === ERROR_SOURCE_NODE)
      : writes;
    if (taskId === NULL_TASK_ID) this.#replace(config, kept);
    await super.putWrites(config, kept, taskId);
  }

  #replace(config: RunnableConfig, writes: PendingWrite[]): void {
    const { thread_id, checkpoint_ns = "", checkpoint_id } = config.configurable ?? {};
    const rows = this.writes[JSON.stringify([thread_id, checkpoint_ns, checkpoint_id])];
    if (rows === undefined) return;
    const isSpecial = (channel: string): boolean => channel in WRITES_IDX_MAP;
    const tells = writes.some(([channel]) => !isSpecial(channel));
    for (const [key, [task, channel]] of Object.entries(rows)) {
      if (task !== NULL_TASK_ID) continue;
      const isNew = writes.some(([name]) => name === channel);
      if (isSpecial(channel) ? isNew : tells) delete rows[key];
    }
  }
}
