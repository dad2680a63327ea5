/**
 * The engine that needs nothing: workers of the same process are told at once, those of other processes
 * look at the database from time to time, or hear of it from Postgres.
 */

import { InvalidInputError } from "../errors.ts";
import { events } from "../events.ts";
import { Bell } from "./bell.ts";
import type { Engine, EngineSite, Listening } from "./engine.ts";
import { Messages, serverOf, tellOf } from "./messages.ts";

export interface LocalEngineOptions {
  /**
   * Workers of other processes hear at once of runs that are due: by NOTIFY in the transaction that stores
   * the run, and by LISTEN on one connection more for each process that has a worker. Only with Postgres,
   * and in all processes that accept runs. Default false: they hear with their next look (`pollInterval`).
   */
  listen?: boolean;
}

/**
 * The engine that a runtime has by default.
 *
 * @example
 * const runtime = createRuntime({ saver, graphs, engine: localEngine({ listen: true }) });
 */
export function localEngine(options: LocalEngineOptions = {}): Engine {
  return new LocalEngine(options);
}

class LocalEngine implements Engine {
  readonly name = "local";
  readonly #listens: boolean;
  #bell: Bell | undefined;
  #messages: Messages | undefined;
  #leave: (() => void) | undefined;

  constructor({ listen = false }: LocalEngineOptions) {
    this.#listens = listen;
  }

  attach(site: EngineSite): void {
    if (this.#bell !== undefined)
      throw new InvalidInputError("An engine works for one runtime: make another one.");
    const server = this.#listens ? serverOf(site, "localEngine({ listen: true })") : undefined;
    this.#bell = new Bell(site.clock);
    if (server === undefined) return;
    this.#messages = new Messages(server, this.#bell, site);
    this.#leave = server.join({
      prepare: () => Promise.resolve(),
      store: async (change, transaction) => void (await tellOf(change, transaction)),
      failed: (error) => events.emit("engine.troubled", { engine: this.name, error }),
    });
  }

  notify(graphs: readonly string[]): void {
    this.#bell?.ring(graphs);
  }

  listen(graphs: readonly string[]): Listening {
    if (this.#bell === undefined) throw new InvalidInputError("This engine has no runtime yet.");
    this.#messages?.hear();
    return this.#bell.listen(graphs);
  }

  end(): Promise<void> {
    this.#leave?.();
    this.#messages?.end();
    return Promise.resolve();
  }
}
