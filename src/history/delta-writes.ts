/**
 * Which writes made a checkpoint out of its parent, as far as `DeltaChannel`s need to know.
 *
 * A checkpoint does not hold the value of such a channel: it is rebuilt from the pending writes of
 * its ancestors. A parent with several children has writes of all of them, and LangGraph's contract
 * does not say whose are whose; but what a saver replays for a child, less what it replays for the
 * parent, are the child's.
 */

import { WRITES_IDX_MAP } from "@langchain/langgraph-checkpoint";
import type {
  Checkpoint,
  CheckpointPendingWrite,
  CheckpointTuple,
} from "@langchain/langgraph-checkpoint";
import { holdsInFull, isControlChannel } from "./channels.ts";
import type { AnySaver } from "./source.ts";

/**
 * All results of the tasks whose writes the child's `DeltaChannel`s took, in their old order, so that
 * each keeps its index; undefined when the child holds all its values itself.
 */
export async function deltaWritesOf(
  saver: AnySaver,
  parent: CheckpointTuple,
  child: CheckpointTuple,
): Promise<CheckpointPendingWrite[] | undefined> {
  const channels = valuelessChannels(parent, child.checkpoint);
  if (channels.length === 0) return undefined;
  const replayed = await saver.getDeltaChannelHistory({ config: child.config, channels });
  // Where the parent holds the value, the child's replay begins with it.
  const older = channels.filter((name) => !Object.hasOwn(parent.checkpoint.channel_values, name));
  const before = await saver.getDeltaChannelHistory({ config: parent.config, channels: older });
  const taken = channels.flatMap(
    (name) => replayed[name]?.writes.slice(before[name]?.writes.length ?? 0) ?? [],
  );
  return withOtherResults(taken, parent.pendingWrites ?? [], new Set(channels));
}

/** False only where no child's `DeltaChannel` can have taken anything of these pending writes. */
export function mayFeedDeltaChannels({ checkpoint, pendingWrites = [] }: CheckpointTuple): boolean {
  return pendingWrites.some(
    ([, channel]) =>
      !isControlChannel(channel) &&
      !(channel in WRITES_IDX_MAP) &&
      !holdsInFull(checkpoint, channel),
  );
}

/** The taken writes in place of the pending ones of the same task to the same channel. */
function withOtherResults(
  taken: readonly CheckpointPendingWrite[],
  pending: readonly CheckpointPendingWrite[],
  channels: ReadonlySet<string>,
): CheckpointPendingWrite[] {
  const left = new Set(taken);
  const tasks = new Set(taken.map(([taskId]) => taskId));
  const results: CheckpointPendingWrite[] = [];
  for (const write of pending) {
    const [taskId, channel] = write;
    if (!tasks.has(taskId) || channel in WRITES_IDX_MAP) continue;
    const found = [...left].find((each) => each[0] === taskId && each[1] === channel);
    if (found !== undefined) left.delete(found);
    if (found !== undefined || !channels.has(channel)) results.push(found ?? write);
  }
  return [...results, ...left];
}

/** By version, and by what the parent's tasks wrote: a copy of the parent knows nothing of that yet. */
function valuelessChannels(parent: CheckpointTuple, child: Checkpoint): string[] {
  const channels = new Set([
    ...Object.keys(child.channel_versions),
    ...(parent.pendingWrites ?? []).map(([, channel]) => channel),
  ]);
  return [...channels].filter(
    (name) =>
      !isControlChannel(name) &&
      !(name in WRITES_IDX_MAP) &&
      !Object.hasOwn(child.channel_values, name),
  );
}
