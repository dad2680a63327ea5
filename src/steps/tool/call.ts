/**
 * One call of a durable tool: an effect, each of whose tries is under the tool's guards.
 *
 * Invariants
 *   T1  A tool call of a thread is performed once, by its `tool_call_id`; without one, once for each
 *       execution of its node.
 *   T2  All calls of a tool in one run share its retries: where they are used up, a failure is final.
 *   T3  What may have been performed is performed again only as the policy says, outside of graphs, too.
 */

import { currentAttempt } from "../../context.ts";
import type { LedgerEffect } from "../../effects/protocol.ts";
import { callAt, siteOf } from "../../effects/site.ts";
import { BudgetExceededError, EffectUnknownError, markExhausted } from "../../errors.ts";
import { digestOf, random, randomTag } from "../../ids.ts";
import { classifyWith, isBubbleUp, isFailure } from "../../policy/classify.ts";
import { nextStep, type Series } from "../../policy/next-step.ts";
import { withBudget } from "../budget-scope.ts";
import { reserveBudget } from "../budgets.ts";
import { guarded } from "../guards.ts";
import { withPatience } from "../model/patience.ts";
import { siteHere, type CallSite } from "../model/site.ts";
import type { ResolvedToolPolicy } from "./policy.ts";

export interface ToolCall {
  tool: object;
  name: string;
  policy: ResolvedToolPolicy;
  args: unknown;
  /** The `tool_call_id`. */
  id: string | undefined;
  signal: AbortSignal | undefined;
  /** @param idempotencyKey equal for all attempts */
  perform(signal: AbortSignal, idempotencyKey: string): Promise<unknown>;
}

export async function callTool(call: ToolCall): Promise<unknown> {
  const { tool, policy, signal } = call;
  const site = await siteHere(tool, policy.guards, { signal, clock: policy.clock });
  return site.node === undefined ? withoutLedger(call, site) : asEffect(call, site);
}

async function asEffect(call: ToolCall, site: CallSite): Promise<unknown> {
  const { name, policy, args, id } = call;
  const at = siteOf(name);
  const tries = new Tries(call, site);
  const { reconcile } = policy;
  const effect: LedgerEffect = {
    kind: "effect",
    name,
    run: async ({ signal, idempotencyKey }) => {
      try {
        return await tries.make(signal, idempotencyKey);
      } catch (error) {
        // A wait for a breaker that parks: the node's other calls end first.
        if (isBubbleUp(error)) await at.execution.othersSettled();
        throw error;
      }
    },
    reconcile:
      reconcile &&
      (async ({ idempotencyKey, signal }) =>
        reconcile(args as Record<string, unknown>, {
          ...{ idempotencyKey, effectKey: idempotencyKey, signal },
        })),
    onUnknown: policy.onUnknown,
    dedupeWindow: policy.dedupeWindow,
    retry: policy.retry,
    classify: policy.classify,
    undoable: false,
  };
  return at.execution.track(async () => {
    const key = id === undefined ? {} : { key: id };
    const ledgerCall = await callAt(at, name, args, { ...key, scope: "thread" });
    try {
      return await at.ledger.perform(effect, ledgerCall);
    } catch (error) {
      throw tries.refused ?? error;
    }
  });
}

/** Outside of graphs: the same policies, in memory, and nobody to ask. */
async function withoutLedger(call: ToolCall, site: CallSite): Promise<unknown> {
  const { policy, name } = call;
  const { clock } = site.steps;
  const { signal } = site;
  const { retry, classify } = policy;
  const idempotencyKey = digestOf("tool call", randomTag(), randomTag());
  const tries = new Tries(call, site);
  let series: Series = { failed: 0, startedAt: clock.now() };
  for (;;) {
    try {
      return await tries.make(signal, idempotencyKey);
    } catch (error) {
      const now = clock.now();
      if (!isFailure(error, signal)) throw error;
      if (!classifyWith(classify, error, { now }).notPerformed) {
        const found = await whatBecame(call, idempotencyKey, error, signal);
        if (found !== undefined) return found.result;
      }
      const step = nextStep(series, error, retry, { now, random, signal, classify });
      if (step.step !== "retry") throw tries.refused ?? error;
      series = { ...series, failed: series.failed + (step.counted ? 1 : 0) };
      await site.wait(step.retryAt, `backoff of ${name}`, { signal });
    }
  }
}

/**
 * T3, of a call that may have been performed.
 *
 * @returns undefined where it may be performed again
 * @throws {EffectUnknownError} nobody knows, and a person would have to be asked
 */
async function whatBecame(
  { name, policy, args }: ToolCall,
  idempotencyKey: string,
  error: unknown,
  signal: AbortSignal = never,
): Promise<{ result: unknown } | undefined> {
  const { reconcile, onUnknown } = policy;
  if (reconcile !== undefined) {
    const context = { idempotencyKey, effectKey: idempotencyKey, signal };
    const found = await reconcile(args as Record<string, unknown>, context);
    if (!("unknown" in found)) return found.done ? { result: found.result } : undefined;
  } else if (onUnknown === "repeat") {
    return undefined;
  }
  const why = error instanceof Error ? error.message : String(error);
  const unknown = new EffectUnknownError(
    name,
    idempotencyKey,
    `Nobody knows whether the tool "${name}" did what it was called for (${why}), and outside of a graph ` +
      "with a holdfast saver there is nobody to ask.",
  );
  throw markExhausted(Object.assign(unknown, { cause: error }));
}

const never = new AbortController().signal;

class Tries {
  readonly #call: ToolCall;
  readonly #site: CallSite;
  #made = 0;
  /** Why no retry was left. */
  refused: BudgetExceededError | undefined;

  constructor(call: ToolCall, site: CallSite) {
    this.#call = call;
    this.#site = site;
  }

  async make(signal: AbortSignal | undefined, idempotencyKey: string): Promise<unknown> {
    const { name, policy, id } = this.#call;
    const { breaker, limit } = policy.guards;
    const site = this.#site;
    const cost = { calls: 1, ...(this.#made > 0 && { retries: 1 }) };
    try {
      return await guarded(
        site.steps,
        {
          breaker: breaker && { name: breaker.name ?? name, policy: breaker.policy },
          limit: limit && { name: limit.name ?? name, policy: limit.policy },
          budget: { scopes: site.budgets, what: `tool ${name}`, needed: cost, used: () => cost },
        },
        {
          wait: site.wait,
          whileOpen: "wait",
          classify: (error) =>
            classifyWith(policy.classify, error, { now: site.steps.clock.now() }),
          signal,
          giveUpAt: currentAttempt()?.deadlineAt,
          place: id === undefined ? undefined : JSON.stringify([site.place.threadId, name, id]),
          parkAfter: site.parkAfter,
          trialsCount: site.parkAfter === undefined,
          attempts: this.#made,
          origin: site.origin,
        },
        () => {
          this.#made += 1;
          const { timeout } = policy;
          const what = `The tool "${name}"`;
          return withPatience({ what, timeout, signal, clock: site.steps.clock }, (own) =>
            this.#withinBudget(() => this.#call.perform(own, idempotencyKey)),
          );
        },
      );
    } catch (error) {
      if (isFailure(error, signal)) await this.#mayRetry(error);
      throw error;
    }
  }

  /** Models that the tool asks cost it money, but are no calls of the tool. */
  #withinBudget<T>(work: () => T): T {
    const { ownBudget } = this.#site;
    if (ownBudget === undefined) return work();
    return withBudget({ ...ownBudget, counts: ["usd", "tokens"] }, work);
  }

  /** T2. Marks the error as final where the run has no retry left. */
  async #mayRetry(error: unknown): Promise<void> {
    const { name, policy } = this.#call;
    const { steps, place, origin } = this.#site;
    const classification = classifyWith(policy.classify, error, { now: steps.clock.now() });
    const isRetried = policy.retry.retries(error, classification);
    const isTried = classification.counted && this.#made < policy.retry.maxAttempts;
    if (!isTried || place.threadId === undefined || !isRetried) return;
    const account = {
      key: { name: JSON.stringify(["tool retries", place.runId, name]), threadId: place.threadId },
      label: `retries of the tool ${name} in the run`,
    };
    const limits = {
      ...{ usd: undefined, tokens: undefined, calls: undefined },
      retries: policy.retriesPerRun,
    };
    try {
      const needed = { retries: 1 };
      const kept = await reserveBudget(steps, account, limits, {
        ...{ needed, origin, attempts: this.#made },
      });
      await kept.settle(needed);
    } catch (refusal) {
      if (!(refusal instanceof BudgetExceededError)) throw refusal;
      this.refused = markExhausted(Object.assign(refusal, { cause: error }));
      markExhausted(error);
    }
  }
}
