/** An author's definition of an effect, as the ledger takes it. */

import { resolveRetry } from "../policy/retry-policy.ts";
import type { LedgerEffect } from "./protocol.ts";
import type { EffectOptions } from "./types.ts";

/** As long as Stripe remembers a key. */
const DEDUPE_WINDOW = 24 * 60 * 60 * 1_000;

export function ledgerEffect<Args, Result>(
  options: EffectOptions<Args, Result>,
  args: Args,
): LedgerEffect {
  const { name, run, reconcile, undo } = options;
  return {
    kind: "effect",
    name,
    run: (context) => run(args, context),
    reconcile:
      reconcile === undefined
        ? undefined
        : async ({ idempotencyKey, signal }) =>
            reconcile(args, { idempotencyKey, effectKey: idempotencyKey, signal }),
    onUnknown: options.onUnknown ?? "ask",
    dedupeWindow: options.dedupeWindow ?? DEDUPE_WINDOW,
    retry: resolveRetry(options.retry),
    classify: options.classify,
    undoable: undo !== undefined,
  };
}
