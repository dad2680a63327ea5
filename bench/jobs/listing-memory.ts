/**
 * The most memory that is alive at once while a whole history is listed and nothing of it is held.
 * Garbage is collected before each look, so that only what the saver keeps is counted.
 */

import { loadSaver } from "../support/open-saver.ts";
import type { StoredPlace } from "../support/place.ts";
import { THREAD, chatGraph } from "../workloads/chat.ts";
import { DOCUMENT_THREAD, documentGraph } from "../workloads/document.ts";

const STATES_PER_LOOK = 10;

export interface ListingMemory {
  readonly place: StoredPlace;
  readonly thread: "chat" | "document";
  readonly through: "saver.list" | "getStateHistory";
  readonly states: number;
}

/** Bytes above what the process held before it opened the saver. */
export async function listingMemory(job: ListingMemory): Promise<number> {
  const load = await loadSaver(job.place);
  const graph = job.thread === "chat" ? chatGraph() : documentGraph();
  const thread = job.thread === "chat" ? THREAD : DOCUMENT_THREAD;
  const before = alive();
  const open = load();
  graph.checkpointer = open.saver;
  const listing =
    job.through === "saver.list" ? open.saver.list(thread) : graph.getStateHistory(thread);
  let peak = 0;
  let seen = 0;
  while ((await listing.next()).done !== true) {
    if (seen++ % STATES_PER_LOOK === 0) peak = Math.max(peak, alive() - before);
  }
  await open.end();
  if (seen !== job.states) throw new Error(`Expected ${job.states} states, got ${seen}.`);
  return peak;
}

function alive(): number {
  if (globalThis.gc === undefined) throw new Error("This job needs --expose-gc.");
  globalThis.gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
