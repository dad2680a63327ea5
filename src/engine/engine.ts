/**
 * The port of an engine: what tells workers that there is something to do. It decides who tries next,
 * and nothing else. That data stays right, whoever tries, is the business of leases and turns: what an
 * engine delivers twice, late or not at all costs time, and no more.
 */

import type { Clock } from "../clock.ts";
import type { RunQueue } from "../run-store.ts";
import type { Listening } from "./bell.ts";

export type { Listening } from "./bell.ts";

export interface Engine {
  readonly name: string;
  /**
   * Called once, before all else, by the runtime that it is an engine of. One that stores something of
   * its own with the runs joins their turns here (`queue.server`).
   * @throws {InvalidInputError} it cannot work with this database, or works for another runtime
   */
  attach(site: EngineSite): void;
  /** Settles once it can deliver; a worker begins then. @throws what somebody has to see to */
  prepare?(): Promise<void>;
  /** Tells workers that runs of these graphs may be due. Never fails; a message that is lost is made up for. */
  notify(graphs: readonly string[]): void;
  /** Hears from now on that something may be due for these graphs. */
  listen(graphs: readonly string[]): Listening;
  /**
   * Takes up to so many messages that are due, the most urgent first. Never fails. A worker tries the run
   * of each, and looks for itself only from time to time (`pollInterval`); without this method it looks
   * whenever it hears something.
   */
  take?(graphs: readonly string[], limit: number): Promise<Delivery[]>;
  /** Frees what it holds. */
  end(): Promise<void>;
}

export interface EngineSite {
  queue: RunQueue;
  clock: Clock;
  /** The names of all graphs that the runtime has. */
  graphs: readonly string[];
  /** Somebody asked for these runs to stop; workers that are on one of them look at once. Never fails. */
  heed: (runIds: readonly string[]) => void;
}

/** A message that a worker has taken. One of a worker that dies is delivered again. */
export interface Delivery {
  runId: string;
  /** The worker has left the run, or there was nothing to do. Never fails. */
  readonly settle: () => void;
}
