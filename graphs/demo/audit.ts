/**
 * Holds the log of executions against the database: a step whose result was stored when the process
 * died must not have begun again.
 */

import type { BaseCheckpointSaver } from "@langchain/langgraph";
import { isDeepStrictEqual } from "node:util";
import { isStep, type JournalLine } from "./journal.ts";
import type { ResearchGraph, Point } from "./thread.ts";

/** The steps whose results are in the database, by task id, with their node's name. */
export async function storedSteps(
  graph: ResearchGraph,
  saver: Pick<BaseCheckpointSaver, "getTuple">,
  thread: string,
): Promise<Map<string, string>> {
  const config = { configurable: { thread_id: thread } };
  const stored = new Map<string, string>();
  let isLatest = true;
  for await (const { tasks } of graph.getStateHistory(config)) {
    // Of the latest superstep, those with pending writes; of all before it, every one.
    const tuple = isLatest ? await saver.getTuple(config) : undefined;
    const written = new Set(
      tuple?.pendingWrites?.filter(([, channel]) => channel !== "__error__").map(([task]) => task),
    );
    for (const { id, name } of tasks)
      if (isStep(name) && (!isLatest || written.has(id))) stored.set(id, name);
    isLatest = false;
  }
  return stored;
}

export interface Verdict {
  /** Executions begun before and after the kill. */
  before: number;
  after: number;
  /** Stored before the kill. */
  stored: number;
  /** Stored, and begun again all the same: must be none. */
  repeated: string[];
  /** In flight at the kill, so begun again. */
  again: string[];
  /** How many of those had returned, with their results on the way to the database. */
  unstored: number;
  /** Different steps in both processes together. */
  distinct: number;
}

export function audit(
  lines: readonly JournalLine[],
  stored: ReadonlyMap<string, string>,
  [killed, resumed]: readonly [pid: number, pid: number],
): Verdict {
  const began = lines.filter(({ event }) => event === "began");
  const before = began.filter(({ pid }) => pid === killed);
  const after = began.filter(({ pid }) => pid === resumed);
  const known = new Set(before.map(({ task }) => task));
  const returned = new Set(
    lines
      .filter(({ event, pid }) => event === "returned" && pid === killed)
      .map(({ task }) => task),
  );
  const again = after.filter(({ task }) => known.has(task) && !stored.has(task));
  return {
    before: before.length,
    after: after.length,
    stored: stored.size,
    repeated: after.filter(({ task }) => stored.has(task)).map(({ node }) => node),
    again: again.map(({ node }) => node),
    unstored: again.filter(({ task }) => returned.has(task)).length,
    distinct: new Set([...before, ...after].map(({ task }) => task)).size,
  };
}

/** The checkpoints that read back otherwise than they did: must be none. */
export function changedStates(before: readonly Point[], after: readonly Point[]): string[] {
  const now = new Map(after.map((point) => [point.checkpointId, point]));
  return before
    .filter(({ checkpointId, values, next }) => {
      const other = now.get(checkpointId);
      return !other || !isDeepStrictEqual([values, next], [other.values, other.next]);
    })
    .map(({ checkpointId }) => checkpointId);
}
