/**
 * Values as plain JSON that can be compared: what two savers may rightly do differently is made
 * equal (a `Send` revived as an object or as an instance, ids that are random in each run), and
 * what JSON would hide is made visible (`undefined`, the class of a message).
 */

import { BaseMessage } from "@langchain/core/messages";

/** Renames the ids that occur in strings. */
export type Rename = (text: string) => string;

const MESSAGE_FIELDS = [
  "id",
  "name",
  "content",
  "additional_kwargs",
  "response_metadata",
  "tool_calls",
  "invalid_tool_calls",
  "usage_metadata",
  "tool_call_id",
  "status",
  "artifact",
  "role",
] as const;

/** The value as JSON; the order of an object's keys is kept, since it is part of the value. */
export function canonical(value: unknown, rename: Rename = (text) => text): unknown {
  if (typeof value === "string") return rename(value);
  if (value === undefined) return { "~": "undefined" };
  if (typeof value !== "object" || value === null) {
    return typeof value === "number" && !Number.isFinite(value) ? { "~": String(value) } : value;
  }
  if (Array.isArray(value)) return value.map((item) => canonical(item, rename));
  if (BaseMessage.isInstance(value)) return message(value, rename);
  const source = value as Record<string, unknown>;
  if (isSend(source))
    return { "~": "send", node: source["node"], args: canonical(source["args"], rename) };
  if ("__overwrite__" in source)
    return { "~": "overwrite", value: canonical(source["__overwrite__"], rename) };
  if (source["lg_name"] === "DeltaSnapshot") {
    return { "~": "snapshot", value: canonical(source["value"], rename) };
  }
  const out: Record<string, unknown> = {};
  for (const key of Object.keys(source)) out[rename(key)] = canonical(source[key], rename);
  return out;
}

/** The same, with the keys of the outermost object in order: channels have none. */
export function sorted(
  value: Record<string, unknown>,
  rename: Rename = (text) => text,
): Record<string, unknown> {
  const entries = Object.entries(value).map(([key, item]): [string, unknown] => [
    rename(key),
    canonical(item, rename),
  ]);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function message(value: BaseMessage, rename: Rename): unknown {
  const source = value as unknown as Record<string, unknown>;
  const out: Record<string, unknown> = { "~": value.getType() };
  for (const field of MESSAGE_FIELDS) {
    if (source[field] !== undefined) out[field] = canonical(source[field], rename);
  }
  return out;
}

function isSend(value: Record<string, unknown>): boolean {
  if (value["lg_name"] === "Send") return true;
  const keys = Object.keys(value);
  return keys.length === 2 && keys.includes("node") && keys.includes("args");
}

/** Where two canonical values first differ, in words; undefined if they are equal. */
export function firstDifference(expected: unknown, found: unknown, path = ""): string | undefined {
  if (Object.is(expected, found)) return undefined;
  if (Array.isArray(expected) && Array.isArray(found)) {
    for (let i = 0; i < Math.max(expected.length, found.length); i += 1) {
      if (i >= expected.length) return `${path}[${i}]: unexpected ${show(found[i])}`;
      if (i >= found.length) return `${path}[${i}]: missing ${show(expected[i])}`;
      const difference = firstDifference(expected[i], found[i], `${path}[${i}]`);
      if (difference !== undefined) return difference;
    }
    return undefined;
  }
  if (isObject(expected) && isObject(found)) {
    for (const key of new Set([...Object.keys(expected), ...Object.keys(found)])) {
      const at = `${path}.${key}`;
      if (!Object.hasOwn(found, key)) return `${at}: missing ${show(expected[key])}`;
      if (!Object.hasOwn(expected, key)) return `${at}: unexpected ${show(found[key])}`;
      const difference = firstDifference(expected[key], found[key], at);
      if (difference !== undefined) return difference;
    }
    const order = [Object.keys(expected), Object.keys(found)];
    if (String(order[0]) === String(order[1])) return undefined;
    return `${path}: keys in another order: expected ${show(order[0])}, found ${show(order[1])}`;
  }
  return `${path}: expected ${show(expected)}, found ${show(found)}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  const line = JSON.stringify(value) ?? String(value);
  return line.length > 300 ? `${line.slice(0, 200)} ... (${line.length} characters)` : line;
}
