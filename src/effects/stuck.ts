/** Compensations that keep failing: listed until a person retries or dismisses them. */

import type { EffectRow, EffectStore } from "../effect-store.ts";
import { InvalidInputError, NotFoundError } from "../errors.ts";
import { events } from "../events.ts";
import type { DurableSaver } from "../step-store.ts";
import { newVersion } from "./claim.ts";
import { undoOf } from "./key.ts";
import { ledgerOf } from "./ledgers.ts";
import { undo } from "./undo.ts";

/** What a person found out about an effect whose outcome nobody knew. */
export type FoundOut = { done: true; result?: unknown } | { done: false };

/** An effect that should be undone, and could not be. */
export interface StuckCompensation {
  /** 32 hex digits: the undo's idempotency key. */
  id: string;
  threadId: string;
  effect: string;
  key: string | undefined;
  /** Of the effect. */
  idempotencyKey: string;
  args: unknown;
  /** As recorded; undefined where it is unknown, or was not performed. */
  result: unknown;
  /** Nobody knows whether it was performed. */
  unknown: boolean;
  /** How the undo failed last. */
  error: string;
  /** Since when, in milliseconds since the epoch. */
  since: number;
  attempts: number;
  /**
   * Tries once more, with all the retries of the policy.
   * @param options.outcome what became of the effect, where that was unknown
   * @returns undefined once it is undone; what it is stuck with now
   */
  retry(options?: {
    outcome?: FoundOut;
    signal?: AbortSignal;
  }): Promise<StuckCompensation | undefined>;
  /** Ends it: somebody has dealt with it otherwise. The effect is closed, as if it were undone. */
  dismiss(reason: string): Promise<void>;
}

/**
 * The compensations of a thread (or of all threads) that are stuck, latest first.
 *
 * @example
 * for (const one of await stuck(saver, "order-42")) await one.dismiss("refunded by hand, ticket 4711");
 */
export async function stuck(saver: DurableSaver, threadId?: string): Promise<StuckCompensation[]> {
  const { store } = ledgerOf(saver);
  const rows = await store.list({
    ...(threadId !== undefined && { threadId }),
    kind: "undo",
    states: ["stuck"],
    limit: 10_000,
  });
  return Promise.all(rows.map((row) => stuckOf(saver, row)));
}

/** The stuck undo of an effect, if it has one. */
export async function isStuck(store: EffectStore, row: EffectRow): Promise<EffectRow | undefined> {
  const { row: undoing } = await store.latest(undoOf(row));
  return undoing?.state === "stuck" ? undoing : undefined;
}

/** @param row of the undo */
export async function stuckOf(saver: DurableSaver, row: EffectRow): Promise<StuckCompensation> {
  const { store } = ledgerOf(saver);
  const undone = await undoneBy(store, row);
  return {
    id: row.idempotencyKey,
    threadId: row.place.threadId,
    effect: row.name,
    key: row.key,
    idempotencyKey: undone.idempotencyKey,
    args: store.deserialize(undone.args),
    result: undone.result === undefined ? undefined : store.deserialize(undone.result),
    unknown: undone.state === "unknown" || undone.state === "claimed",
    error: row.error ?? "",
    since: row.updatedAt,
    attempts: row.attempts,
    retry: (options = {}) => retryStuck(saver, row, options),
    dismiss: (reason) => dismiss(store, row, reason),
  };
}

async function undoneBy(store: EffectStore, row: EffectRow): Promise<EffectRow> {
  const { identity } = store.deserialize(row.args) as { identity: string };
  const { row: undone } = await store.latest(identity);
  if (undone !== undefined) return undone;
  throw new NotFoundError(
    `The effect "${row.name}" that was to be undone is gone from the ledger.`,
  );
}

async function retryStuck(
  saver: DurableSaver,
  row: EffectRow,
  { outcome, signal }: { outcome?: FoundOut; signal?: AbortSignal },
): Promise<StuckCompensation | undefined> {
  const { store } = ledgerOf(saver);
  if (outcome !== undefined) await tell(store, await undoneBy(store, row), outcome);
  const failure = await undo(saver, await undoneBy(store, row), { signal });
  const origin = { threadId: row.place.threadId, runId: row.place.runId, effect: row.name };
  if (failure === undefined) {
    events.emit("compensation.undone", origin);
    return undefined;
  }
  events.emit("compensation.stuck", { ...origin, error: failure.error });
  return stuckOf(saver, failure.row);
}

/** A person's word on an effect whose outcome is unknown. */
async function tell(store: EffectStore, effect: EffectRow, outcome: FoundOut): Promise<void> {
  if (effect.state !== "unknown" && effect.state !== "claimed") {
    throw new InvalidInputError(`"${effect.name}" is ${effect.state}: its outcome is known.`);
  }
  const what = `result of "${effect.name}"`;
  const result = outcome.done ? store.serialize(outcome.result, what) : undefined;
  const written = await store.write({
    row: {
      ...effect,
      leaseToken: undefined,
      state: outcome.done ? "recorded" : "released",
      result,
    },
    replaces: effect.version,
    version: newVersion(),
    claims: false,
    expiresIn: undefined,
    sent: outcome.done ? "before" : "no",
  });
  if (!written) throw changed(effect.name);
}

async function dismiss(store: EffectStore, row: EffectRow, reason: string): Promise<void> {
  if (typeof reason !== "string" || reason.trim() === "") {
    throw new InvalidInputError("To dismiss a compensation say why: it is kept with it.");
  }
  const { identity, generation } = await undoneBy(store, row);
  const written = await store.write({
    row: { ...row, leaseToken: undefined, state: "closed", reason },
    replaces: row.version,
    version: newVersion(),
    claims: false,
    expiresIn: undefined,
    sent: "before",
    closes: { identity, generation },
  });
  if (!written) throw changed(row.name);
}

function changed(name: string): InvalidInputError {
  return new InvalidInputError(
    `"${name}" was changed by somebody else in between. List what is stuck again.`,
  );
}
