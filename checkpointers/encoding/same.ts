/**
 * Whether a value still is what a tree says: the quick look before the walk that encodes.
 *
 * Most of a state is as it was at the superstep before, and finding that out should allocate nothing.
 * It may say no for a value that is the same (the walk then finds out); it never says yes for one that
 * is not.
 */

import { classOfMessage, isDerivedField, messageName, type MessageClass } from "./messages.ts";
import { Payload, TAG, type Node, type NodeMap } from "./tree.ts";

export function isSame(value: unknown, node: Node): boolean {
  switch (typeof value) {
    case "string":
      return node === value || (node instanceof Payload && node.value === value);
    case "number":
      return node === value && !Object.is(value, -0);
    case "boolean":
      return node === value;
    case "object":
      return value === null ? node === null : isSameObject(value, node);
    default:
      return false;
  }
}

function isSameObject(value: object, node: Node): boolean {
  if (typeof node !== "object" || node === null) return false;
  if (Array.isArray(node)) return Array.isArray(value) && isSameList(value, node);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype) return isSamePlain(value as Fields, node as NodeMap);
  const { $, k, v } = node as NodeMap;
  if ($ !== TAG.message) return false;
  const known = classOfMessage(k as string);
  if (known !== undefined && known.prototype === prototype) {
    const same = isSameLaidOut(value, v as LaidOut, known);
    if (same !== undefined) return same;
  }
  return messageName(value) === k && isSameMessage(value as Fields, v as NodeMap);
}

function isSameList(value: readonly unknown[], nodes: readonly Node[]): boolean {
  if (value.length !== nodes.length || Object.getPrototypeOf(value) !== Array.prototype)
    return false;
  for (let i = 0; i < nodes.length; i += 1) {
    if (!isSame(value[i], nodes[i] as Node)) return false;
  }
  return true;
}

type Fields = Readonly<Record<string, unknown>>;

/** The same keys in the same order, with the same values. */
function isSamePlain(value: Fields, node: NodeMap): boolean {
  let known: readonly string[] | undefined;
  let count = 0;
  for (const key in value) {
    known ??= Object.keys(node);
    // Tagged nodes, and keys that are escaped, are the walk's business.
    if (key !== known[count] || key.startsWith("$") || !Object.hasOwn(value, key)) return false;
    if (!isSame(value[key], node[key] as Node)) return false;
    count += 1;
  }
  if (known === undefined) return isEmpty(node);
  return (
    count === known.length &&
    Object.getOwnPropertySymbols(value).length === 0 &&
    !(node instanceof Payload)
  );
}

function isEmpty(node: NodeMap): boolean {
  for (const key in node) if (Object.hasOwn(node, key)) return false;
  return true;
}

/** The fields of which most messages consist. */
interface LaidOut {
  id?: unknown;
  name?: unknown;
  content?: unknown;
  additional_kwargs?: unknown;
  response_metadata?: unknown;
  tool_calls?: unknown;
  invalid_tool_calls?: unknown;
  usage_metadata?: unknown;
}

/**
 * A message that has the properties which its class lays out, and no others; undefined for others.
 * Most of most states, so it is written out: a named field is found several times as fast.
 */
function isSameLaidOut(value: LaidOut, fields: LaidOut, known: MessageClass): boolean | undefined {
  if (
    !isSameField(value.id, fields.id) ||
    !isSameField(value.content, fields.content) ||
    !isSameField(value.name, fields.name) ||
    !isSameField(value.additional_kwargs, fields.additional_kwargs) ||
    !isSameField(value.response_metadata, fields.response_metadata) ||
    !isSameField(value.tool_calls, fields.tool_calls) ||
    !isSameField(value.invalid_tool_calls, fields.invalid_tool_calls) ||
    !isSameField(value.usage_metadata, fields.usage_metadata)
  ) {
    return false;
  }
  for (const key of known.rarer) {
    if (!isSameField((value as NodeMap)[key], (fields as NodeMap)[key])) return false;
  }
  const { keys } = known;
  let count = 0;
  for (const key in value) {
    if (key !== keys[count]) return undefined;
    count += 1;
  }
  if (count !== keys.length) return undefined;
  return countKeys(fields) === countFields(fields, known);
}

function countKeys(fields: object): number {
  let count = 0;
  // oxlint-disable-next-line no-unused-vars
  for (const _ in fields) count += 1;
  return count;
}

/** How many of a class's fields are there. */
function countFields(fields: LaidOut, known: MessageClass): number {
  let count = 0;
  if (fields.id !== undefined) count += 1;
  if (fields.content !== undefined) count += 1;
  if (fields.name !== undefined) count += 1;
  if (fields.additional_kwargs !== undefined) count += 1;
  if (fields.response_metadata !== undefined) count += 1;
  if (fields.tool_calls !== undefined) count += 1;
  if (fields.invalid_tool_calls !== undefined) count += 1;
  if (fields.usage_metadata !== undefined) count += 1;
  for (const key of known.rarer) if ((fields as NodeMap)[key] !== undefined) count += 1;
  return count;
}

function isSameField(value: unknown, field: unknown): boolean {
  return value === undefined || field === undefined
    ? value === field
    : isSame(value, field as Node);
}

function isSameMessage(value: Fields, fields: NodeMap): boolean {
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
