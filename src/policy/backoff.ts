/**
 * How long to wait before the next attempt: pure arithmetic.
 *
 * Invariants
 *   B1  A wait on a curve is within [0, maxInterval], and with a fraction f as jitter within f of its
 *       unjittered length.
 *   B2  A wait that the other side told is never shorter than told, and never cut by maxInterval.
 */

import type { Random } from "../ids.ts";

/**
 * How a wait is spread, so that many who failed together don't come back together. A fraction: up to
 * so much longer or shorter. "full": anything from 0 up. "decorrelated": between the initial interval
 * and three times the last wait (after AWS's "Exponential Backoff And Jitter"). `true` is the default
 * fraction, `false` is "none", as in LangGraph.
 */
export type Jitter = boolean | number | "none" | "full" | "decorrelated";

/** A curve of growing waits, with every option set. */
export interface Curve {
  initialInterval: number;
  backoffFactor: number;
  maxInterval: number;
  jitter: number | "none" | "full" | "decorrelated";
}

export const DEFAULT_JITTER = 0.3;

/** The wait after so many failures (1 or more), in whole milliseconds. */
export function backoff(
  curve: Curve,
  failures: number,
  random: Random,
  /** The wait before this failure, for "decorrelated". */
  last?: number,
): number {
  const { initialInterval, maxInterval, jitter } = curve;
  const even = plain(curve, failures);
  switch (jitter) {
    case "none":
      return Math.round(even);
    case "full":
      return Math.round(random() * even);
    case "decorrelated": {
      const widest = Math.max(initialInterval, 3 * (last ?? initialInterval));
      return Math.round(between(initialInterval, widest, random, maxInterval));
    }
    default:
      return Math.round(between(even * (1 - jitter), even * (1 + jitter), random, maxInterval));
  }
}

/** A wait that was told, a little longer: whoever was told the same comes back spread out. */
export function told(curve: Curve, duration: number, random: Random): number {
  const { jitter, maxInterval } = curve;
  if (jitter === "none") return Math.ceil(duration);
  const fraction = typeof jitter === "number" ? jitter : DEFAULT_JITTER;
  // An hour's wait needs no twenty minutes more.
  return Math.ceil(duration + random() * Math.min(duration * fraction, maxInterval));
}

function plain({ initialInterval, backoffFactor, maxInterval }: Curve, failures: number): number {
  if (initialInterval === 0) return 0;
  return Math.min(maxInterval, initialInterval * backoffFactor ** (failures - 1));
}

/** Spread below the limit rather than heaped on it. */
function between(low: number, high: number, random: Random, limit: number): number {
  const top = Math.min(high, limit);
  const bottom = Math.min(low, top);
  return bottom + random() * (top - bottom);
}
