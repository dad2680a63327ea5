/**
 * The port of an engine: what tells workers that there is something to do. It decides who tries next,
 * and nothing else. That data stays right, whoever tries, is the business of leases and turns: what an
 * engine delivers twice, late or not at all costs time, and no more.
 */

import type { Listening } from "./bell.ts";

export type { Listening } from "./bell.ts";

export interface Engine {
  readonly name: string;
  /** Tells workers that runs of these graphs may be due. Never fails; a message that is lost is made up for. */
  notify(graphs: readonly string[]): void;
  /** Hears from now on that something may be due for these graphs. */
  listen(graphs: readonly string[]): Listening;
  /** Frees what it holds. */
  end(): Promise<void>;
}
