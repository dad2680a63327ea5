/** What runs streamed goes some time after they ended, a batch at a time. */

import { InvalidInputError } from "../errors.ts";
import type { RunEventStore } from "../run-event-store.ts";
import type { StepStore } from "../step-store.ts";
import type { Chore } from "../worker/worker.ts";

/** In milliseconds. */
const DAY = 24 * 60 * 60_000;
const MINUTE = 60_000;

export class EventSweep implements Chore {
  readonly isWanted = false;
  readonly #steps: StepStore;
  readonly #events: RunEventStore;
  readonly #keep: number;
  #from = 0;
  #dueAt: number | undefined;

  /**
   * @param keep how long, in milliseconds
   * @throws {InvalidInputError} that is no length of time
   */
  constructor(steps: StepStore, events: RunEventStore, keep = DAY) {
    if (!(keep >= 0)) {
      throw new InvalidInputError(
        `keepEvents is a number of milliseconds, 0 or more, and not ${String(keep)}.`,
      );
    }
    this.#steps = steps;
    this.#events = events;
    this.#keep = keep;
  }

  /** No run waits for it: it is done beside the worker's own work, and again later where it fails. */
  work(): Promise<undefined> {
    const { clock } = this.#steps;
    const pause = Math.min(this.#keep, MINUTE);
    this.#dueAt ??= clock.now() + pause;
    if (this.#keep !== Infinity && clock.now() >= this.#dueAt) {
      this.#dueAt = Infinity;
      this.#sweep().then(
        (isDone) => (this.#dueAt = clock.now() + (isDone ? pause : 0)),
        () => (this.#dueAt = clock.now() + MINUTE),
      );
    }
    return Promise.resolve(undefined);
  }

  /** @returns whether it is through */
  async #sweep(): Promise<boolean> {
    const { next } = await this.#events.sweep((await this.#steps.now()) - this.#keep, this.#from);
    this.#from = next ?? 0;
    return next === undefined;
  }
}
