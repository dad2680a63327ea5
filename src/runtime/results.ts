/**
 * Waits for runs to settle, however many: those of this process are heard of, together with what they
 * left; all others are looked at together.
 */

import type { Clock } from "../clock.ts";
import type { Bell } from "../engine/bell.ts";
import { NotFoundError } from "../errors.ts";
import type { RunQueue } from "../run-store.ts";
import { isSettled } from "../turns.ts";
import type { LeftRun } from "../worker/worker.ts";

/** How often runs of other processes are looked at, in milliseconds. */
const LOOK_AGAIN = 200;
/** How often each of them is read by itself, whatever is heard. */
const READ_AGAIN = 10_000;

export class Results {
  readonly #queue: RunQueue;
  readonly #bell: Bell;
  readonly #clock: Clock;
  /** How many wait for each run. */
  readonly #waiting = new Map<string, number>();
  /** What was left of runs that somebody waits for. */
  readonly #left = new Map<string, LeftRun>();
  /** Accepted in this very turn of the event loop: there is nothing to be read of them yet. */
  readonly #justAccepted = new Set<string>();
  #looking = false;

  constructor(queue: RunQueue, bell: Bell, clock: Clock) {
    this.#queue = queue;
    this.#bell = bell;
    this.#clock = clock;
  }

  accepted(runId: string): void {
    if (this.#justAccepted.size === 0) setImmediate(() => this.#justAccepted.clear());
    this.#justAccepted.add(runId);
  }

  /** A worker of this process has left a run. */
  left(runId: string, left?: LeftRun): void {
    this.#justAccepted.delete(runId);
    if (left !== undefined && this.#waiting.has(runId)) this.#left.set(runId, left);
    this.#bell.ring([runId]);
  }

  /**
   * @returns the run, and its last state where that is at hand: the caller's own
   * @throws {NotFoundError} there is no such run
   */
  async settled(runId: string, signal?: AbortSignal): Promise<LeftRun> {
    this.#waiting.set(runId, (this.#waiting.get(runId) ?? 0) + 1);
    try {
      for (;;) {
        const heard = this.#bell.listen([runId]);
        try {
          const found = this.#justAccepted.has(runId) ? undefined : await this.#found(runId);
          if (found !== undefined) return found;
          void this.#look();
          await heard.within(READ_AGAIN, signal);
        } finally {
          heard.end();
        }
      }
    } finally {
      const others = (this.#waiting.get(runId) ?? 1) - 1;
      if (others > 0) this.#waiting.set(runId, others);
      else {
        this.#waiting.delete(runId);
        this.#left.delete(runId);
      }
    }
  }

  /** @returns undefined for a run that has not settled */
  async #found(runId: string): Promise<LeftRun | undefined> {
    const left = this.#left.get(runId);
    // Its state is for one who waits.
    this.#left.delete(runId);
    if (left !== undefined && isSettled(left.run)) return left;
    const run = await this.#queue.read(runId);
    if (run === undefined) throw new NotFoundError(`There is no run "${runId}".`);
    return isSettled(run) ? { run, values: undefined } : undefined;
  }

  /** For as long as anybody waits. */
  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      while (this.#waiting.size > 0) {
        await this.#clock.sleep(LOOK_AGAIN);
        const runIds = [...this.#waiting.keys()];
        // A database that is gone is for each who waits to hear of.
        this.#bell.ring(await this.#queue.settled(runIds).catch(() => runIds));
      }
    } finally {
      this.#looking = false;
    }
  }
}
