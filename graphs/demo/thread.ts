/** The thread as its checkpoints tell it: a tree of states, from the input to the tip of each branch. */

import { history, type HistoryPoint } from "holdfast";
import type { createResearchGraph } from "../research.ts";
import type { State } from "../research/state.ts";

export type ResearchGraph = ReturnType<typeof createResearchGraph>;
export type Point = HistoryPoint<Partial<State>>;

/** Oldest first. */
export async function readThread(graph: ResearchGraph, thread: string): Promise<Point[]> {
  const points: Point[] = [];
  for await (const point of history<Partial<State>>(graph, thread)) points.push(point);
  return points.toReversed();
}

/** From the beginning to this point. */
export function lineage(points: readonly Point[], tip: Point): Point[] {
  const byId = new Map(points.map((point) => [point.checkpointId, point]));
  const line: Point[] = [];
  for (let at: Point | undefined = tip; at; at = byId.get(at.parentId ?? "")) line.unshift(at);
  return line;
}
