/** Waits for runs to settle, however many: those of this process are heard of, all others looked at together. */

import type { Clock } from "../clock.ts";
import type { Bell } from "../engine/bell.ts";
import { NotFoundError } from "../errors.ts";
import type { RunQueue, StoredRun } from "../run-store.ts";
import { isSettled } from "../turns.ts";

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
  #looking = false;

  constructor(queue: RunQueue, bell: Bell, clock: Clock) {
    this.#queue = queue;
    this.#bell = bell;
    this.#clock = clock;
  }

  /** @throws {NotFoundError} there is no such run */
  async settled(runId: string, signal?: AbortSignal): Promise<StoredRun> {
    this.#waiting.set(runId, (this.#waiting.get(runId) ?? 0) + 1);
    try {
      for (;;) {
        const heard = this.#bell.listen([runId]);
        try {
          const run = await this.#queue.read(runId);
          if (run === undefined) throw new NotFoundError(`There is no run "${runId}".`);
          if (isSettled(run)) return run;
          void this.#look();
          await heard.within(READ_AGAIN, signal);
        } finally {
          heard.end();
        }
      }
    } finally {
      const others = (this.#waiting.get(runId) ?? 1) - 1;
      if (others === 0) this.#waiting.delete(runId);
      else this.#waiting.set(runId, others);
    }
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
