/** Values given on the command line: JSON, durations, times, `key=value` pairs. */

import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { InvalidInputError, NotFoundError } from "../errors.ts";
import { describeError } from "./exit.ts";
import type { Io } from "./io.ts";

/** `{"a": 1}`, `@file.json`, or `-` for standard input. */
export async function readJson(text: string, option: string, io: Io): Promise<unknown> {
  const { source, content } = await readSource(text, io);
  if (content.trim() === "") throw new InvalidInputError(`${option}: ${source} is empty.`);
  try {
    return JSON.parse(content) as unknown;
  } catch (cause) {
    throw new InvalidInputError(
      `${option}: ${source} is not valid JSON (${describeError(cause)}). ` +
        "Give JSON, @file to read a file, or - to read standard input.",
      { cause },
    );
  }
}

/** As {@link readJson}, for options that take an object. */
export async function readObject(
  text: string,
  option: string,
  io: Io,
): Promise<Record<string, unknown>> {
  const value = await readJson(text, option, io);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new InvalidInputError(`${option}: expected a JSON object, such as {"topic": "kelp"}.`);
  }
  return value as Record<string, unknown>;
}

async function readSource(text: string, io: Io): Promise<{ source: string; content: string }> {
  if (text === "-") return { source: "standard input", content: await io.readInput() };
  if (!text.startsWith("@")) return { source: `"${clip(text)}"`, content: text };
  const path = text.slice(1);
  try {
    return { source: path, content: await readFile(resolve(io.cwd, path), "utf8") };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") {
      throw new NotFoundError(`There is no file "${path}".`);
    }
    throw new InvalidInputError(`Cannot read "${path}": ${describeError(cause)}.`, { cause });
  }
}

function clip(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 60)}…`;
}

const UNITS: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Milliseconds of `90s`, `15m`, `12h`, `30d`, `2w`; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$/.exec(text.trim());
  if (match === null) return undefined;
  return Number(match[1]) * (UNITS[match[2] ?? ""] ?? 0);
}

/** A duration for a program's sake: `1500` milliseconds, or `90s` as above. */
export function parseMilliseconds(text: string, option: string): number {
  const duration = /^\d+$/.test(text) ? Number(text) : parseDuration(text);
  if (duration !== undefined && Number.isSafeInteger(Math.round(duration)) && duration > 0) {
    return Math.round(duration);
  }
  throw new InvalidInputError(
    `${option}: "${clip(text)}" is neither a number of milliseconds above 0 nor a duration such as 90s or 10m.`,
  );
}

/** An instant that may come, or how soon: `2026-10-01T12:00Z`, `10m`. */
export function parseMoment(text: string, option: string, now: number): Date {
  const from = parseDuration(text);
  return from === undefined ? parseInstant(text, option, now) : new Date(now + from);
}

/** An instant, or how long ago: `2026-10-01`, `2026-10-01T12:00Z`, `12h`. */
export function parseInstant(text: string, option: string, now: number): Date {
  const ago = parseDuration(text);
  const instant = ago === undefined ? new Date(text) : new Date(now - ago);
  // Date accepts "1" as a year 2001; an instant here begins with a four-digit year.
  if (Number.isNaN(instant.getTime()) || (ago === undefined && !/^\d{4}-\d\d/.test(text.trim()))) {
    throw new InvalidInputError(
      `${option}: "${clip(text)}" is neither a time such as 2026-10-01T12:00Z nor a duration such as 12h or 30d.`,
    );
  }
  return instant;
}

/** `key=value`; a value that is JSON is taken as such, so that `tries=3` is a number. */
export function parsePairs(pairs: readonly string[], option: string): Record<string, unknown> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      if (at < 1) throw new InvalidInputError(`${option}: "${clip(pair)}" is not key=value.`);
      return [pair.slice(0, at), jsonOrText(pair.slice(at + 1))];
    }),
  );
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** A whole number, which may be negative. */
export function parseWhole(text: string, option: string): number {
  const number = Number(text);
  if (/^[+-]?\d{1,9}$/.test(text)) return number;
  throw new InvalidInputError(`${option}: "${clip(text)}" is not a whole number.`);
}

/** A whole number from 1. */
export function parseCount(text: string, option: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count) || count < 1) {
    throw new InvalidInputError(`${option}: "${clip(text)}" is not a whole number from 1.`);
  }
  return count;
}
