/**
 * What LangGraph's own channels tell about a checkpoint, without its graph: what waits to run, and
 * which nodes wrote it. They are an implementation detail of LangGraph; test/history/guards.test.ts
 * notices when they change.
 */

import { TASKS, compareChannelVersions, isDeltaSnapshot } from "@langchain/langgraph-checkpoint";
import type { Checkpoint, CheckpointTuple } from "@langchain/langgraph-checkpoint";

const START = "__start__";
/** Holds the state of a graph whose state isn't an object with keys. */
export const ROOT = "__root__";
/** Present in checkpoints of `entrypoint()` functions only; they return what is in `__end__`. */
const PREVIOUS = "__previous__";
const END = "__end__";

/** Keys of `versions_seen` that no node has. */
const NOT_NODES: ReadonlySet<string> = new Set(["__input__", "__interrupt__"]);

/** True for channels that steer the graph and hold no state of the user's. */
export function isControlChannel(name: string): boolean {
  return (
    name.startsWith("branch:") ||
    name.startsWith("join:") ||
    [START, END, PREVIOUS, TASKS].includes(name)
  );
}

/**
 * The state as a user sees it, as far as a checkpoint alone holds it. Values of a `DeltaChannel`
 * are there only where LangGraph put a snapshot of them.
 */
export function valuesOf(checkpoint: Checkpoint): unknown {
  const values: Record<string, unknown> = checkpoint.channel_values;
  if (Object.hasOwn(values, ROOT)) return values[ROOT];
  if (Object.hasOwn(checkpoint.channel_versions, PREVIOUS)) return values[END] ?? null;
  return Object.fromEntries(
    Object.entries(values)
      .filter(([name]) => !isControlChannel(name))
      .map(([name, value]) => [name, isDeltaSnapshot(value) ? value.value : value]),
  );
}

/**
 * Channels whose values the two checkpoints don't both hold (those of a `DeltaChannel`), and to
 * which the step from the parent wrote.
 */
export function deltaChannelsWritten(parent: CheckpointTuple, child: CheckpointTuple): string[] {
  const before = parent.checkpoint;
  const after = child.checkpoint;
  const written = new Set(parent.pendingWrites?.map(([, channel]) => channel));
  return Object.entries(after.channel_versions)
    .filter(
      ([name, version]) =>
        !isControlChannel(name) &&
        written.has(name) &&
        version !== before.channel_versions[name] &&
        !holdsInFull(before, name) &&
        !holdsInFull(after, name),
    )
    .map(([name]) => name);
}

/** False for a `DeltaChannel`, even where LangGraph put a snapshot of it: the next step has none. */
export function holdsInFull({ channel_values }: Checkpoint, channel: string): boolean {
  const values: Record<string, unknown> = channel_values;
  return Object.hasOwn(values, channel) && !isDeltaSnapshot(values[channel]);
}

/** Nodes that run next, `Send`s first; undefined where only the graph knows. */
export function nextNodes(checkpoint: Checkpoint): string[] | undefined {
  const versions = checkpoint.channel_versions;
  // Only graphs with LangGraph's usual channels can be read; functions keep no node names.
  if (!Object.hasOwn(versions, START) || Object.hasOwn(versions, PREVIOUS)) return undefined;
  const triggered = new Set<string>();
  for (const [channel, version] of Object.entries(versions)) {
    const node = nodeTriggeredBy(channel, checkpoint.channel_values);
    if (node === undefined) continue;
    const seen = checkpoint.versions_seen[node]?.[channel];
    if (seen === undefined || compareChannelVersions(version, seen) > 0) triggered.add(node);
  }
  return [...sendsOf(checkpoint), ...[...triggered].toSorted()];
}

function nodeTriggeredBy(channel: string, values: Record<string, unknown>): string | undefined {
  // Savers may keep a channel that has no value, or may leave it out.
  const value = Object.hasOwn(values, channel) ? values[channel] : undefined;
  if (value === undefined) return undefined;
  if (channel === START) return START;
  const direct = /^branch:to:(.+)$/s.exec(channel)?.[1];
  if (direct !== undefined) return isFinished(value) ? direct : undefined;
  const [, starts, end] = /^join:(.+):(.+)$/s.exec(channel) ?? [];
  if (starts === undefined) return undefined;
  const arrived: unknown = Array.isArray(value) && Array.isArray(value[0]) ? value[0] : value;
  if (!Array.isArray(arrived) || !isFinished(value)) return undefined;
  // The channel is named after all nodes that it waits for.
  const names = arrived.map(String).toSorted();
  return names.join("+") === starts.split("+").toSorted().join("+") ? end : undefined;
}

/** A deferred node's channel holds `[value, finished]`; other channels count as finished. */
function isFinished(value: unknown): boolean {
  return !(Array.isArray(value) && value.length === 2 && value[1] === false);
}

/** Target nodes of the `Send` packets that wait at a checkpoint. */
function sendsOf(checkpoint: Checkpoint): string[] {
  const packets: unknown = checkpoint.channel_values[TASKS];
  if (!Array.isArray(packets)) return [];
  return packets.flatMap((packet: unknown) =>
    typeof packet === "object" && packet !== null && "node" in packet ? [String(packet.node)] : [],
  );
}

/**
 * Nodes whose writes made the child out of the parent; without a parent, those that ever ran.
 *
 * A `Send` shows as a packet at the parent; any other task raises what its node has seen. An update
 * shows its node only where that had never run before: LangGraph keeps no other trace of it.
 */
export function writersOf(parent: CheckpointTuple | undefined, child: CheckpointTuple): string[] {
  const source = child.metadata?.source ?? "loop";
  // An input discards what was waiting, and a copy runs nothing: no node wrote them.
  if (source === "input" || source === "fork") return [];
  const before = parent?.checkpoint.versions_seen ?? {};
  const sent = source === "loop" && parent !== undefined ? sendsOf(parent.checkpoint) : [];
  const ran = Object.entries(child.checkpoint.versions_seen).filter(([node, seen]) => {
    if (NOT_NODES.has(node)) return false;
    const channels = Object.entries(seen);
    if (channels.length === 0) return before[node] === undefined && !sent.includes(node);
    return channels.some(([channel, version]) => before[node]?.[channel] !== version);
  });
  return [...sent, ...ran.map(([node]) => node).toSorted()];
}
