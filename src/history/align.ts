/** Which elements of two lists are the same one, so that only the rest counts as added or removed. */

import { isEqual, structureOf } from "./structure.ts";

/** Positions in both lists, ascending in both, of elements that are equal or have become one another. */
export type Pair = readonly [before: number, after: number];

/** Two middle parts longer than this, multiplied, are compared position by position. */
const MAX_CELLS = 40_000;

export function align(before: readonly unknown[], after: readonly unknown[]): Pair[] {
  const shorter = Math.min(before.length, after.length);
  let prefix = 0;
  while (prefix < shorter && isEqual(before[prefix], after[prefix])) prefix++;
  let suffix = 0;
  while (
    suffix < shorter - prefix &&
    isEqual(before[before.length - 1 - suffix], after[after.length - 1 - suffix])
  ) {
    suffix++;
  }
  const middle = fillGaps(
    before,
    after,
    commonElements(before, after, prefix, suffix),
    [prefix, prefix],
    [before.length - suffix, after.length - suffix],
  );
  return [
    ...Array.from({ length: prefix }, (_, index): Pair => [index, index]),
    ...middle,
    ...Array.from({ length: suffix }, (_, index): Pair => [
      before.length - suffix + index,
      after.length - suffix + index,
    ]),
  ];
}

/** A longest common subsequence of the parts between prefix and suffix. */
function commonElements(
  before: readonly unknown[],
  after: readonly unknown[],
  prefix: number,
  suffix: number,
): Pair[] {
  const rows = before.length - prefix - suffix;
  const columns = after.length - prefix - suffix;
  if (rows === 0 || columns === 0 || rows * columns > MAX_CELLS) return [];
  const same = (row: number, column: number): boolean =>
    isSameElement(before[prefix + row], after[prefix + column]);
  // lengths[row][column]: the longest from there to the end.
  const lengths = Array.from({ length: rows + 1 }, () => new Uint32Array(columns + 1));
  const at = (row: number, column: number): number => lengths[row]?.[column] ?? 0;
  for (let row = rows - 1; row >= 0; row--) {
    for (let column = columns - 1; column >= 0; column--) {
      const length = same(row, column)
        ? at(row + 1, column + 1) + 1
        : Math.max(at(row + 1, column), at(row, column + 1));
      (lengths[row] as Uint32Array)[column] = length;
    }
  }
  const pairs: Pair[] = [];
  for (let row = 0, column = 0; row < rows && column < columns;) {
    if (at(row, column) === at(row + 1, column)) row++;
    else if (at(row, column) === at(row, column + 1)) column++;
    else pairs.push([prefix + row++, prefix + column++]);
  }
  return pairs;
}

/** Between two pairs, elements at the same place that look alike have become one another. */
function fillGaps(
  before: readonly unknown[],
  after: readonly unknown[],
  pairs: readonly Pair[],
  start: Pair,
  end: Pair,
): Pair[] {
  const filled: Pair[] = [];
  let [i, j] = start;
  for (const pair of [...pairs, end]) {
    for (; i < pair[0] && j < pair[1]; i++, j++) {
      if (isAlike(before[i], after[j])) filled.push([i, j]);
    }
    if (pair !== end) filled.push(pair);
    [i, j] = [pair[0] + 1, pair[1] + 1];
  }
  return filled;
}

function isSameElement(a: unknown, b: unknown): boolean {
  const id = idOf(a);
  return id === undefined ? isEqual(a, b) : id === idOf(b);
}

/** Worth showing as one element that changed, rather than as one that went and one that came. */
function isAlike(a: unknown, b: unknown): boolean {
  const left = structureOf(a);
  const right = structureOf(b);
  if (left.kind !== right.kind) return false;
  if (left.kind === "record" && right.kind === "record") {
    return left.type === right.type && idOf(a) === idOf(b);
  }
  return true;
}

/** Messages and many other things in lists carry an id, and stay the same thing when they change. */
function idOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("id" in value)) return undefined;
  const { id } = value;
  return typeof id === "string" || typeof id === "number" ? id : undefined;
}
