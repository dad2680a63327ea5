/**
 * What is to be done about a row of the ledger. Pure.
 *
 * Invariants
 *   D1  What is recorded is returned, never performed again.
 *   D2  Nothing is performed while somebody else may be performing it: a claim counts until it has
 *       expired, or its process is certainly dead.
 *   D3  What is unknown is never simply performed: its author said what is done about it.
 *   D4  What was closed is a new generation, with an idempotency key of its own.
 */

import type { EffectRow } from "../effect-store.ts";

export interface Facts {
  now: number;
  /** The call's arguments are those of the row. */
  sameArgs: boolean;
  /** The row's process is certainly dead, or has given the claim up. */
  abandoned: boolean;
}

export type Step =
  /** A new row. */
  | { do: "begin"; generation: number }
  /** The row is free: it was certainly not performed, or its record has expired. */
  | { do: "again" }
  | { do: "return" }
  | { do: "wait"; until: number | undefined }
  | { do: "resolve" }
  | { do: "conflict" };

export function decide(row: EffectRow | undefined, facts: Facts): Step {
  if (row === undefined) return { do: "begin", generation: 1 };
  const { state, generation } = row;
  if (state === "closed") return { do: "begin", generation: generation + 1 };
  const isPast = row.expiresAt !== undefined && row.expiresAt <= facts.now;
  if (state === "recorded" && isPast) return { do: "again" };
  if (!facts.sameArgs) {
    // The receiver may remember what the key meant: other arguments need another one.
    return state === "released" ? { do: "begin", generation: generation + 1 } : { do: "conflict" };
  }
  switch (state) {
    case "recorded":
      return { do: "return" };
    case "released":
    case "stuck":
      return { do: "again" };
    case "unknown":
      return { do: "resolve" };
    case "claimed": {
      return isPast || facts.abandoned ? { do: "resolve" } : { do: "wait", until: row.expiresAt };
    }
  }
}

export type Resolution = "reconcile" | "repeat" | "ask";

/**
 * What an unknown outcome is met with.
 * @param sentAt when it was first begun, for all that is known
 */
export function resolutionOf(
  effect: { canReconcile: boolean; onUnknown: "repeat" | "ask"; dedupeWindow: number },
  sentAt: number | undefined,
  now: number,
): Resolution {
  if (effect.canReconcile) return "reconcile";
  if (effect.onUnknown === "ask") return "ask";
  // The receiver may have forgotten the key since.
  return sentAt !== undefined && now - sentAt > effect.dedupeWindow ? "ask" : "repeat";
}
