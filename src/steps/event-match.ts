/**
 * What an event must match, as an index finds it: the paths that a wait names, and a hash of the values
 * there. An event's payload is hashed once for each different set of paths that open waits have.
 */

import { canonicalHash } from "../canonical.ts";
import { InvalidInputError } from "../errors.ts";

type Path = readonly string[];

const DIGITS = 32;

/** @throws {InvalidInputError} it is no plain object, or cannot be compared */
export function matchOf(match: unknown): { paths: string; hash: string } {
  if (!isPlain(match)) {
    throw new InvalidInputError(
      "What an event must match is a plain object: { orderId: order.id }, say.",
    );
  }
  const leaves = leavesOf(match, []).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return {
    paths: `[${leaves.map(([path]) => path).join(",")}]`,
    hash: canonicalHash(
      leaves.map(([, value]) => value),
      DIGITS,
    ),
  };
}

/** The hash of what a payload has at these paths; undefined where it cannot be compared. */
export function hashAt(payload: unknown, paths: string): string | undefined {
  const values = (JSON.parse(paths) as Path[]).map((path) => path.reduce(fieldOf, payload));
  try {
    return canonicalHash(values, DIGITS);
  } catch {
    return undefined;
  }
}

/** A path as its JSON, and the value there; anything but a plain object is compared as a whole. */
function leavesOf(value: unknown, path: Path): [path: string, value: unknown][] {
  if (!isPlain(value) || (path.length > 0 && Object.keys(value).length === 0))
    return [[JSON.stringify(path), value]];
  return Object.entries(value).flatMap(([name, inner]) => leavesOf(inner, [...path, name]));
}

function fieldOf(value: unknown, name: string): unknown {
  const isObject = typeof value === "object" && value !== null;
  return isObject && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
