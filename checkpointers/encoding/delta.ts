/**
 * Deltas: what changed between two trees of one lineage, as JSON, and how to apply it.
 *
 * A delta is one of
 *   { k: true }                       kept as it is
 *   { r: node }                       replaced
 *   { p: pieces }                     list: what it is made of, see {@link Piece}
 *   { m: [sets, edits, drops] }       map: set these keys, edit those, drop these
 *   { s: [prefix, suffix, text] }     string: keep so many characters at both ends
 *
 * Since unchanged subtrees are the same object (invariant T3), finding a delta costs what changed
 * plus one reference comparison per element of each container on the way.
 */

import { CorruptDataError, isHoldfastError } from "../../src/errors.ts";
import { Payload, getOwn, isNodeMap, setOwn, textOf, type Node, type NodeMap } from "./tree.ts";

export type Delta =
  | { k: true }
  | { r: Node }
  | { p: Piece[] }
  | { m: [sets: NodeMap, edits: { [key: string]: Delta }, drops: string[]] }
  | { s: [prefix: number, suffix: number, text: Node] };

/** A part of a list: so many of the base's elements from an index on, new ones, or a changed one. */
export type Piece = [from: number, count: number] | { n: Node[] } | { c: [from: number, Delta] };

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
  let at = 0;
  while (at < base.length && at < next.length && base[at] === next[at]) at += 1;
  const pieces: Piece[] = at === 0 ? [] : [[0, at]];
  const rest = next.slice(at);
  const kept = new Set(rest);
  const index = indexOf(base, at, kept);
  for (const node of rest) {
    const from = at < base.length && base[at] === node ? at : index.get(node);
    const last = pieces.at(-1);
    if (from !== undefined) {
      if (Array.isArray(last) && last[0] + last[1] === from) last[1] += 1;
      else pieces.push([from, 1]);
      at = from + 1;
      continue;
    }
    const old = base[at];
    const isReplaced = old !== undefined && !kept.has(old);
    const change = isReplaced ? diffTrees(old, node) : undefined;
    if (change !== undefined && !("r" in change)) pieces.push({ c: [at, change] });
    else if (last !== undefined && "n" in last) last.n.push(node);
    else pieces.push({ n: [node] });
    if (isReplaced) at += 1;
  }
  return { p: pieces };
}

/** Where the wanted elements are that can be told by what they are: not numbers, which come often. */
function indexOf(
  list: readonly Node[],
  start: number,
  wanted: ReadonlySet<Node>,
): ReadonlyMap<Node, number> {
  const index = new Map<Node, number>();
  for (let i = start; wanted.size > 0 && i < list.length; i += 1) {
    const node = list[i] as Node;
    if (typeof node === "object" && node !== null && wanted.has(node) && !index.has(node))
      index.set(node, i);
  }
  return index;
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
  return applyDeltas(base, [delta], leaf);
}

/** The same for several deltas, one after the other. */
export function applyDeltas(
  base: Node,
  deltas: readonly Delta[],
  leaf: (text: string) => Node,
): Node {
  try {
    let tree = base;
    // A list that was made on the way is nobody else's yet.
    let isOwn = false;
    for (const delta of deltas) {
      if (isOwn && "p" in delta && appendTo(tree, delta.p)) continue;
      const next = apply(tree, delta, leaf);
      if (next !== tree) isOwn = "p" in delta;
      tree = next;
    }
    return tree;
  } catch (cause) {
    if (isHoldfastError(cause)) throw cause;
    throw new CorruptDataError("A stored change is damaged: it is not of a known form.", { cause });
  }
}

/** Changes a list in place as most lists change: something new at the end. @returns false for others */
function appendTo(list: Node, pieces: readonly Piece[]): boolean {
  const [first, second] = pieces;
  if (!Array.isArray(list) || !Array.isArray(first) || first[0] !== 0 || pieces.length > 2)
    return false;
  if (second !== undefined && !("n" in second)) return false;
  if (first[1] > list.length) throw misfit(`a list of ${first[1]} or more`, list);
  list.length = first[1];
  for (const node of second?.n ?? []) list.push(node);
  return true;
}

function apply(base: Node, delta: Delta, leaf: (text: string) => Node): Node {
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
  if ("p" in delta) return applyPieces(base, delta.p, leaf);
  const [sets, edits, drops] = delta.m;
  if (!isNodeMap(base)) throw misfit("a map", base);
  const dropped = new Set(drops);
  const map: NodeMap = {};
  for (const key of Object.keys(base)) {
    if (dropped.has(key)) continue;
    const edit = Object.hasOwn(edits, key) ? edits[key] : undefined;
    setOwn(map, key, edit === undefined ? base[key] : apply(base[key] as Node, edit, leaf));
  }
  for (const key of Object.keys(sets)) setOwn(map, key, sets[key]);
  return map;
}

function applyPieces(base: Node, pieces: readonly Piece[], leaf: (text: string) => Node): Node {
  if (!Array.isArray(base)) throw misfit("a list", base);
  let list: Node[] = [];
  for (const piece of pieces) {
    if (Array.isArray(piece)) {
      const [from, count] = piece;
      const end = from + count;
      if (end > base.length) throw misfit(`a list of ${end} or more`, base);
      // At one go where it is most of the list: lists are long, and what is new in them short.
      if (count > list.length) {
        const kept = base.slice(from, end);
        list = list.length === 0 ? kept : list.concat(kept);
      } else for (let i = from; i < end; i += 1) list.push(base[i] as Node);
    } else if ("n" in piece) {
      for (const node of piece.n) list.push(node);
    } else {
      const [from, change] = piece.c;
      if (from >= base.length) throw misfit(`a list of more than ${from}`, base);
      list.push(apply(base[from] as Node, change, leaf));
    }
  }
  return list;
}

/**
 * The tree at the end of a chain. The keyframe and the deltas must be nobody else's, fresh from the
 * parser: they are changed in place, and no part of them is in the result twice.
 * @param text the text of a leaf, which may still be a reference to a payload
 * @throws {CorruptDataError} a delta does not fit
 */
export function applyInPlace(
  tree: Node,
  deltas: readonly Delta[],
  text: (leaf: Node) => string | undefined,
): Node {
  try {
    for (const delta of deltas) tree = change(tree, delta, text);
    return tree;
  } catch (cause) {
    if (isHoldfastError(cause)) throw cause;
    throw new CorruptDataError("A stored change is damaged: it is not of a known form.", { cause });
  }
}

function change(base: Node, delta: Delta, text: (leaf: Node) => string | undefined): Node {
  if ("p" in delta) return changeList(base, delta.p, text);
  if ("k" in delta) return base;
  if ("r" in delta) return delta.r;
  if ("s" in delta) {
    const [prefix, suffix, middle] = delta.s;
    const before = text(base);
    const between = text(middle);
    if (before === undefined || between === undefined || prefix + suffix > before.length) {
      throw misfit("a string", base);
    }
    return before.slice(0, prefix) + between + before.slice(before.length - suffix);
  }
  const [sets, edits, drops] = delta.m;
  if (!isNodeMap(base)) throw misfit("a map", base);
  for (const key of drops) delete base[key];
  for (const key of Object.keys(edits)) {
    if (Object.hasOwn(base, key)) base[key] = change(base[key] as Node, edits[key] as Delta, text);
  }
  for (const key of Object.keys(sets)) setOwn(base, key, sets[key]);
  return base;
}

function changeList(
  base: Node,
  pieces: readonly Piece[],
  text: (leaf: Node) => string | undefined,
): Node {
  if (!Array.isArray(base)) throw misfit("a list", base);
  if (appendTo(base, pieces)) return base;
  const own = isInOrder(pieces) ? (node: Node): Node => node : structuredClone<Node>;
  const list: Node[] = [];
  for (const piece of pieces) {
    if (Array.isArray(piece)) {
      const [from, count] = piece;
      if (from + count > base.length) throw misfit(`a list of ${from + count} or more`, base);
      for (let i = from; i < from + count; i += 1) list.push(own(base[i] as Node));
    } else if ("n" in piece) {
      for (const node of piece.n) list.push(node);
    } else {
      const [from, delta] = piece.c;
      if (from >= base.length) throw misfit(`a list of more than ${from}`, base);
      list.push(change(own(base[from] as Node), delta, text));
    }
  }
  return list;
}

/** Whether no element of the base is used twice. */
function isInOrder(pieces: readonly Piece[]): boolean {
  let end = 0;
  for (const piece of pieces) {
    if ("n" in piece) continue;
    const [from, count] = Array.isArray(piece) ? piece : [piece.c[0], 1];
    if (from < end) return false;
    end = from + count;
  }
  return true;
}

function misfit(expected: string, found: Node): CorruptDataError {
  const kind = Array.isArray(found) ? `a list of ${found.length}` : typeof found;
  return new CorruptDataError(
    `A stored change does not fit its base: expected ${expected}, found ${kind}.`,
  );
}
