/** Tells who waits for something in this process that it may have happened. */

import { anySignal } from "../abort.ts";
import type { Clock } from "../clock.ts";

export interface Listening {
  /** Settles at the first ring since it began to listen, or after so many milliseconds. */
  within(duration: number, clock: Clock, signal?: AbortSignal): Promise<void>;
  end(): void;
}

export class Bell {
  readonly #listening = new Map<string, Set<AbortController>>();

  ring(name: string): void {
    for (const heard of this.#listening.get(name) ?? []) heard.abort(new Error("rung"));
  }

  /** Begin before looking, so that nothing is missed in between. */
  listen(name: string): Listening {
    const heard = new AbortController();
    const all = this.#listening.get(name) ?? new Set();
    this.#listening.set(name, all.add(heard));
    return {
      within: async (duration, clock, signal) => {
        try {
          await clock.sleep(duration, anySignal(heard.signal, signal));
        } catch (error) {
          if (!heard.signal.aborted) throw error;
        }
      },
      end: () => {
        all.delete(heard);
        if (all.size === 0) this.#listening.delete(name);
      },
    };
  }
}
