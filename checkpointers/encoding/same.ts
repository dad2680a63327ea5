/**
 * Whether a value still is what a tree says: the quick look before the walk that encodes.
 *
 * Most of a state is as it was at the superstep before, and finding that out should allocate nothing.
 * It may say no for a value that is the same (the walk then finds out); it never says yes for one that
 * is not.
 */

import { isDerivedField, messageName } from "./messages.ts";
import { Payload, TAG, isNodeMap, type Node, type NodeMap } from "./tree.ts";

export function isSame(value: unknown, node: Node): boolean {
  switch (typeof value) {
    case "string":
      return node === value || (node instanceof Payload && node.value === value);
    case "number":
      return node === value && !Object.is(value, -0);
    case "boolean":
      return node === value;
    case "object":
      if (value === null) return node === null;
      if (Object.getPrototypeOf(value) === Array.prototype) {
        return Array.isArray(node) && isSameList(value as unknown[], node);
      }
      return isNodeMap(node) && isSameObject(value, node);
    default:
      return false;
  }
}

function isSameList(value: readonly unknown[], nodes: readonly Node[]): boolean {
  if (value.length !== nodes.length) return false;
  for (let i = 0; i < nodes.length; i += 1) {
    if (!isSame(value[i], nodes[i] as Node)) return false;
  }
  return true;
}

function isSameObject(value: object, node: NodeMap): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype) {
    return isSamePlain(value as Record<string, unknown>, node);
  }
  const name = messageName(value);
  return (
    name !== undefined &&
    node["$"] === TAG.message &&
    node["k"] === name &&
    isSameMessage(value as Record<string, unknown>, node["v"] as NodeMap)
  );
}

/** The same keys in the same order, with the same values. */
function isSamePlain(value: Record<string, unknown>, node: NodeMap): boolean {
  const keys = Object.keys(value);
  const known = Object.keys(node);
  if (keys.length !== known.length) return false;
  if (keys.length === 0) return true;
  for (let i = 0; i < keys.length; i += 1) {
    const key = keys[i] as string;
    // Tagged nodes, and keys that are escaped, are the walk's business.
    if (key !== known[i] || key.startsWith("$")) return false;
    if (!isSame(value[key], node[key] as Node)) return false;
  }
  return Object.getOwnPropertySymbols(value).length === 0;
}

function isSameMessage(value: Record<string, unknown>, fields: NodeMap): boolean {
  let count = 0;
  for (const key in value) {
    if (isDerivedField(key) || !Object.hasOwn(value, key)) continue;
    const field = value[key];
    if (field === undefined) continue;
    if (key.startsWith("$") || !Object.hasOwn(fields, key) || !isSame(field, fields[key] as Node))
      return false;
    count += 1;
  }
  return count === Object.keys(fields).length;
}
