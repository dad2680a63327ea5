/**
 * Channel versions of one saver, as another one counts them.
 *
 * LangGraph compares versions with each other, and a number with a string compares as neither newer
 * nor older: a thread that was brought over as it was would never run on.
 */

import type { Checkpoint } from "@langchain/langgraph-checkpoint";
import { InvalidInputError } from "../errors.ts";
import type { AnySaver } from "./source.ts";

type Version = number | string;
export type RewriteVersion = (version: Version) => Version;

const COUNTER_DIGITS = 10;
/** Where a version of holdfast names the loop that minted it; no loop has this one. */
const IMPORTED_TAG = "0000000000";

/**
 * A version in holdfast's format: ten hex digits of the counter, then a tag of ten. Versions of
 * holdfast stay as they are; 5 and LangGraph Python's "00...05.0.123" become "0000000005" and zeros.
 *
 * @throws {InvalidInputError} neither a whole number nor a string that begins with one
 */
export function importedVersion(version: Version): string {
  if (isHoldfastVersion(version)) return version;
  return counterOf(version).toString(16).padStart(COUNTER_DIGITS, "0") + IMPORTED_TAG;
}

/** How this saver's own versions look decides how imported ones must. */
export function versionsFor(saver: AnySaver): RewriteVersion {
  return typeof saver.getNextVersion(undefined) === "string" ? importedVersion : counterOf;
}

/** The same checkpoint, in the current format, with its versions rewritten wherever they stand. */
export function withVersions(checkpoint: Checkpoint, rewrite: RewriteVersion): Checkpoint {
  return {
    ...checkpoint,
    // Older formats keep sends elsewhere; the saver that read it has put them into their channel.
    v: 4,
    channel_versions: rewriteAll(checkpoint.channel_versions, rewrite),
    versions_seen: Object.fromEntries(
      Object.entries(checkpoint.versions_seen).map(([node, seen]) => [
        node,
        rewriteAll(seen, rewrite),
      ]),
    ),
  };
}

function rewriteAll(
  versions: Readonly<Record<string, Version | null>>,
  rewrite: RewriteVersion,
): Record<string, Version> {
  return Object.fromEntries(
    Object.entries(versions).flatMap(([channel, version]): [string, Version][] =>
      // LangGraph takes null and absent alike for "never written".
      version === null ? [] : [[channel, rewrite(version)]],
    ),
  );
}

function counterOf(version: Version): number {
  const counter = counterIn(version);
  if (Number.isSafeInteger(counter) && counter >= 0) return counter;
  throw new InvalidInputError(
    `Cannot bring over the channel version ${JSON.stringify(version)}: ` +
      "it is neither a whole number nor a string that begins with one.",
  );
}

function counterIn(version: Version): number {
  if (typeof version === "number") return version;
  if (isHoldfastVersion(version)) return Number.parseInt(version.slice(0, COUNTER_DIGITS), 16);
  return Number(/^\d+(?=\.|$)/.exec(version)?.[0] ?? Number.NaN);
}

function isHoldfastVersion(version: Version): version is string {
  return typeof version === "string" && /^[0-9a-f]{20}$/.test(version);
}
