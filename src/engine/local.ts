/**
 * The engine that needs nothing: workers of the same process are told at once, those of other processes
 * look at the database from time to time.
 */

import type { Clock } from "../clock.ts";
import { Bell } from "./bell.ts";
import type { Engine, Listening } from "./engine.ts";

export class LocalEngine implements Engine {
  readonly name = "local";
  readonly #bell: Bell;

  constructor(clock: Clock) {
    this.#bell = new Bell(clock);
  }

  notify(graphs: readonly string[]): void {
    this.#bell.ring(graphs);
  }

  listen(graphs: readonly string[]): Listening {
    return this.#bell.listen(graphs);
  }

  end(): Promise<void> {
    return Promise.resolve();
  }
}
