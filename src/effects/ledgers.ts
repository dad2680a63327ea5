/** One ledger for each saver, and for all that happens in this process. */

import type { EffectStore } from "../effect-store.ts";
import { NotDurableError } from "../errors.ts";
import { systemProcesses } from "../process.ts";
import type { DurableSaver } from "../step-store.ts";
import { Ledger } from "./ledger.ts";

const ledgers = new WeakMap<EffectStore, Ledger>();

/** @throws {NotDurableError} the saver has no database */
export function ledgerOf(saver: DurableSaver): { ledger: Ledger; store: EffectStore } {
  const { effects: store, clock } = saver.steps;
  if (store === undefined) {
    throw new NotDurableError(
      "This saver's steps are not kept in a database, so no effect can be. " + HOW_TO,
    );
  }
  const ledger = ledgers.get(store) ?? new Ledger(store, clock, systemProcesses);
  ledgers.set(store, ledger);
  return { ledger, store };
}

/** What to do about it. */
export const HOW_TO =
  'Compile the graph with a saver of "holdfast/sqlite" or "holdfast/postgres" as its checkpointer.';
