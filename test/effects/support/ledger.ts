/** The ledger by itself, without graphs: processes that are made up, effects that a test performs. */

import { ManualClock } from "../../../src/testing/manual-clock.ts";
import type { EffectStore } from "../../../src/effect-store.ts";
import { EffectUnknownError } from "../../../src/errors.ts";
import { identityOf } from "../../../src/effects/key.ts";
import type { LedgerCall, LedgerEffect } from "../../../src/effects/protocol.ts";
import { resolveRetry } from "../../../src/policy/retry-policy.ts";
import type { Processes } from "../../../src/process.ts";

/** Processes by name; those that were killed are known to be dead. */
export class MadeUpProcesses {
  readonly dead = new Set<string>();

  of(own: string): Processes {
    return { own, isDead: (name) => this.dead.has(name) };
  }
}

export function keyedCall(store: EffectStore, key: string, args: unknown = key): LedgerCall {
  return {
    identity: identityOf({ threadId: "t", scope: "thread", name: "charge", key }),
    scope: "thread",
    key,
    place: {
      threadId: "t",
      rootCheckpointId: "c",
      runId: undefined,
      node: "pay",
      taskId: undefined,
      execution: "e",
    },
    leaseToken: undefined,
    args: store.serialize(args, "args"),
    signal: undefined,
    conditions: {},
    onRefused: (call) => Promise.resolve(call),
    onConflict: (row) => Promise.reject(new Error(`conflict on ${row.key}`)),
    ask: ({ name, idempotencyKey }) =>
      Promise.reject(new EffectUnknownError(name, idempotencyKey, "a person is asked")),
    origin: {},
  };
}

export function effectOf(run: LedgerEffect["run"], more: Partial<LedgerEffect> = {}): LedgerEffect {
  return {
    kind: "effect",
    name: "charge",
    run,
    reconcile: undefined,
    onUnknown: "ask",
    dedupeWindow: 24 * 3_600_000,
    retry: resolveRetry({ initialInterval: 0, byKind: { network: { initialInterval: 0 } } }),
    classify: undefined,
    undoable: false,
    ...more,
  };
}

export { ManualClock };
