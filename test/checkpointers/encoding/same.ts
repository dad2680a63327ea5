/** Whether a value came back as it was. */

import { deepStrictEqual } from "node:assert";
import { isBaseMessage } from "@langchain/core/messages";

/**
 * As Node's `deepStrictEqual`, prototypes included; but for what LangChain's messages keep twice:
 * `lc_kwargs` are the arguments of the constructor, whose effect is in the other fields.
 */
export function expectSame(actual: unknown, expected: unknown): void {
  deepStrictEqual(withoutArguments(actual), withoutArguments(expected));
}

/** Changes the value itself: both sides of a comparison are done with. */
function withoutArguments(value: unknown, seen = new Set<unknown>()): unknown {
  if (typeof value !== "object" || value === null || seen.has(value)) return value;
  seen.add(value);
  if (isBaseMessage(value)) Reflect.deleteProperty(value, "lc_kwargs");
  for (const part of partsOf(value)) withoutArguments(part, seen);
  return value;
}

/** What a container holds, directly. */
export function partsOf(value: object): unknown[] {
  if (ArrayBuffer.isView(value)) return [];
  const own = Object.entries(Object.getOwnPropertyDescriptors(value)).map(
    ([, { value: part }]): unknown => part,
  );
  if (value instanceof Map) return [...own, ...value.keys(), ...value.values()];
  return value instanceof Set ? [...own, ...value] : own;
}
