/** One text, and one hash, for equal values: for idempotency keys, and to bind an answer to a payload. */

import { createHash } from "node:crypto";
import { InvalidInputError } from "./errors.ts";

/**
 * A text that is equal for equal values, whatever the order of their keys, and different for others.
 * Fields that are undefined count as absent. Instances of classes are told by class name and fields.
 * @throws {InvalidInputError} functions, symbols and cycles have no such text
 */
export function canonicalText(value: unknown): string {
  return textOf(value, []);
}

/** SHA-256 of {@link canonicalText}, as so many of its 64 hex digits. */
export function canonicalHash(value: unknown, digits = 64): string {
  return createHash("sha256").update(canonicalText(value)).digest("hex").slice(0, digits);
}

function textOf(value: unknown, around: readonly object[]): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "boolean":
    case "undefined":
      return String(value);
    case "bigint":
      return `${value}n`;
    case "object":
      return value === null ? "null" : ofObject(value, around);
    default:
      throw new InvalidInputError(
        `A ${typeof value} cannot be compared with an earlier one, so it cannot be an argument here.`,
      );
  }
}

function ofObject(value: object, around: readonly object[]): string {
  if (around.includes(value)) {
    throw new InvalidInputError("A value that contains itself cannot be an argument here.");
  }
  const inside = [...around, value];
  const list = (items: Iterable<unknown>): string =>
    [...items].map((item) => textOf(item, inside)).join(",");
  if (Array.isArray(value)) return `[${list(value)}]`;
  const name = classOf(value);
  if (value instanceof Date) return `Date(${value.getTime()})`;
  // A map keeps its order as part of what it is; a set has none that counts.
  if (value instanceof Map) return `Map(${list([...value].flat())})`;
  if (value instanceof Set) {
    return `Set(${[...value]
      .map((item) => textOf(item, inside))
      .toSorted()
      .join(",")})`;
  }
  if (ArrayBuffer.isView(value)) {
    return `${name}(${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64")})`;
  }
  if (value instanceof ArrayBuffer) return `${name}(${Buffer.from(value).toString("base64")})`;
  const fields: Record<string, unknown> = { ...value };
  if (value instanceof Error) Object.assign(fields, { name: value.name, message: value.message });
  // What LangChain derives from the other fields, or sets along the way.
  if (fields["lc_serializable"] !== undefined) {
    for (const key of ["lc_kwargs", "lc_serializable", "lc_namespace"]) delete fields[key];
  }
  const text = Object.keys(fields)
    .filter((key) => fields[key] !== undefined)
    .toSorted()
    .map((key) => `${JSON.stringify(key)}:${textOf(fields[key], inside)}`)
    .join(",");
  return name === "Object" ? `{${text}}` : `${name}{${text}}`;
}

function classOf(value: object): string {
  const prototype = Object.getPrototypeOf(value) as { constructor?: { name?: string } } | null;
  return prototype === null ? "Object" : (prototype.constructor?.name ?? "Object");
}
