/**
 * A clock that stands still until a test moves it, so that an hour's backoff is tested at once.
 *
 * Give it where a `clock` is taken: `SqliteSaver.fromConnString(file, { clock })`. It knows only the
 * waits that go through it; databases and HTTP stay as real, and as fast, as they are.
 *
 * Invariants
 *   M1  Time never goes back, and moves only in `advance` and `runUntil`.
 *   M2  Sleepers wake in the order of their instants, those of one instant in the order in which they
 *       lay down; each sees as `now()` exactly its instant, and what it sets off at once has run
 *       before the next one wakes.
 *   M3  Who is aborted is gone: nothing wakes, and nothing is pending.
 */

import { performance } from "node:perf_hooks";
import { setImmediate as turn, setTimeout as realDelay } from "node:timers/promises";
import type { Clock } from "../clock.ts";
import { InvalidInputError } from "../errors.ts";

interface Sleeper {
  at: number;
  wake: () => void;
}

export interface RunUntilOptions {
  /**
   * Real milliseconds in which nothing may happen in this process before time moves on; default 20.
   * More, where a timeout through the clock must not overtake slow real work.
   */
  quiet?: number;
}

/** 2026-01-01T00:00:00Z: a plausible instant, and the same in every test. */
const START = 1_767_225_600_000;

/** How many turns of the event loop "at once" is: a few promises deep, with immediates between. */
const TURNS = 10;

/** The share of a quiet time for which this process may be busy, with its timers and the like. */
const BUSY = 0.2;

export class ManualClock implements Clock {
  #now: number;
  /** By instant, then in the order in which they lay down. */
  readonly #sleepers: Sleeper[] = [];
  readonly #asked: number[] = [];
  /** Grows whenever somebody lies down, wakes or goes. */
  #moves = 0;
  readonly #watchers = new Set<() => void>();

  /** @param start milliseconds since the epoch, or a date; default: the beginning of 2026 */
  constructor(start: number | Date = START) {
    this.#now = Number(start);
    if (!Number.isFinite(this.#now)) {
      throw new InvalidInputError(`A clock starts at an instant, not at ${String(start)}.`);
    }
  }

  now(): number {
    return this.#now;
  }

  /** The instants at which sleepers wake, earliest first. */
  get pending(): readonly number[] {
    return this.#sleepers.map(({ at }) => at);
  }

  /** The durations of all waits so far, in the order in which they began. */
  get asked(): readonly number[] {
    return [...this.#asked];
  }

  sleep(duration: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      this.#asked.push(duration);
      if (!(duration > 0)) {
        resolve();
        return;
      }
      const sleeper: Sleeper = {
        at: this.#now + duration,
        wake: () => {
          signal?.removeEventListener("abort", abort);
          resolve();
        },
      };
      const abort = (): void => {
        this.#sleepers.splice(this.#sleepers.indexOf(sleeper), 1);
        this.#moved();
        reject(signal?.reason as Error);
      };
      signal?.addEventListener("abort", abort, { once: true });
      const later = this.#sleepers.findIndex(({ at }) => at > sleeper.at);
      this.#sleepers.splice(later < 0 ? this.#sleepers.length : later, 0, sleeper);
      this.#moved();
    });
  }

  /** Moves time, and wakes on the way who is due: those that lie down meanwhile, too. */
  async advance(duration: number): Promise<void> {
    if (!(duration >= 0)) {
      throw new InvalidInputError(`Time goes forward: advance(${duration}) can't be.`);
    }
    const target = this.#now + duration;
    await settle();
    while ((this.#sleepers[0]?.at ?? Infinity) <= target) {
      this.#wakeNext();
      await settle();
    }
    this.#now = Math.max(this.#now, target);
    await settle();
  }

  /** Settles when at least `count` sleep. */
  async sleeping(count = 1): Promise<void> {
    while (this.#sleepers.length < count) {
      await new Promise<void>((resolve) => void this.#watchers.add(resolve));
    }
  }

  /**
   * Runs work to its end, moving time to the next sleeper's instant whenever the process is quiet:
   * hours pass in moments. @returns what the work returns, or throws what it throws
   */
  async runUntil<T>(work: Promise<T>, { quiet = 20 }: RunUntilOptions = {}): Promise<T> {
    const end = new AbortController();
    const whenOver = work.then(
      () => end.abort(),
      () => end.abort(),
    );
    while (!end.signal.aborted) {
      const moves = this.#moves;
      const before = performance.eventLoopUtilization();
      await Promise.race([whenOver, realDelay(quiet)]);
      const { utilization } = performance.eventLoopUtilization(before);
      const isQuiet = moves === this.#moves && utilization < BUSY;
      const [next] = this.#sleepers;
      if (!end.signal.aborted && isQuiet && next !== undefined)
        await this.advance(next.at - this.#now);
    }
    return work;
  }

  #wakeNext(): void {
    const next = this.#sleepers.shift();
    if (next === undefined) return;
    this.#now = Math.max(this.#now, next.at);
    this.#moved();
    next.wake();
  }

  #moved(): void {
    this.#moves += 1;
    for (const tell of this.#watchers) tell();
    this.#watchers.clear();
  }
}

async function settle(): Promise<void> {
  for (let turns = 0; turns < TURNS; turns += 1) await turn();
}
