/**
 * What a saver holds, without its values: thread ids, and the ids of a thread's checkpoints.
 *
 * LangGraph's contract lists checkpoints with all their values only. The official savers are read
 * through a serializer that decodes nothing, which costs little, and a damaged row can't hide the
 * rows behind it. Other savers may keep what they decode, so they are read as they are.
 */

import type { CheckpointTuple, SerializerProtocol } from "@langchain/langgraph-checkpoint";
import { CorruptDataError } from "../errors.ts";
import { EVENTS_CHANNEL } from "../event-store.ts";
import { isThreadStore } from "../store.ts";
import { addressOf, parentIdOf } from "./address.ts";
import type { AnySaver } from "./source.ts";

export interface Outline {
  namespace: string;
  checkpointId: string;
  parentId: string | undefined;
  /** Tasks with pending writes, and the channels that they wrote to. */
  tasks: ReadonlyMap<string, ReadonlySet<string>>;
}

/**
 * All threads, each once.
 *
 * @throws {CorruptDataError} the saver stopped in the middle of its list
 */
export async function listThreadIds(saver: AnySaver): Promise<string[]> {
  const ids = new Set<string>();
  if (isThreadStore(saver)) {
    for (let cursor: string | undefined; ;) {
      const page = await saver.listThreads(cursor === undefined ? {} : { cursor });
      for (const { threadId } of page.threads) ids.add(threadId);
      cursor = page.cursor;
      if (cursor === undefined) return [...ids];
    }
  }
  try {
    for await (const tuple of undecoded(saver).list({})) ids.add(addressOf(tuple).threadId);
  } catch (cause) {
    throw new CorruptDataError(
      `The saver failed after listing ${ids.size} threads. Name the threads to import with ` +
        "`threadIds`; those that can't be read are then reported one by one.",
      { cause },
    );
  }
  return [...ids];
}

/** Every checkpoint of a thread, in all namespaces, in the saver's order. */
export async function outlineThread(saver: AnySaver, threadId: string): Promise<Outline[]> {
  const outlines: Outline[] = [];
  for await (const tuple of undecoded(saver).list({ configurable: { thread_id: threadId } })) {
    const at = addressOf(tuple);
    // To the official savers an empty thread id means all threads.
    if (at.threadId === threadId) outlines.push(outlineOf(tuple));
  }
  return outlines;
}

function outlineOf(tuple: CheckpointTuple): Outline {
  const { namespace, checkpointId } = addressOf(tuple);
  const tasks = new Map<string, Set<string>>();
  for (const [taskId, channel] of tuple.pendingWrites ?? []) {
    // Some of these do not come along.
    if (channel === EVENTS_CHANNEL) continue;
    tasks.set(taskId, (tasks.get(taskId) ?? new Set()).add(channel));
  }
  return { namespace, checkpointId, parentId: parentIdOf(tuple), tasks };
}

const OFFICIAL: readonly string[] = [
  "MemorySaver",
  "InMemorySaver",
  "SqliteSaver",
  "PostgresSaver",
];

/** Stands for every stored value; official savers look at nothing but the format's number. */
const NOT_DECODED = {
  v: 4,
  id: "",
  ts: "",
  channel_values: {},
  channel_versions: {},
  versions_seen: {},
};

function undecoded(saver: AnySaver): AnySaver {
  if (!OFFICIAL.includes(saver.constructor.name) || isThreadStore(saver)) return saver;
  const serde: SerializerProtocol = {
    dumpsTyped: (value) => saver.serde.dumpsTyped(value),
    loadsTyped: () => Promise.resolve(NOT_DECODED),
  };
  return Object.create(saver, { serde: { value: serde } }) as AnySaver;
}
