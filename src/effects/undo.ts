/** One effect undone: its outcome is settled first, then its `undo` is performed, as an effect. */

import { isHoldfastError } from "../errors.ts";
import { resolveRetry } from "../policy/retry-policy.ts";
import type { EffectRow, EffectStore, WrittenRow } from "../effect-store.ts";
import { systemProcesses } from "../process.ts";
import type { DurableSaver } from "../step-store.ts";
import { newVersion } from "./claim.ts";
import { ledgerEffect } from "./definition.ts";
import { idempotencyKeyOf, undoOf } from "./key.ts";
import type { LedgerCall, LedgerEffect } from "./protocol.ts";
import { registered } from "./registry.ts";
import { ledgerOf } from "./ledgers.ts";
import { textOf } from "./tries.ts";
import type { EffectOptions } from "./types.ts";

/** How undos are carried out. */
export interface Undoing {
  signal?: AbortSignal | undefined;
  leaseToken?: number | undefined;
}

/** Why an undo is stuck. */
export interface UndoFailure {
  error: unknown;
  /** The undo's row. */
  row: EffectRow;
}

/**
 * Undoes an effect.
 * @returns why it is stuck, where it is
 * @throws the signal's reason
 */
export async function undo(
  saver: DurableSaver,
  row: EffectRow,
  undoing: Undoing,
): Promise<UndoFailure | undefined> {
  const { store } = ledgerOf(saver);
  const options = registered(row.name);
  try {
    if (options?.undo === undefined) throw new Error(missing(row.name, options));
    const args = store.deserialize(row.args);
    const result = await settle(saver, row, options, args, undoing);
    await perform(saver, row, options, [args, result], undoing);
    return undefined;
  } catch (error) {
    if (undoing.signal?.aborted === true || isHoldfastError(error, "LEASE_LOST")) throw error;
    return { error, row: await markStuck(store, row, error, undoing) };
  }
}

function missing(name: string, options: EffectOptions<unknown, unknown> | undefined): string {
  return options === undefined
    ? `No effect called "${name}" is defined in this process: load the module that defines it.`
    : `The effect "${name}" has no \`undo\` any more.`;
}

/** What the effect came to: its result, or undefined where it was certainly not performed. */
async function settle(
  saver: DurableSaver,
  row: EffectRow,
  options: EffectOptions<unknown, unknown>,
  args: unknown,
  undoing: Undoing,
): Promise<unknown> {
  const { ledger, store } = ledgerOf(saver);
  if (row.state === "recorded") return store.deserialize(row.result ?? "null");
  const effect: LedgerEffect = {
    ...ledgerEffect(options, args),
    // It is only looked up.
    run: () => Promise.reject(new NotPerformed()),
    onUnknown: "ask",
    classify: (error, context) =>
      error instanceof NotPerformed
        ? { kind: "unknown", notPerformed: true }
        : options.classify?.(error, context),
  };
  const call: LedgerCall = {
    ...callOf(row, undoing),
    ask: ({ name }) =>
      Promise.reject(
        new Error(`Nobody knows whether "${name}" was performed, so it cannot be undone.`),
      ),
  };
  try {
    return await ledger.perform(effect, call);
  } catch (error) {
    if (error instanceof NotPerformed) return undefined;
    throw error;
  }
}

class NotPerformed extends Error {}

async function perform(
  saver: DurableSaver,
  row: EffectRow,
  options: EffectOptions<unknown, unknown>,
  [args, result]: [unknown, unknown],
  undoing: Undoing,
): Promise<void> {
  const { ledger } = ledgerOf(saver);
  const { identity, generation, idempotencyKey: effectKey, name } = row;
  const effect: LedgerEffect = {
    kind: "undo",
    name,
    run: async (context) => {
      await options.undo?.(args, result, { effectKey, ...context });
    },
    reconcile: undefined,
    onUnknown: "repeat",
    dedupeWindow: Number.POSITIVE_INFINITY,
    retry: resolveRetry(options.retry),
    classify: options.classify,
    undoable: false,
    closes: { identity, generation },
  };
  await ledger.perform(effect, {
    ...callOf(row, undoing),
    identity: undoOf(row),
    args: undoneText(row),
  });
}

function callOf(row: EffectRow, { signal, leaseToken }: Undoing): LedgerCall {
  const { identity, scope, key, place, args, name } = row;
  const again = (call: LedgerCall): Promise<LedgerCall> => Promise.resolve(call);
  return {
    ...{ identity, scope, key, place, args, signal, leaseToken },
    conditions: {},
    onRefused: again,
    onConflict: () => Promise.reject(new Error(`The effect "${name}" was changed in between.`)),
    ask: () => Promise.resolve({ outcome: "retry" }),
    origin: { threadId: place.threadId, runId: place.runId, node: place.node },
  };
}

/** An undo's arguments in its row: which effect it undoes. */
export function undoneText({
  identity,
  generation,
}: Pick<EffectRow, "identity" | "generation">): string {
  return JSON.stringify({ identity, generation });
}

/** For undos that were not even begun, too. */
async function markStuck(
  store: EffectStore,
  row: EffectRow,
  error: unknown,
  { leaseToken }: Undoing,
): Promise<EffectRow> {
  const identity = undoOf(row);
  for (;;) {
    const { row: found } = await store.latest(identity);
    if (found?.state === "stuck") return found;
    const written: WrittenRow = {
      ...row,
      ...{ identity, generation: 1, kind: "undo", state: "stuck", undoable: false },
      idempotencyKey: idempotencyKeyOf(identity, 1),
      args: undoneText(row),
      leaseToken,
      process: systemProcesses.own,
      attempts: found?.attempts ?? 0,
      result: undefined,
      error: textOf(error),
      reason: undefined,
    };
    await store.write({
      row: written,
      replaces: found?.version,
      version: newVersion(),
      claims: found === undefined,
      expiresIn: undefined,
      sent: "before",
    });
  }
}
