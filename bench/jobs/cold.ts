/**
 * One call in a process that has made none before: opening the database, the connection of the
 * first query and code that no compiler has seen yet all count. Loading modules and compiling the
 * graph do not; they cost every saver the same.
 */

import { FloorSaver } from "../support/floor-saver.ts";
import { loadSaver, openFloor } from "../support/open-saver.ts";
import type { OpenSaver } from "../support/open-saver.ts";
import type { PostgresPlace, StoredPlace } from "../support/place.ts";
import { progress } from "../support/progress.ts";
import {
  CHECKPOINTS_PER_TURN,
  THREAD,
  chatEnd,
  chatGraph,
  checkChatEnd,
  checkChatState,
  messagesAt,
} from "../workloads/chat.ts";
import type { ChatEnd, ChatGraph } from "../workloads/chat.ts";

export interface Cold {
  readonly place: StoredPlace;
  readonly turns: number;
  /** Take the checkpoints into the floor saver first, and measure LangGraph alone. */
  readonly floor?: boolean;
  /** Call the saver's `setup()` first, so that the connection is there when the clock starts. */
  readonly connected?: boolean;
}

export interface ColdResult {
  readonly ms: number;
  /** The most memory this process ever held. */
  readonly peakRss: number;
}

async function fillFloor(from: OpenSaver, states: number): Promise<OpenSaver> {
  const floor = new FloorSaver();
  for await (const tuple of from.saver.list(THREAD, { limit: states })) {
    const at = tuple.parentConfig ?? {
      configurable: { ...THREAD.configurable, checkpoint_ns: "" },
    };
    await floor.put(
      at,
      tuple.checkpoint,
      tuple.metadata ?? { source: "loop", step: 0, parents: {} },
    );
    for (const [task, channel, value] of tuple.pendingWrites ?? []) {
      await floor.putWrites(tuple.config, [[channel, value]], `${task}:${channel}`);
    }
  }
  await from.end();
  return openFloor(floor);
}

async function cold(
  { place, floor, connected }: Cold,
  states: number,
  call: (graph: ChatGraph) => Promise<void>,
): Promise<ColdResult> {
  const load = await loadSaver(place);
  const graph = chatGraph();
  let ready: OpenSaver | undefined;
  if (floor === true) ready = await fillFloor(load(), states);
  if (connected === true) {
    ready = load();
    await ready.setup();
  }
  const start = performance.now();
  const open = ready ?? load();
  graph.checkpointer = open.saver;
  await call(graph);
  const ms = performance.now() - start;
  await open.end();
  return { ms, peakRss: process.resourceUsage().maxRSS * 1024 };
}

export async function coldState(job: Cold): Promise<ColdResult> {
  let values: unknown;
  const result = await cold(job, 1, async (graph) => {
    values = (await graph.getState(THREAD)).values;
  });
  checkChatState(values, job.turns * 2);
  return result;
}

export async function coldHistory(job: Cold): Promise<ColdResult> {
  const expected = job.turns * CHECKPOINTS_PER_TURN;
  const seen: ChatEnd[] = [];
  const result = await cold(job, expected, async (graph) => {
    for await (const state of graph.getStateHistory(THREAD)) {
      seen.push(chatEnd(state.values));
      progress(`state ${seen.length}`);
    }
  });
  // After the clock has stopped: making the texts again takes a good part of LangGraph's own time.
  for (const [back, end] of seen.entries()) checkChatEnd(end, messagesAt(job.turns, back));
  if (seen.length !== expected)
    throw new Error(`Expected ${expected} states, the saver listed ${seen.length}.`);
  return result;
}

/** What any saver must wait for before its first query: a new Postgres connection, answering. */
export async function coldConnection({ place }: { place: PostgresPlace }): Promise<number> {
  const { Pool } = (await import("pg")).default;
  const start = performance.now();
  const pool = new Pool({ connectionString: place.url });
  await pool.query("select 1");
  const ms = performance.now() - start;
  await pool.end();
  return ms;
}
