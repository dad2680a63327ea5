/**
 * Which writes made a checkpoint out of its parent, as far as `DeltaChannel`s need to know.
 *
 * A checkpoint does not hold the value of such a channel: it is rebuilt from the pending writes of
 * its ancestors. A parent with several children has writes of all of them, and LangGraph's contract
 * does not say whose are whose; but what a saver replays for a child, less what it replays for the
 * parent, are the child's.
 */

import type {
  Checkpoint,
  CheckpointPendingWrite,
  CheckpointTuple,
} from "@langchain/langgraph-checkpoint";
import { isControlChannel } from "./channels.ts";
import type { AnySaver } from "./source.ts";

/** Undefined when the child holds all its values itself. */
export async function deltaWritesOf(
  saver: AnySaver,
  parent: CheckpointTuple,
  child: CheckpointTuple,
): Promise<CheckpointPendingWrite[] | undefined> {
  const channels = valuelessChannels(child.checkpoint);
  if (channels.length === 0) return undefined;
  const replayed = await saver.getDeltaChannelHistory({ config: child.config, channels });
  // Where the parent holds the value, the child's replay begins with it.
  const older = channels.filter((name) => !Object.hasOwn(parent.checkpoint.channel_values, name));
  const before = await saver.getDeltaChannelHistory({ config: parent.config, channels: older });
  return channels.flatMap(
    (name) => replayed[name]?.writes.slice(before[name]?.writes.length ?? 0) ?? [],
  );
}

function valuelessChannels(checkpoint: Checkpoint): string[] {
  return Object.keys(checkpoint.channel_versions).filter(
    (name) => !isControlChannel(name) && !Object.hasOwn(checkpoint.channel_values, name),
  );
}
