/** Finds again, in a tree that was encoded without its predecessor, what it shares with it. */

import { Payload, getOwn, isNodeMap, setOwn, type Node, type NodeMap } from "./tree.ts";

/** The same tree as `node`, made of the subtrees of `previous` wherever they are equal. */
export function rebase(node: Node, previous: Node | undefined): Node {
  if (node === previous || typeof node !== "object" || node === null) return node;
  if (node instanceof Payload) {
    return previous instanceof Payload && samePayload(node, previous) ? previous : node;
  }
  if (Array.isArray(node)) {
    const before = Array.isArray(previous) ? previous : [];
    const list = node.map((item, i) => rebase(item, before[i]));
    return Array.isArray(previous) &&
      list.length === before.length &&
      list.every((item, i) => item === before[i])
      ? previous
      : list;
  }
  const before = isNodeMap(previous) ? previous : undefined;
  const keys = Object.keys(node);
  const map: NodeMap = {};
  for (const key of keys) {
    setOwn(
      map,
      key,
      rebase(getOwn(node, key) as Node, before === undefined ? undefined : getOwn(before, key)),
    );
  }
  if (before === undefined) return map;
  const old = Object.keys(before);
  const same =
    old.length === keys.length &&
    old.every((key, i) => key === keys[i] && getOwn(before, key) === getOwn(map, key));
  return same ? before : map;
}

function samePayload(a: Payload, b: Payload): boolean {
  if (a.value === b.value || a.hash === b.hash) return true;
  return (
    a.value instanceof Uint8Array &&
    b.value instanceof Uint8Array &&
    Buffer.compare(a.value, b.value) === 0
  );
}
