/** Pending writes as they are found on a checkpoint: which of them count, and for whom (branches.ts). */

import type { FoundWrite } from "./dialect.ts";

/** The task that LangGraph uses for writes that no task made: input, resume values. */
export const NULL_TASK_ID = "00000000-0000-0000-0000-000000000000";

const NULL_TASK_KEY = Buffer.from(NULL_TASK_ID);

/** Above all numbers made of the time until the year 2096. */
export const CLOSED = 4_000_000_000_000_000;

/** Whether no task made it. */
export function isTaskless(write: FoundWrite): boolean {
  return NULL_TASK_KEY.equals(write.task);
}

/**
 * One write for each task and index: the first one stays (a task's result is never replaced), except
 * for special channels, where the latest counts. Of writes without a task all of the latest branch count,
 * and no other: LangGraph replaces what it found by what it is told.
 */
export function visibleWrites<W extends FoundWrite>(writes: readonly W[]): W[] {
  const visible: W[] = [];
  const told = writes.filter((write) => write.idx >= 0 && isTaskless(write));
  const latest = told.reduce((max, { branch }) => Math.max(max, branch), 0);
  for (const write of writes) {
    if (write.branch !== latest && told.includes(write)) continue;
    const last = visible.at(-1);
    const same =
      last !== undefined && last.idx === write.idx && Buffer.compare(last.task, write.task) === 0;
    if (!same) visible.push(write);
    else if (write.idx < 0) visible[visible.length - 1] = write;
  }
  return visible;
}

/** How a child notes that it took of a branch only what no task wrote. */
export function taskless(branch: number): number {
  return -1 - branch;
}

/** Whether a child that noted these branches took a write of its parent. */
export function tookWrite(consumed: readonly number[] | null, write: FoundWrite): boolean {
  if (consumed === null) return write.branch === 0;
  return (
    consumed.includes(write.branch) ||
    (isTaskless(write) && consumed.includes(taskless(write.branch)))
  );
}
