/**
 * `retry(fn, policy)`: a retry policy around any async function, without a graph or a database.
 *
 * Invariants
 *   R1  One attempt at a time: `fn` is called again only when the attempt before it ended, or its
 *       time was up; what a timed-out attempt still returns is nobody's.
 *   R2  An abort of the signal ends the attempt, or the wait, at once, and is never retried.
 *   R3  The error that a policy gives up on is thrown as it is, marked, and tried by no policy around it.
 */

import { anySignal, orAborted } from "../abort.ts";
import { systemClock, type Clock } from "../clock.ts";
import { AttemptTimeoutError, InvalidInputError, markExhausted } from "../errors.ts";
import { events } from "../events.ts";
import { random as systemRandom, type Random } from "../ids.ts";
import type { Classifier } from "./classify.ts";
import { nextStep, type NextStep, type Series } from "./next-step.ts";
import { checkOptional, shown } from "./options.ts";
import { resolveRetry, type ResolvedRetry, type RetryPolicy } from "./retry-policy.ts";

export interface RetryAttempt {
  /** Counts from 1. */
  readonly attempt: number;
  /** Aborts when the attempt's time is up, or the caller's signal aborts: hand it to what you call. */
  readonly signal: AbortSignal;
}

/** Durations are milliseconds. */
export interface RetryOptions<T> extends Omit<RetryPolicy, "onExhausted" | "parkFor"> {
  /** Longest time for one attempt; default: no limit. */
  timeout?: number;
  /** Ends the attempt, and all waiting, with its reason. */
  signal?: AbortSignal;
  /** Default: `classify` of holdfast. */
  classify?: Classifier;
  /** Takes over when `fn` failed for good; what it throws is final. */
  fallback?: (error: unknown, context: { signal: AbortSignal }) => T | Promise<T>;
  /** For errors and events; default "retry()". */
  name?: string;
  /** For tests. */
  clock?: Clock;
  /** For tests. */
  random?: Random;
}

/**
 * Calls `fn` until it succeeds, as often as the policy allows: by default 4 times, with growing waits,
 * and only after failures that may pass by themselves.
 *
 * Give `fn`'s client no retries of its own (`maxRetries: 0`), or they multiply.
 *
 * @returns what `fn` returned
 * @throws what `fn` threw last, when it failed for good; the signal's reason, when that aborts
 * @throws {InvalidInputError} the policy has an unknown option, or a value out of bounds
 */
export async function retry<T>(
  fn: (attempt: RetryAttempt) => T | Promise<T>,
  options: RetryOptions<T> = {},
): Promise<T> {
  const {
    timeout,
    signal,
    classify,
    fallback,
    name = "retry()",
    clock,
    random,
    ...policy
  } = options;
  checkOptional("retry.timeout", timeout, { above: 0 });
  if (typeof fn !== "function") {
    throw new InvalidInputError(`retry() takes a function to call, not ${shown(fn)}.`);
  }
  if ("onExhausted" in policy || "parkFor" in policy) {
    throw new InvalidInputError(
      "retry() has no graph to park, so it knows no onExhausted and no parkFor: use durable().",
    );
  }
  const run: Run = {
    name,
    policy: resolveRetry(policy),
    timeout,
    signal,
    classify,
    clock: clock ?? systemClock,
    random: random ?? systemRandom,
  };
  try {
    return await loop(fn, run);
  } catch (error) {
    if (fallback === undefined || !(error instanceof GivenUp)) throw causeOf(error);
    events.emit("fallback.used", { name, error: error.cause });
    return fallBack(fallback, error.cause, signal);
  }
}

interface Run {
  name: string;
  policy: ResolvedRetry;
  timeout: number | undefined;
  signal: AbortSignal | undefined;
  classify: Classifier | undefined;
  clock: Clock;
  random: Random;
}

/** Tells a failure for good from an abort; never leaves this file. */
class GivenUp extends Error {
  constructor(error: unknown) {
    super("given up", { cause: error });
  }
}

function causeOf(error: unknown): unknown {
  return error instanceof GivenUp ? error.cause : error;
}

async function loop<T>(fn: (attempt: RetryAttempt) => T | Promise<T>, run: Run): Promise<T> {
  const { clock, random, signal, policy, classify } = run;
  let series: Series = { failed: 0, startedAt: clock.now() };
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await attemptOnce(fn, series.failed + 1, run);
    } catch (error) {
      const now = clock.now();
      const step = nextStep(series, error, policy, { now, random, signal, classify });
      tell(run, series.failed + 1, step, error);
      if (step.step === "pass") throw error;
      if (step.step !== "retry") throw new GivenUp(error);
      const failed = series.failed + (step.counted ? 1 : 0);
      series = { ...series, failed, nextAttemptAt: step.retryAt, error: { at: now } };
      await clock.sleep(step.retryAt - now, signal);
    }
  }
}

async function attemptOnce<T>(
  fn: (attempt: RetryAttempt) => T | Promise<T>,
  attempt: number,
  { name, timeout, signal: outer, clock }: Run,
): Promise<T> {
  const own = new AbortController();
  const over = new AbortController();
  const signal = anySignal(outer, own.signal) ?? own.signal;
  if (timeout !== undefined) {
    clock.sleep(timeout, over.signal).then(
      () => own.abort(new AttemptTimeoutError(name, "run", timeout)),
      () => undefined,
    );
  }
  try {
    return await orAborted((async () => fn({ attempt, signal }))(), signal);
  } finally {
    over.abort();
  }
}

async function fallBack<T>(
  fallback: NonNullable<RetryOptions<T>["fallback"]>,
  error: unknown,
  signal: AbortSignal | undefined,
): Promise<T> {
  try {
    return await fallback(error, { signal: signal ?? new AbortController().signal });
  } catch (failure) {
    throw markExhausted(failure);
  }
}

function tell(run: Run, attempt: number, step: NextStep, error: unknown): void {
  if (step.step === "pass" || (step.step === "retry" && !step.counted)) return;
  const { maxAttempts } = run.policy;
  const nextAttemptAt = step.step === "retry" ? step.retryAt : undefined;
  const { kind } = step.classification;
  events.emit("attempt.failed", { attempt, maxAttempts, kind, error, nextAttemptAt });
  if (step.step !== "fail" || step.because === "terminal") return;
  markExhausted(error);
  events.emit("attempt.exhausted", { attempts: attempt, error });
}
