/**
 * Whether a checkpoint is the last of its run: LangGraph tells a saver nothing but what to store, but the
 * checkpoint of a `StateGraph` holds the channels by which its next tasks are due.
 *
 * Invariants
 *   E1  True only where no task is due. In doubt (a graph of another make, whose channels have other
 *       names) it is false.
 *   E2  For a `StateGraph` it is true wherever no task is due.
 */

import { TASKS, type Checkpoint, type CheckpointMetadata } from "@langchain/langgraph-checkpoint";

/** Starts a node: there as long as the node is due. */
const BRANCH = "branch:to:";
/** `join:a+b:c` starts `c` once `a` and `b` are through; it holds those that are, until `c` runs. */
const JOIN = "join:";

export function endsRun(
  { channel_values: values, versions_seen: seen }: Checkpoint,
  metadata: CheckpointMetadata | undefined,
): boolean {
  // What somebody put by hand, or begins with, is not the end of any work.
  if (metadata?.source !== "loop") return false;
  for (const [node, channels] of Object.entries(seen)) {
    if (!Object.keys(channels).every((channel) => isStartOf(node, channel))) return false;
  }
  if (isFilled(values[TASKS])) return false;
  return !Object.entries(values).some(([channel, value]) => isDue(channel, value));
}

function isStartOf(node: string, channel: string): boolean {
  // LangGraph's own: its input, what it interrupted, and the node that hands the input on.
  if (node.startsWith("__")) return true;
  if (channel === `${BRANCH}${node}`) return true;
  return channel.startsWith(JOIN) && channel.endsWith(`:${node}`);
}

function isDue(channel: string, value: unknown): boolean {
  // A deferred node's is there, and empty, once the node has begun.
  if (channel.startsWith(BRANCH)) return value !== undefined;
  if (!channel.startsWith(JOIN) || !Array.isArray(value)) return false;
  // That of a deferred node says whether it may begin, too; once all are through, it will.
  const [first] = value as unknown[];
  const through = (Array.isArray(first) ? first : value) as string[];
  const starts = channel.slice(JOIN.length, channel.lastIndexOf(":"));
  return through.length > 0 && through.join("+").length === starts.length;
}

function isFilled(sends: unknown): boolean {
  return Array.isArray(sends) && sends.length > 0;
}
