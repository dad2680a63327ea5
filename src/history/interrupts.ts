/** Questions that a checkpoint's tasks have asked, and that still wait for an answer. */

import { ERROR, INTERRUPT, RESUME, SCHEDULED } from "@langchain/langgraph-checkpoint";
import type { CheckpointTuple } from "@langchain/langgraph-checkpoint";

export interface PendingInterrupt {
  /** What `new Command({ resume: { [id]: answer } })` names. */
  id: string | undefined;
  /** What the node passed to `interrupt()`. */
  value: unknown;
  taskId: string;
}

/** Writes that a task can have without being finished. */
const UNFINISHED: ReadonlySet<string> = new Set([
  ERROR,
  INTERRUPT,
  RESUME,
  SCHEDULED,
  "__error_source_node__",
]);

export function pendingInterrupts(tuple: CheckpointTuple): PendingInterrupt[] {
  const writes = tuple.pendingWrites ?? [];
  // LangGraph leaves an answered task's interrupt where it was: the task's results tell.
  const finished = new Set(
    writes.filter(([, channel]) => !UNFINISHED.has(channel)).map(([taskId]) => taskId),
  );
  return writes
    .filter(([taskId, channel]) => channel === INTERRUPT && !finished.has(taskId))
    .flatMap(([taskId, , value]) =>
      (Array.isArray(value) ? (value as unknown[]) : [value]).map((one) =>
        toInterrupt(taskId, one),
      ),
    );
}

function toInterrupt(taskId: string, written: unknown): PendingInterrupt {
  if (typeof written !== "object" || written === null || !("value" in written)) {
    return { id: undefined, value: written, taskId };
  }
  const id = "id" in written && typeof written.id === "string" ? written.id : undefined;
  return { id, value: written.value, taskId };
}
