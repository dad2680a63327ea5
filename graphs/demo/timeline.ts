/** The table of a thread's states: who wrote each, when, what changed, and in which process. */

import { isStep, type JournalLine } from "./journal.ts";
import type { Point } from "./thread.ts";

export function timeline(
  points: readonly Point[],
  journal: readonly JournalLine[],
  killed: number,
): string[][] {
  const started = Date.parse(points[0]?.createdAt ?? "");
  const byId = new Map(points.map((point) => [point.checkpointId, point]));
  const ranIn = new Map<string, number>();
  for (const { event, task, pid } of journal) if (event === "returned") ranIn.set(task, pid);

  const rows = points.map((point) => {
    const tasks = byId.get(point.parentId ?? "")?.tasks ?? [];
    const pids = new Set(tasks.map(({ id }) => ranIn.get(id)).filter((pid) => pid !== undefined));
    return [
      point.checkpointId.slice(-12),
      `+${((Date.parse(point.createdAt) - started) / 1000).toFixed(2)} s`,
      writerOf(point),
      [...pids].map((pid) => (pid === killed ? `${pid} (killed)` : `${pid}`)).join(" + "),
      point.changed.flatMap((channel) => described(channel, point)).join(", "),
    ];
  });
  return [["checkpoint", "time", "written by", "in process", "changed"], ...rows];
}

function writerOf({ nodes, source }: Point): string {
  const [node] = nodes.filter(isStep);
  // The first superstep only takes the input in.
  if (node === undefined) return source === "loop" ? "start" : source;
  return nodes.length > 1 ? `${node} ×${nodes.length}` : node;
}

/** A channel's name, with the length of a list; nothing for a channel that is still empty. */
function described(channel: string, { values }: Point): string[] {
  const value: unknown = Object.entries(values).find(([name]) => name === channel)?.[1];
  if (Array.isArray(value)) return value.length === 0 ? [] : [`${channel} (${value.length})`];
  return value === null || value === "" ? [] : [channel];
}
