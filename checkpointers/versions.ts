/**
 * Ids of channel versions, and what becomes of a run whose saving failed.
 *
 * A version id is a counter of ten hex digits and a tag of ten. The tag is drawn once per loop (one
 * LangGraph invocation or `updateState`): all channels of a superstep get the same id, as LangGraph
 * expects, and no fork or concurrent run ever mints an id that another has.
 */

import { randomTag } from "../src/ids.ts";

const COUNTER_DIGITS = 10;

/** One LangGraph loop, from its first version to its last. */
interface Loop {
  /** Why its state could not be saved; it may mint no further version. */
  failure: Error | undefined;
}

/** Loops by tag, as long as LangGraph holds on to them. */
export class Loops {
  readonly #byTag = new Map<string, WeakRef<Loop>>();
  readonly #forgotten = new FinalizationRegistry<string>((tag) => this.#byTag.delete(tag));

  /** A new loop's `getNextVersion`. It never uses `this`: LangGraph binds it to what it likes. */
  begin(): (current: string | number | undefined) => string {
    const tag = randomTag();
    const loop: Loop = { failure: undefined };
    this.#byTag.set(tag, new WeakRef(loop));
    this.#forgotten.register(loop, tag);
    return (current) => {
      if (loop.failure !== undefined) throw loop.failure;
      return versionId(counterOf(current) + 1, tag);
    };
  }

  /** Makes the loop that minted this version stop at its next superstep, with this error. */
  fail(version: string, failure: Error): void {
    const loop = this.#byTag.get(version.slice(COUNTER_DIGITS))?.deref();
    if (loop !== undefined) loop.failure ??= failure;
  }
}

/** The id with this counter and tag. */
function versionId(counter: number, tag: string): string {
  return counter.toString(16).padStart(COUNTER_DIGITS, "0") + tag;
}

/** True for ids that a holdfast saver minted. */
export function isOwnVersion(version: unknown): version is string {
  return typeof version === "string" && /^[0-9a-f]{20}$/.test(version);
}

/** How many supersteps lie behind a version, of any saver. */
function counterOf(version: string | number | undefined): number {
  if (version === undefined) return 0;
  if (typeof version === "number") return Math.floor(version);
  if (isOwnVersion(version)) return Number.parseInt(version.slice(0, COUNTER_DIGITS), 16);
  const decimal = Number.parseInt(version, 10);
  return Number.isFinite(decimal) ? decimal : 0;
}
