/** Tells who waits for something in this process that it may have happened. */

import { anySignal } from "../abort.ts";
import type { Clock } from "../clock.ts";

export interface Listening {
  /**
   * Settles at the first ring since it began to listen, or after so many milliseconds; rejects with the
   * signal's reason when that aborts.
   */
  within(duration: number, signal?: AbortSignal): Promise<void>;
  end(): void;
}

export class Bell {
  readonly #clock: Clock;
  readonly #listening = new Map<string, Set<AbortController>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ring(names: readonly string[]): void {
    for (const name of names) {
      for (const heard of this.#listening.get(name) ?? []) heard.abort(new Error("rung"));
    }
  }

  /** Begin before looking, so that nothing is missed in between. */
  listen(names: readonly string[]): Listening {
    const heard = new AbortController();
    for (const name of names) {
      this.#listening.set(name, (this.#listening.get(name) ?? new Set()).add(heard));
    }
    return {
      within: async (duration, signal) => {
        try {
          await this.#clock.sleep(duration, anySignal(heard.signal, signal));
        } catch (error) {
          if (!heard.signal.aborted) throw error;
        }
      },
      end: () => {
        for (const name of names) {
          const all = this.#listening.get(name);
          all?.delete(heard);
          if (all?.size === 0) this.#listening.delete(name);
        }
      },
    };
  }
}
