/**
 * The engine that needs nothing: workers of the same process are told at once, those of other processes
 * look at the database from time to time.
 */

import { anySignal } from "../abort.ts";
import type { Clock } from "../clock.ts";
import type { Engine } from "./engine.ts";

export class LocalEngine implements Engine {
  readonly name = "local";
  readonly #clock: Clock;
  readonly #waiting = new Set<{ graphs: ReadonlySet<string>; wake: AbortController }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  notify(graphs: readonly string[]): void {
    for (const { graphs: wanted, wake } of this.#waiting) {
      if (graphs.some((graph) => wanted.has(graph))) wake.abort(new Error("woken"));
    }
  }

  async wait(graphs: readonly string[], duration: number, signal: AbortSignal): Promise<void> {
    const wake = new AbortController();
    const waiting = { graphs: new Set(graphs), wake };
    this.#waiting.add(waiting);
    try {
      await this.#clock.sleep(duration, anySignal(wake.signal, signal));
    } catch (error) {
      if (!wake.signal.aborted) throw error;
    } finally {
      this.#waiting.delete(waiting);
    }
  }

  end(): Promise<void> {
    return Promise.resolve();
  }
}
