/**
 * Deltas: what changed between two trees of one lineage, as JSON, and how to apply it.
 *
 * A delta is one of
 *   { k: true }                       kept as it is
 *   { r: node }                       replaced
 *   { l: [prefix, suffix, nodes] }    list: keep so many at both ends, these in between
 *   { a: { index: delta } }           list of the same length: these elements changed
 *   { m: [sets, edits, drops] }       map: set these keys, edit those, drop these
 *   { s: [prefix, suffix, text] }     string: keep so many characters at both ends
 *
 * Since unchanged subtrees are the same object (invariant T3), finding a delta costs what changed
 * plus one reference comparison per element of each container on the way.
 */

import { CorruptDataError } from "../../src/errors.ts";
import { Payload, getOwn, isNodeMap, setOwn, textOf, type Node, type NodeMap } from "./tree.ts";

export type Delta =
  | { k: true }
  | { r: Node }
  | { l: [prefix: number, suffix: number, nodes: Node[]] }
  | { a: { [index: string]: Delta } }
  | { m: [sets: NodeMap, edits: { [key: string]: Delta }, drops: string[]] }
  | { s: [prefix: number, suffix: number, text: Node] };

/** The delta that makes `next` of `base`. */
export function diffTrees(base: Node, next: Node): Delta {
  if (base === next) return { k: true };
  if (Array.isArray(base) && Array.isArray(next)) return diffLists(base, next);
  if (isNodeMap(base) && isNodeMap(next)) return diffMaps(base, next);
  if (next instanceof Payload && typeof next.value === "string" && !next.stored) {
    return diffTexts(base, next) ?? { r: next };
  }
  return { r: next };
}

function diffLists(base: readonly Node[], next: readonly Node[]): Delta {
  const shorter = Math.min(base.length, next.length);
  let prefix = 0;
  while (prefix < shorter && base[prefix] === next[prefix]) prefix += 1;
  let suffix = 0;
  while (
    suffix < shorter - prefix &&
    base[base.length - 1 - suffix] === next[next.length - 1 - suffix]
  ) {
    suffix += 1;
  }
  if (base.length === next.length) {
    const edits: { [index: string]: Delta } = {};
    for (let i = prefix; i < next.length - suffix; i += 1) {
      if (base[i] !== next[i]) edits[i] = diffTrees(base[i] as Node, next[i] as Node);
    }
    return { a: edits };
  }
  return { l: [prefix, suffix, next.slice(prefix, next.length - suffix)] };
}

function diffMaps(base: NodeMap, next: NodeMap): Delta {
  // Another kind of value: nothing to keep.
  if (getOwn(base, "$") !== getOwn(next, "$") || getOwn(base, "k") !== getOwn(next, "k")) {
    return { r: next };
  }
  const sets: NodeMap = {};
  const edits: { [key: string]: Delta } = {};
  const drops: string[] = [];
  const kept: string[] = [];
  for (const key of Object.keys(base)) {
    if (Object.hasOwn(next, key)) kept.push(key);
    else drops.push(key);
  }
  let seen = 0;
  for (const key of Object.keys(next)) {
    const value = next[key] as Node;
    // The order of keys is part of the value, and a delta can only append.
    if (Object.hasOwn(base, key)) {
      if (kept[seen] !== key) return { r: next };
      seen += 1;
      if (base[key] !== value) setOwn(edits, key, diffTrees(base[key] as Node, value));
    } else {
      if (seen < kept.length && !sortsItself(key)) return { r: next };
      setOwn(sets, key, value);
    }
  }
  return { m: [sets, edits, drops] };
}

/** JavaScript puts keys that look like array indexes first, in ascending order, whenever they came. */
function sortsItself(key: string): boolean {
  return /^(0|[1-9]\d{0,8})$/.test(key);
}

function diffTexts(base: Node, next: Payload): Delta | undefined {
  const before = textOf(base);
  const after = next.value;
  if (before === undefined || typeof after !== "string") return undefined;
  const shorter = Math.min(before.length, after.length);
  let prefix = 0;
  while (prefix < shorter && before.charCodeAt(prefix) === after.charCodeAt(prefix)) prefix += 1;
  let suffix = 0;
  while (
    suffix < shorter - prefix &&
    before.charCodeAt(before.length - 1 - suffix) === after.charCodeAt(after.length - 1 - suffix)
  ) {
    suffix += 1;
  }
  if (prefix + suffix < after.length / 2) return undefined;
  return { s: [prefix, suffix, after.slice(prefix, after.length - suffix)] };
}

/**
 * The tree that a delta makes of its base, sharing what did not change.
 * @param leaf makes the leaf of a string
 * @throws {CorruptDataError} the delta does not fit the base
 */
export function applyDelta(base: Node, delta: Delta, leaf: (text: string) => Node): Node {
  if ("k" in delta) return base;
  if ("r" in delta) return delta.r;
  if ("s" in delta) {
    const [prefix, suffix, middle] = delta.s;
    const before = textOf(base);
    const between = textOf(middle);
    if (before === undefined || between === undefined || prefix + suffix > before.length) {
      throw misfit("a string", base);
    }
    return leaf(before.slice(0, prefix) + between + before.slice(before.length - suffix));
  }
  if ("l" in delta) {
    const [prefix, suffix, nodes] = delta.l;
    if (!Array.isArray(base) || prefix + suffix > base.length) throw misfit("a list", base);
    return [...base.slice(0, prefix), ...nodes, ...base.slice(base.length - suffix)];
  }
  if ("a" in delta) {
    if (!Array.isArray(base)) throw misfit("a list", base);
    const list = base.slice();
    for (const index of Object.keys(delta.a)) {
      const i = Number(index);
      if (i >= list.length) throw misfit(`a list of more than ${i}`, base);
      list[i] = applyDelta(list[i] as Node, delta.a[index] as Delta, leaf);
    }
    return list;
  }
  const [sets, edits, drops] = delta.m;
  if (!isNodeMap(base)) throw misfit("a map", base);
  const dropped = new Set(drops);
  const map: NodeMap = {};
  for (const key of Object.keys(base)) {
    if (dropped.has(key)) continue;
    const edit = Object.hasOwn(edits, key) ? edits[key] : undefined;
    setOwn(map, key, edit === undefined ? base[key] : applyDelta(base[key] as Node, edit, leaf));
  }
  for (const key of Object.keys(sets)) setOwn(map, key, sets[key]);
  return map;
}

function misfit(expected: string, found: Node): CorruptDataError {
  const kind = Array.isArray(found) ? `a list of ${found.length}` : typeof found;
  return new CorruptDataError(
    `A stored change does not fit its base: expected ${expected}, found ${kind}.`,
  );
}
