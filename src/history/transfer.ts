/** Puts a checkpoint as another saver, or another namespace, told it: by LangGraph's contract alone. */

import type { RunnableConfig } from "@langchain/core/runnables";
import { WRITES_IDX_MAP } from "@langchain/langgraph-checkpoint";
import type {
  Checkpoint,
  CheckpointPendingWrite,
  CheckpointTuple,
  PendingWrite,
} from "@langchain/langgraph-checkpoint";
import { configFor } from "./address.ts";
import type { AnySaver } from "./source.ts";

export interface Target {
  threadId: string;
  namespace: string;
  parentId: string | undefined;
}

/**
 * @param deltaWrites those of the parent's pending writes that made this checkpoint, where it has
 *   `DeltaChannel`s and its parent may have other children
 */
export async function putCheckpoint(
  saver: AnySaver,
  { threadId, namespace, parentId }: Target,
  checkpoint: Checkpoint,
  metadata: CheckpointTuple["metadata"],
  deltaWrites?: readonly CheckpointPendingWrite[],
): Promise<void> {
  let config = configFor(threadId, namespace, parentId);
  if (deltaWrites !== undefined) {
    // A saver that can keep forks of a DeltaChannel apart does so by who does what: it must see one
    // loop read the parent, leave its writes there, and then a child. It knows a loop by this object.
    config = { ...config, metadata: {} };
    await saver.getTuple(config);
    await putWritesByTask(saver, config, deltaWrites);
  }
  await saver.put(
    config,
    checkpoint,
    metadata ?? { source: "loop", step: -1, parents: {} },
    // A saver that stores by version must not take any value for one that it has.
    checkpoint.channel_versions,
  );
}

export async function putPendingWrites(
  saver: AnySaver,
  at: { threadId: string; namespace: string; checkpointId: string },
  writes: readonly CheckpointPendingWrite[],
): Promise<void> {
  await putWritesByTask(saver, configFor(at.threadId, at.namespace, at.checkpointId), writes);
}

/**
 * One call per task and kind. A write's index is its place in the call, but for special channels,
 * which have their own. An error stays apart from results: a task that failed and then succeeded has
 * both, while a saver may take an error and results put at once for those of a task that failed.
 */
async function putWritesByTask(
  saver: AnySaver,
  config: RunnableConfig,
  writes: readonly CheckpointPendingWrite[],
): Promise<void> {
  const isSpecial = ([, channel]: CheckpointPendingWrite): boolean => channel in WRITES_IDX_MAP;
  for (const some of [writes.filter((write) => !isSpecial(write)), writes.filter(isSpecial)]) {
    const byTask = new Map<string, PendingWrite[]>();
    for (const [taskId, channel, value] of some) {
      const ofTask = byTask.get(taskId) ?? [];
      ofTask.push([channel, value]);
      byTask.set(taskId, ofTask);
    }
    for (const [taskId, ofTask] of byTask) await saver.putWrites(config, ofTask, taskId);
  }
}
