/** How far a run is, for whoever looks at `workflow_status`. */

import { currentAttempt, currentNode } from "../context.ts";
import { checkNumber } from "../policy/options.ts";
import { stepsOf } from "./steps-of.ts";

/**
 * Notes how far the run is; a sign of life, too. Becomes durable within moments, at no cost to the node.
 * Does nothing outside of a node.
 *
 * @param percent from 0 to 100
 * @param note in words; without one the last one is taken away
 */
export function progress(percent: number, note?: string): void {
  checkNumber("progress()'s percent", percent, { atLeast: 0, atMost: 100 });
  const attempt = currentAttempt();
  const node = attempt?.node ?? currentNode();
  if (node === undefined) return;
  attempt?.heartbeat();
  stepsOf(node).status.note(node.task.threadId, { progressPercent: percent, progressNote: note });
}
