/**
 * What happens under one claim: tries, what they failed with, and what that means.
 *
 * Invariants
 *   T1  A failure without proof that nothing was done leaves the effect *doubtful*; so it stays, whatever
 *       later tries prove of themselves, until reconciling says that it was not performed.
 *   T2  What is doubtful is tried again only as its author declared. What is not is tried again by the
 *       retry policy.
 *   T3  When it is given up, the row says which it was: unknown or released.
 */

import { anySignal, orAborted } from "../abort.ts";
import type { Clock } from "../clock.ts";
import type { EffectStore } from "../effect-store.ts";
import { InvalidInputError, LeaseLostError, isHoldfastError, markExhausted } from "../errors.ts";
import { events } from "../events.ts";
import { random } from "../ids.ts";
import { classifyWith, isBubbleUp } from "../policy/classify.ts";
import { nextStep } from "../policy/next-step.ts";
import type { Claim, Settled } from "./claim.ts";
import type { Resolution } from "./decide.ts";
import type { LedgerCall, LedgerEffect, Outcome, Rules } from "./protocol.ts";
import type { EffectContext, Reconciled } from "./types.ts";

/** How a series of tries goes on. */
type Next = Outcome | "again";

interface Series {
  failed: number;
  startedAt: number;
}

export class Tries {
  readonly #store: EffectStore;
  readonly #clock: Clock;
  readonly #effect: LedgerEffect;
  readonly #call: LedgerCall;
  readonly #claim: Claim;
  readonly #rules: Rules;
  readonly #signal: AbortSignal;
  /** Times that it was begun, in all processes. */
  #begun = 0;
  #doubtful: boolean;

  constructor(
    store: EffectStore,
    clock: Clock,
    effect: LedgerEffect,
    call: LedgerCall,
    claim: Claim,
    rules: Rules,
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#effect = effect;
    this.#call = call;
    this.#claim = claim;
    this.#rules = rules;
    this.#signal = anySignal(call.signal, claim.lost) ?? claim.lost;
    this.#doubtful = claim.wasSent;
  }

  async go(then: "run" | "reconcile"): Promise<Outcome> {
    this.#begun = this.#claim.row.attempts - (then === "run" ? 1 : 0);
    const series = this.#newSeries();
    let next: Next = then === "run" ? "again" : await this.#reconcile(series, undefined);
    while (next === "again") {
      await this.#claim.ensure();
      // An attempt that ended in the meantime begins nothing; nor does who lost the claim.
      if (this.#signal.aborted) return this.#giveUp(this.#signal.reason);
      const overtaken = this.#overtaken();
      if (overtaken !== undefined) return this.#giveUp(overtaken);
      this.#begun += 1;
      const tried = await this.#try();
      next =
        "value" in tried
          ? await this.#record(tried.value)
          : await this.#afterFailure(series, tried.error);
    }
    return next;
  }

  /** A process that stood still may have lost its thread, before any timer of its tells it so. */
  #overtaken(): Error | undefined {
    const { leaseUntil, leaseToken, place } = this.#call;
    if (leaseUntil === undefined || this.#clock.now() < leaseUntil()) return undefined;
    return new LeaseLostError(place.threadId, leaseToken ?? 0);
  }

  async #try(): Promise<{ value: unknown } | { error: unknown }> {
    try {
      const work = (async () => this.#effect.run(this.#context()))();
      return { value: await orAborted(work, this.#signal) };
    } catch (error) {
      return { error };
    }
  }

  async #afterFailure(series: Series, error: unknown): Promise<Next> {
    // A question to a person, say: its author stopped before anything was done.
    if (isBubbleUp(error)) return this.#giveUp(error);
    const { notPerformed } = classifyWith(this.#effect.classify, error, { now: this.#clock.now() });
    if (!notPerformed) this.#doubtful = true;
    if (this.#signal.aborted) return this.#giveUp(error);
    if (!this.#doubtful) return this.#tryAgain(series, error);
    const answer = this.#resolution();
    if (!notPerformed) tellUnknown(this.#call, this.#claim.row, answer);
    switch (answer) {
      case "reconcile":
        return this.#reconcile(series, error);
      case "repeat":
        return this.#tryAgain(series, error);
      case "ask":
        return this.#ask(error);
    }
  }

  /** Waits as the policy says; or gives up. */
  async #tryAgain(series: Series, error: unknown): Promise<Next> {
    const { signal, deadlineAt, longestWait } = this.#call;
    const { retry, classify } = this.#effect;
    const now = this.#clock.now();
    const step = nextStep(series, error, retry, { now, random, signal, deadlineAt, classify });
    if (step.step !== "retry") {
      const isSpent = step.step === "park" || (step.step === "fail" && step.because !== "terminal");
      return this.#giveUp(isSpent ? markExhausted(error) : error);
    }
    const wait = step.retryAt - now;
    if (longestWait !== undefined && wait > longestWait) return this.#giveUp(error);
    try {
      await this.#clock.sleep(wait, this.#signal);
    } catch (reason) {
      return this.#giveUp(reason);
    }
    if (step.counted) series.failed += 1;
    return "again";
  }

  /** Finds out what became of it. @param error of the try before; undefined where another process made it */
  async #reconcile(series: Series, error: unknown): Promise<Next> {
    const found = await this.#lookUp(this.#newSeries());
    if (found === "lost") return found;
    if ("unknown" in found) return this.#ask(error ?? new Error("reconcile could not tell"));
    if (found.done) return this.#record(found.result);
    this.#doubtful = false;
    return error === undefined ? "again" : this.#tryAgain(series, error);
  }

  /** Asks again while asking fails, as the retry policy says. */
  async #lookUp(series: Series): Promise<Reconciled<unknown> | "lost"> {
    for (;;) {
      try {
        const { reconcile, name } = this.#effect;
        const work = (async () => reconcile?.(this.#context()))();
        return checkReconciled(await orAborted<unknown>(work, this.#signal), name);
      } catch (error) {
        const next = this.#signal.aborted
          ? await this.#giveUp(error)
          : await this.#tryAgain(series, error);
        if (next !== "again") return "lost";
      }
    }
  }

  /** Lets the row tell what is known, and throws. */
  async #giveUp(error: unknown): Promise<Outcome> {
    const { lost } = this.#claim;
    if (isHoldfastError(lost.reason, "LEASE_LOST")) throw lost.reason;
    if (lost.aborted) return "lost";
    const isUndo = this.#effect.kind === "undo";
    const state =
      isUndo && !this.#signal.aborted ? "stuck" : this.#doubtful ? "unknown" : "released";
    const isTold = await this.#settle(state, error);
    if (!isTold && !this.#signal.aborted) return "lost";
    throw error;
  }

  async #ask(error: unknown): Promise<Next> {
    if (!(await this.#settle("unknown", error))) return "lost";
    const { row, sentAt } = this.#claim;
    await this.#call.ask({ ...row, attempts: this.#begun, sentAt, error: textOf(error) });
    // Answered already: the row is looked at again.
    return "lost";
  }

  async #record(value: unknown): Promise<Outcome> {
    const { name, idempotencyKey } = this.#claim.row;
    let result: string;
    try {
      result = this.#store.serialize(value, `result of "${name}"`, this.#call.place.node);
    } catch (error) {
      // Performed, though with what result nobody can be told: met like any unknown outcome.
      this.#doubtful = true;
      return this.#giveUp(error);
    }
    const attempts = this.#begun;
    const { closes, keepFor: expiresIn } = this.#effect;
    const sent = "before";
    const settled: Settled = { state: "recorded", result, sent, attempts, closes, expiresIn };
    if (!(await this.#claim.settle(settled))) return "lost";
    events.emit("effect.recorded", { ...this.#call.origin, effect: name, idempotencyKey });
    return { value };
  }

  #settle(state: Settled["state"], error: unknown): Promise<boolean> {
    const sent = this.#doubtful ? "before" : "no";
    const { keepFor: expiresIn } = this.#effect;
    const attempts = this.#begun;
    return this.#claim.settle({ state, error: textOf(error), sent, attempts, expiresIn });
  }

  #resolution(): Resolution {
    const { sentAt } = this.#claim;
    return this.#rules.resolutionOf(traitsOf(this.#effect), sentAt, this.#clock.now());
  }

  #context(): EffectContext {
    const { idempotencyKey } = this.#claim.row;
    return { idempotencyKey, signal: this.#signal, attempt: this.#begun };
  }

  #newSeries(): Series {
    return { failed: 0, startedAt: this.#clock.now() };
  }
}

/** As {@link resolutionOf} takes it. */
export function traitsOf({ reconcile, onUnknown, dedupeWindow }: LedgerEffect): {
  canReconcile: boolean;
  onUnknown: "repeat" | "ask";
  dedupeWindow: number;
} {
  return { canReconcile: reconcile !== undefined, onUnknown, dedupeWindow };
}

export function tellUnknown(
  call: LedgerCall,
  { name: effect, idempotencyKey }: { name: string; idempotencyKey: string },
  answer: Resolution,
): void {
  events.emit("effect.unknown", { ...call.origin, effect, idempotencyKey, answer });
}

export function textOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** Checked, since it may come from code without types. */
function checkReconciled(found: unknown, name: string): Reconciled<unknown> {
  const isKnown =
    typeof found === "object" &&
    found !== null &&
    ("unknown" in found || typeof (found as { done?: unknown }).done === "boolean");
  if (isKnown) return found as Reconciled<unknown>;
  throw new InvalidInputError(
    `\`reconcile\` of "${name}" must return { done: true, result }, { done: false } or { unknown: true }, ` +
      `not ${JSON.stringify(found) ?? String(found)}.`,
  );
}
