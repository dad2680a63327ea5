/**
 * One call of a durable tool: an effect, each of whose tries is under the tool's guards.
 *
 * Invariants
 *   T1  A tool call of a thread is performed once, by its `tool_call_id`; without one, once for each
 *       execution of its node.
 *   T2  All calls of a tool in one run share its retries: where they are used up, a failure is final.
 */

import { currentAttempt } from "../../context.ts";
import type { LedgerEffect } from "../../effects/protocol.ts";
import { callAt, siteOf } from "../../effects/site.ts";
import { BudgetExceededError, markExhausted } from "../../errors.ts";
import { random } from "../../ids.ts";
import { classifyWith, isBubbleUp, isFailure } from "../../policy/classify.ts";
import { nextStep, type Series } from "../../policy/next-step.ts";
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
  perform(signal: AbortSignal): Promise<unknown>;
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
    run: async ({ signal }) => {
      try {
        return await tries.make(signal);
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

/** Outside of graphs: the same policies, in memory. */
async function withoutLedger(call: ToolCall, site: CallSite): Promise<unknown> {
  const { policy, name } = call;
  const { clock } = site.steps;
  const { signal } = site;
  const tries = new Tries(call, site);
  let series: Series = { failed: 0, startedAt: clock.now() };
  for (;;) {
    try {
      return await tries.make(signal);
    } catch (error) {
      const now = clock.now();
      const { retry, classify } = policy;
      const step = nextStep(series, error, retry, { now, random, signal, classify });
      if (step.step !== "retry") throw tries.refused ?? error;
      series = { ...series, failed: series.failed + (step.counted ? 1 : 0) };
      await site.wait(step.retryAt, `backoff of ${name}`, { signal });
    }
  }
}

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

  async make(signal: AbortSignal | undefined): Promise<unknown> {
    const { name, policy } = this.#call;
    const { breaker, limit } = policy.guards;
    const site = this.#site;
    try {
      return await guarded(
        site.steps,
        {
          breaker: breaker && { name: breaker.name ?? name, policy: breaker.policy },
          limit: limit && { name: limit.name ?? name, policy: limit.policy },
          budget: { scopes: site.budgets, needed: { calls: 1 }, used: () => ({ calls: 1 }) },
        },
        {
          wait: site.wait,
          whileOpen: "wait",
          classify: (error) =>
            classifyWith(policy.classify, error, { now: site.steps.clock.now() }),
          signal,
          giveUpAt: currentAttempt()?.deadlineAt,
          place: JSON.stringify([site.place.threadId, name, this.#call.id]),
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
            this.#call.perform(own),
          );
        },
      );
    } catch (error) {
      if (isFailure(error, signal)) await this.#mayRetry(error);
      throw error;
    }
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
