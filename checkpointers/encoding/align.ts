/**
 * Which earlier element an element of a list is: lists are cut at the front, grow in the middle and
 * move on like windows, and only what is new should be stored.
 */

import { isSame } from "./same.ts";
import type { Node } from "./tree.ts";

/** Comparisons spent on looking further afield, for each element of both lists. */
const EFFORT = 8;

/** For each element from `start` on, the earlier one to encode it against; -1 for none. */
export function align(
  value: readonly unknown[],
  before: readonly Node[],
  start: number,
): readonly number[] {
  const found: number[] = [];
  let effort = (value.length + before.length - 2 * start) * EFFORT;
  let i = start;
  let j = start;
  /** Whether the k-th element from here is the l-th of the earlier ones. */
  const isFurther = (k: number, l: number): boolean =>
    i + k < value.length && j + l < before.length && isSame(value[i + k], before[j + l] as Node);
  while (i < value.length) {
    let added = 0;
    // Where the next ones are the same, this one was changed.
    if (j < before.length && !isFurther(0, 0) && !isFurther(1, 1)) {
      const farthest = Math.max(before.length - j, value.length - i);
      for (let k = 1; k < farthest && effort > 0; k += 1) {
        effort -= 1;
        if (isFurther(0, k)) {
          j += k;
          break;
        }
        if (isFurther(k, 0)) {
          added = k;
          break;
        }
      }
    }
    for (; added > 0; added -= 1) {
      found.push(-1);
      i += 1;
    }
    found.push(j < before.length ? j : -1);
    i += 1;
    j += 1;
  }
  return found;
}
