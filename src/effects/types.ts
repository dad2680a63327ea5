/** What an author says of an effect, and what a caller gets. */

import type { Classifier } from "../policy/classify.ts";
import type { RetryPolicy } from "../policy/retry-policy.ts";

/** Handed to `run`, beside the arguments. */
export interface EffectContext {
  /**
   * 32 hex digits, the same for every try of this effect and for no other one: send it along, so that the
   * receiver can tell a repetition.
   */
  readonly idempotencyKey: string;
  /** Aborts when the attempt's time is up, or the run is aborted: stop, the outcome counts as unknown. */
  readonly signal: AbortSignal;
  /** Counts from 1, over all tries in all processes. */
  readonly attempt: number;
}

/** Handed to `reconcile` and `undo`. */
export interface SettlingContext {
  /** Of the effect for `reconcile`; for `undo` the undoing's own. */
  readonly idempotencyKey: string;
  /** Of the effect. */
  readonly effectKey: string;
  readonly signal: AbortSignal;
}

/** What became of an effect whose outcome was unknown. */
export type Reconciled<Result> =
  | { done: true; result: Result }
  | { done: false }
  /** Cannot be told: a person is asked. */
  | { unknown: true };

interface EffectBase<Args, Result> {
  /**
   * What the effect is called in the ledger: it survives moves of the code, and must not change while
   * runs are under way. One name, one effect. At most 200 characters.
   */
  name: string;
  /** Performs it. Its result is stored, so it must be plain data. */
  run: (args: Args, context: EffectContext) => Promise<Result> | Result;
  /**
   * Takes it back when the run fails for good; must bear being called twice with one key. `result` is
   * undefined where reconciling found nothing.
   */
  undo?: (args: Args, result: Result | undefined, context: SettlingContext) => unknown;
  /** How long the receiver remembers idempotency keys, in milliseconds; default 24 hours. */
  dedupeWindow?: number;
  /**
   * Tries within one call. What was certainly not performed is tried again; what may have been, only as
   * `reconcile` or `onUnknown` say. Default: 4 in all. `onExhausted: "park"` counts as "fail" here.
   */
  retry?: RetryPolicy;
  /** The user's own classification of errors: `notPerformed` is proof that nothing was done. */
  classify?: Classifier;
  /** Whether a key counts once per thread (default) or once ever. */
  scope?: "thread" | "global";
}

/**
 * An unknown outcome needs an answer, and there is no default: look it up (`reconcile`), repeat it with
 * the same idempotency key, or ask a person.
 */
export type EffectOptions<Args, Result> = EffectBase<Args, Result> &
  (
    | {
        /** What became of it? Asked after a crash, a timeout or a lost connection. */
        reconcile: (
          args: Args,
          context: SettlingContext,
        ) => Promise<Reconciled<Result>> | Reconciled<Result>;
        onUnknown?: "ask";
      }
    | { reconcile?: undefined; onUnknown: "repeat" | "ask" }
  );

export interface CallOptions {
  /**
   * The business key: under it the effect happens once in the thread, across retries, resumes, redeploys
   * and forks. Without one it happens once for each execution of the node.
   */
  key?: string;
  /** Overrides the effect's. */
  scope?: "thread" | "global";
}

/** A side effect that happens once; call it in a node of a graph with a holdfast saver. */
export interface Effect<Args, Result> {
  (
    ...call: undefined extends Args
      ? [args?: Args, options?: CallOptions]
      : [args: Args, options?: CallOptions]
  ): Promise<Result>;
  readonly effectName: string;
}
