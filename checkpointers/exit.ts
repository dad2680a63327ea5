/**
 * "exit" invocations, which store nothing before their end.
 *
 * For delta channels such a loop then stores, on the checkpoint that it started from, what the tasks of
 * all its supersteps wrote: under their ids, in which the step takes the place of the first characters.
 * LangGraph counts among these writes whatever the loop found there when it began.
 */

import type { RunnableConfig } from "@langchain/core/runnables";
import { idOf } from "../src/ids.ts";
import type { FoundWrite } from "./dialect.ts";
import { CLOSED, NULL_TASK_ID, isTaskless } from "./found-writes.ts";
import { isExit, isRunOf } from "./loop.ts";

/** Of the part of a task's id that an "exit" invocation replaces by the step. */
const STEP_LENGTH = 8;

/** At its end such a loop stores what tasks wrote under their ids with the step in front. */
export function isStepOfExit(taskId: string): boolean {
  return /^0000[\d-]{4}-/.test(taskId) && taskId !== NULL_TASK_ID;
}

/** The superstep of such an id. */
export function stepOf(taskId: string): number {
  return Number.parseInt(taskId.slice(0, STEP_LENGTH).replace(/^0+(?=-)/, ""), 10);
}

/** What is left of the task's own id. */
export function tailOf(taskId: string): string {
  return taskId.slice(STEP_LENGTH);
}

/** What was found of tasks; true for those that the checkpoint's own tasks may have made. */
export function tailsOf(writes: readonly FoundWrite[]): Map<string, boolean> {
  const tails = new Map<string, boolean>();
  for (const write of writes) {
    const task = isTaskless(write) ? undefined : idOf(write.task);
    if (task === undefined) continue;
    const tail = tailOf(task);
    tails.set(tail, write.branch < CLOSED || tails.get(tail) === true);
  }
  return tails;
}

/**
 * The writes on a checkpoint that are shown to its reader. An "exit" invocation would store those of an
 * earlier one as its own, under ids that no longer tell them from others.
 */
export function shownTo<W extends FoundWrite>(config: RunnableConfig, writes: W[]): W[] {
  if (!isRunOf(config) || !isExit(config)) return writes;
  return writes.filter(({ branch, task }) => branch < CLOSED || !isStepOfExit(idOf(task) ?? ""));
}
