/**
 * What to do about a failed attempt: try again at some instant, fail, or park. Pure.
 *
 * Invariants
 *   N1  The same record, error, policy, time and chance give the same step.
 *   N2  Nothing is tried again after `maxAttempts`, `maxElapsed` or the deadline, or when it is not
 *       retryable; no wait is begun whose end none of these allows.
 *   N3  What called nothing (a breaker is open, a limit is full) is waited for and costs no attempt.
 */

import type { Random } from "../ids.ts";
import { backoff, told } from "./backoff.ts";
import { classifyWith, isFailure, type Classification, type Classifier } from "./classify.ts";
import type { ResolvedRetry } from "./retry-policy.ts";

/** A series of attempts so far, before the failure that is decided on; `AttemptsRecord` is one. */
export interface Series {
  /** Attempts that failed before. */
  failed: number;
  /** When the first one began. */
  startedAt: number;
  /** When this attempt was allowed to begin, and when the one before failed: their distance is the last wait. */
  nextAttemptAt?: number | undefined;
  error?: { at: number } | undefined;
}

export interface StepOptions {
  /** Milliseconds since the epoch. */
  now: number;
  random: Random;
  /** The run's; what was thrown because it aborted is no failure. */
  signal?: AbortSignal | undefined;
  /** No attempt may begin at or after it. */
  deadlineAt?: number | undefined;
  classify?: Classifier | undefined;
}

export type NextStep =
  /** Nothing failed: throw it on, and count nothing. */
  | { step: "pass" }
  /** `counted` is false where the failure costs no attempt. */
  | { step: "retry"; retryAt: number; counted: boolean; classification: Classification }
  /** All attempts are used up; a new series may begin at `retryAt`. */
  | { step: "park"; retryAt: number; classification: Classification }
  /** `because`: not retryable; or attempts, time in all or time to the deadline are used up. */
  | {
      step: "fail";
      because: "terminal" | "attempts" | "elapsed" | "deadline";
      classification: Classification;
    };

export function nextStep(
  series: Series,
  error: unknown,
  policy: ResolvedRetry,
  options: StepOptions,
): NextStep {
  const { now, random, signal, deadlineAt } = options;
  if (!isFailure(error, signal)) return { step: "pass" };
  const classification = classifyWith(options.classify, error, { now });
  if (!policy.retries(error, classification)) {
    return { step: "fail", because: "terminal", classification };
  }

  const { counted, retryAfter, kind } = classification;
  const curve = policy.curve(kind);
  const failures = series.failed + 1;
  const wait =
    retryAfter === undefined
      ? backoff(curve, failures, random, lastWait(series))
      : told(curve, retryAfter, random);
  const retryAt = now + wait;
  const isLast = counted && failures >= policy.maxAttempts;
  const late = policy.maxElapsed !== undefined && retryAt - series.startedAt > policy.maxElapsed;
  if (isLast || late) {
    const parkedTill = Math.max(retryAt, now + policy.parkFor);
    if (policy.onExhausted === "park" && !isPast(parkedTill, deadlineAt)) {
      return { step: "park", retryAt: parkedTill, classification };
    }
    return { step: "fail", because: isLast ? "attempts" : "elapsed", classification };
  }
  if (isPast(retryAt, deadlineAt)) return { step: "fail", because: "deadline", classification };
  return { step: "retry", retryAt, counted, classification };
}

function lastWait({ nextAttemptAt, error }: Series): number | undefined {
  return nextAttemptAt === undefined || error === undefined ? undefined : nextAttemptAt - error.at;
}

function isPast(at: number, deadlineAt: number | undefined): boolean {
  return deadlineAt !== undefined && at >= deadlineAt;
}
