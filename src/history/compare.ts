/** The structural difference of two values, as a flat list of changes. */

import { align } from "./align.ts";
import { isEqual, structureOf } from "./structure.ts";

/** Keys and list positions, from the outside in; empty for the value itself. */
export type Path = readonly (string | number)[];

/**
 * One difference. In a `removed` path the last position counts in the list as it was; all other
 * positions count in the lists as they are now.
 */
export type Change =
  | { kind: "added"; path: Path; after: unknown }
  | { kind: "removed"; path: Path; before: unknown }
  | { kind: "changed"; path: Path; before: unknown; after: unknown };

export function compare(before: unknown, after: unknown, path: Path = []): Change[] {
  if (Object.is(before, after)) return [];
  const left = structureOf(before);
  const right = structureOf(after);
  if (left.kind === "list" && right.kind === "list") {
    return compareLists(left.items, right.items, path);
  }
  if (left.kind === "record" && right.kind === "record" && left.type === right.type) {
    return compareRecords(left.entries, right.entries, path);
  }
  return isEqual(before, after) ? [] : [{ kind: "changed", path, before, after }];
}

function compareRecords(
  before: ReadonlyMap<string, unknown>,
  after: ReadonlyMap<string, unknown>,
  path: Path,
): Change[] {
  const changes: Change[] = [];
  for (const [key, value] of before) {
    if (after.has(key)) changes.push(...compare(value, after.get(key), [...path, key]));
    else changes.push({ kind: "removed", path: [...path, key], before: value });
  }
  for (const [key, value] of after) {
    if (!before.has(key)) changes.push({ kind: "added", path: [...path, key], after: value });
  }
  return changes;
}

function compareLists(before: readonly unknown[], after: readonly unknown[], path: Path): Change[] {
  const changes: Change[] = [];
  let [i, j] = [0, 0];
  for (const pair of [...align(before, after), undefined]) {
    const [nextBefore, nextAfter] = pair ?? [before.length, after.length];
    for (; i < nextBefore; i++) {
      changes.push({ kind: "removed", path: [...path, i], before: before[i] });
    }
    for (; j < nextAfter; j++) {
      changes.push({ kind: "added", path: [...path, j], after: after[j] });
    }
    if (pair !== undefined) changes.push(...compare(before[i++], after[j++], [...path, j - 1]));
  }
  return changes;
}
