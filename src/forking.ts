/**
 * What forking a thread asks of effects, without either knowing the other: effects provide it when they
 * are loaded, `fork()` asks for it when it is told to compensate.
 */

import type { DurableSaver } from "./step-store.ts";

/** What was undone for a fork, by the effects' names. */
export interface ForkCompensation {
  undone: readonly string[];
  /** These keep failing, and are listed by `stuck()`. */
  stuck: readonly string[];
}

/** Undoes the effects of the thread's head that were claimed at this checkpoint or after it. */
type CompensateBranch = (
  saver: DurableSaver,
  threadId: string,
  checkpointId: string,
) => Promise<ForkCompensation>;

let provided: CompensateBranch | undefined;

export function provideBranchCompensation(compensate: CompensateBranch): void {
  provided = compensate;
}

export function branchCompensation(): CompensateBranch | undefined {
  return provided;
}
