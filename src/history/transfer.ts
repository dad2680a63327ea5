/** Puts a checkpoint as another saver, or another namespace, told it: by LangGraph's contract alone. */

import type { RunnableConfig } from "@langchain/core/runnables";
import { WRITES_IDX_MAP } from "@langchain/langgraph-checkpoint";
import type {
  Checkpoint,
  CheckpointPendingWrite,
  CheckpointTuple,
  PendingWrite,
} from "@langchain/langgraph-checkpoint";
import { EVENTS_CHANNEL } from "../event-store.ts";
import { configFor } from "./address.ts";
import type { Address } from "./address.ts";
import type { AnySaver } from "./source.ts";

export interface Target {
  threadId: string;
  namespace: string;
  parentId: string | undefined;
}

/**
 * One run of a graph, or one update, from a checkpoint to a child of it.
 *
 * A saver that keeps forks of a `DeltaChannel` apart does so by who does what: it must see one loop
 * read the parent, leave its writes there, and then the child. It knows a loop by its metadata object.
 */
export interface Loop {
  config: RunnableConfig;
  writes: readonly CheckpointPendingWrite[];
}

/** Begins a loop, before anything is written to the checkpoint that the loop would then go on from. */
export async function beginLoop(saver: AnySaver, at: Address): Promise<Loop> {
  const config = { ...configFor(at.threadId, at.namespace, at.checkpointId), metadata: {} };
  await saver.getTuple(config);
  return { config, writes: [] };
}

/** @param loop what made the checkpoint, where its parent may have writes of several loops */
export async function putCheckpoint(
  saver: AnySaver,
  { threadId, namespace, parentId }: Target,
  checkpoint: Checkpoint,
  metadata: CheckpointTuple["metadata"],
  loop?: Loop,
): Promise<void> {
  const config = loop?.config ?? configFor(threadId, namespace, parentId);
  // Events that went into it have left where they were emitted.
  const writes = (loop?.writes ?? []).filter(([, channel]) => channel !== EVENTS_CHANNEL);
  await putWritesByTask(saver, config, writes);
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
  at: Address,
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
