/** What the ledger is handed: an effect, a call of it, and the rules by which it decides. */

import type { EffectPlace, EffectRow } from "../effect-store.ts";
import type { EventOrigin } from "../events.ts";
import type { Classifier } from "../policy/classify.ts";
import type { ResolvedRetry } from "../policy/retry-policy.ts";
import type { Facts, Step, resolutionOf } from "./decide.ts";
import type { EffectContext, Reconciled } from "./types.ts";

/** What the ledger must know of an effect. */
export interface LedgerEffect {
  kind: "effect" | "undo" | "request";
  name: string;
  run(context: EffectContext): unknown;
  reconcile: ((context: EffectContext) => Promise<Reconciled<unknown>>) | undefined;
  onUnknown: "repeat" | "ask";
  dedupeWindow: number;
  retry: ResolvedRetry;
  classify: Classifier | undefined;
  undoable: boolean;
  /** What is closed once this is recorded: the effect that it undid. */
  closes?: { identity: string; generation: number } | undefined;
  /** How long a record counts, in milliseconds; default for ever. */
  keepFor?: number | undefined;
}

/** One call of an effect. */
export interface LedgerCall {
  identity: string;
  scope: "thread" | "global";
  key: string | undefined;
  place: EffectPlace;
  leaseToken: number | undefined;
  /** Until when the lease certainly holds, by this process's clock. */
  leaseUntil?: (() => number) | undefined;
  /** Serialized. */
  args: string;
  signal: AbortSignal | undefined;
  /** When the run must be over. */
  deadlineAt?: number | undefined;
  /** The longest wait between tries; a longer one is left to whoever called. */
  longestWait?: number | undefined;
  /** What must hold for a new row. */
  conditions: {
    checkpoint?: { namespace: string; checkpointId: string } | undefined;
    unlessRerun?: boolean | undefined;
    unlessForked?: boolean | undefined;
  };
  /** A new row was refused for its conditions: how to go on. */
  onRefused(call: LedgerCall): Promise<LedgerCall>;
  /** Other arguments are recorded: how to go on, or throws. */
  onConflict(row: EffectRow, call: LedgerCall): Promise<LedgerCall>;
  /** A person's answer about an unknown outcome; undefined where none was given. Throws the question. */
  ask(effect: UnknownEffect): Promise<PersonSays>;
  /** For events. */
  origin: EventOrigin;
}

/** What a person is told of an effect whose outcome is unknown. */
export type UnknownEffect = Pick<
  EffectRow,
  "name" | "key" | "idempotencyKey" | "attempts" | "args" | "sentAt" | "error"
>;

export type PersonSays = { outcome: "done"; result: unknown } | { outcome: "not-done" | "retry" };

/** What a test may replace. */
export interface Rules {
  decide(row: EffectRow | undefined, facts: Facts): Step;
  resolutionOf: typeof resolutionOf;
}

/** What a claim came to: a result, or nothing, since somebody else has taken it. */
export type Outcome = { value: unknown } | "lost";
