/** The rows of small shared states: breakers, limits, budgets. */

import type { StateKind } from "../../src/step-store.ts";
import type { Cell } from "../encoding/cells.ts";

export interface StatePlace {
  key: Uint8Array;
  /** Empty for what all threads share. */
  thread: Uint8Array;
  /** The whole name, as text (texts.ts). */
  name: string;
}

export interface StateRow {
  name: string;
  thread: Uint8Array;
  /** The thread's whole id, where its key does not tell it and the thread is there. */
  threadName: Cell | null;
  state: string;
  updatedAt: number;
}

export interface StateRows {
  /** In the order of the places, without a lock. */
  read(
    kind: StateKind,
    places: readonly StatePlace[],
  ): Promise<{ state: string | undefined; now: number }[]>;
  /**
   * Changes a row in one transaction that holds its lock.
   * @param decide gets the state, and the time once the lock was there; gives the new state, null to
   *   remove it, undefined to leave it. Called again if the transaction was lost before it committed.
   */
  change(
    kind: StateKind,
    place: StatePlace,
    decide: (state: string | undefined, now: number) => string | null | undefined,
  ): Promise<void>;
  /** @param prefix of the key */
  list(
    kind: StateKind,
    query: { prefix: Uint8Array; thread: Uint8Array | undefined },
  ): Promise<StateRow[]>;
}
