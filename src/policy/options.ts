/** Checks of what users pass: each refusal names the option, what was found and what is right. */

import { InvalidInputError } from "../errors.ts";

/** @throws {InvalidInputError} `given` is no object, or has keys that nobody knows */
export function checkKeys(where: string, given: object, known: readonly string[]): void {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new InvalidInputError(`${where} must be an object with options, not ${shown(given)}.`);
  }
  for (const key of Object.keys(given)) {
    if (known.includes(key)) continue;
    const near = known.find((name) => isNear(name, key));
    throw new InvalidInputError(
      `${where} has no option "${key}"${near === undefined ? ". " : `; did you mean "${near}"? `}` +
        `There are: ${known.join(", ")}.`,
    );
  }
}

interface Bounds {
  atLeast?: number;
  above?: number;
  atMost?: number;
  whole?: boolean;
}

/** A finite number within bounds. @throws {InvalidInputError} it is none */
export function checkNumber(where: string, value: unknown, bounds: Bounds = {}): number {
  const { atLeast, above, atMost, whole = false } = bounds;
  const fits =
    typeof value === "number" &&
    Number.isFinite(value) &&
    (!whole || Number.isInteger(value)) &&
    (atLeast === undefined || value >= atLeast) &&
    (above === undefined || value > above) &&
    (atMost === undefined || value <= atMost);
  if (fits) return value;
  const range = [
    atLeast === undefined ? undefined : `${atLeast} or more`,
    above === undefined ? undefined : `more than ${above}`,
    atMost === undefined ? undefined : `at most ${atMost}`,
  ].filter((part) => part !== undefined);
  throw new InvalidInputError(
    `${where} must be a ${whole ? "whole" : "finite"} number${range.length === 0 ? "" : ` of ${range.join(" and ")}`}, ` +
      `not ${shown(value)}.`,
  );
}

/** The same, where the option was given. */
export function checkOptional(
  where: string,
  value: unknown,
  bounds: Bounds = {},
): number | undefined {
  return value === undefined ? undefined : checkNumber(where, value, bounds);
}

/** One of some words. @throws {InvalidInputError} it is none of them */
export function checkWord<Word extends string>(
  where: string,
  value: unknown,
  words: readonly Word[],
): Word {
  const found = words.find((word) => word === value);
  if (found !== undefined) return found;
  throw new InvalidInputError(
    `${where} must be one of ${words.map((word) => `"${word}"`).join(", ")}, not ${shown(value)}.`,
  );
}

/** The name of something shared, where it was given. @throws {InvalidInputError} it is no text, or empty */
export function checkName(where: string, value: unknown): string | undefined {
  if (value === undefined || (typeof value === "string" && value !== "")) return value;
  throw new InvalidInputError(`${where} must be a text that is not empty, not ${shown(value)}.`);
}

/** How a value is named in a message: short, and never by code of its own. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 80));
  if (typeof value === "function") return "a function";
  if (typeof value === "object" && value !== null) {
    return Array.isArray(value) ? "an array" : "an object";
  }
  return String(value);
}

/** A slip of the keyboard or of case, not another word. */
function isNear(known: string, given: string): boolean {
  const [a, b] = [known.toLowerCase(), given.toLowerCase()];
  if (a === b) return true;
  if (Math.abs(a.length - b.length) > 2) return false;
  let before = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [row, letter] of Array.from(a).entries()) {
    const line = [row + 1];
    for (const [at, other] of Array.from(b).entries()) {
      const changed = (before[at] ?? 0) + (letter === other ? 0 : 1);
      line.push(Math.min(changed, (before[at + 1] ?? 0) + 1, (line[at] ?? 0) + 1));
    }
    before = line;
  }
  return (before[b.length] ?? 0) <= 2;
}
