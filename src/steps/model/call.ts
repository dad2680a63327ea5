/**
 * One call of a durable model: recorded, or asked for until somebody answers.
 *
 * A series of attempts goes with each target; the next target's begins where the one before failed for
 * good or is left alone by its breaker.
 *
 * Invariants
 *   M1  One request at a time; what a failed attempt had streamed is part of no answer.
 *   M2  A recorded answer is returned, and nothing is asked or paid for.
 *   M3  What an attempt used is counted, once, whatever became of it: in the budgets, as a row, as an event.
 *   M4  An answer is on record only once its use is: what was paid for shows, whatever crashes.
 *   M5  What was handed on as it came cannot be taken back: a failure after that is final.
 */

import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager";
import type { BaseMessage } from "@langchain/core/messages";
import type { ChatGenerationChunk, ChatResult } from "@langchain/core/outputs";
import { BreakerOpenError, isHoldfastError, markExhausted } from "../../errors.ts";
import { events } from "../../events.ts";
import { digestOf, random, randomTag } from "../../ids.ts";
import { classifyWith, isBubbleUp, isFailure } from "../../policy/classify.ts";
import { nextStep, type Series } from "../../policy/next-step.ts";
import { openBreaker } from "../breakers.ts";
import { guarded, type GuardOptions } from "../guards.ts";
import { attemptOn, type Attempt } from "./attempt.ts";
import type { ResolvedModelPolicy } from "./policy.ts";
import { recordingOf } from "./recording.ts";
import { requestHash } from "./request.ts";
import type { CallSite } from "./site.ts";
import type { CallOptions, Target } from "./target.ts";

export interface ModelCall {
  policy: ResolvedModelPolicy;
  targets: readonly [Target, ...Target[]];
  messages: BaseMessage[];
  options: CallOptions;
  runManager: CallbackManagerForLLMRun | undefined;
  /** Whether the answer is asked for in pieces. */
  streams: boolean;
  /** Gets each piece as it comes. */
  onChunk?: ((chunk: ChatGenerationChunk) => void) | undefined;
  site: CallSite;
}

export interface Answer {
  result: ChatResult;
  /** The pieces, of an answer that came in pieces. */
  chunks: readonly ChatGenerationChunk[] | undefined;
}

/** The answer: recorded, or given now. */
export async function answer(call: ModelCall): Promise<Answer> {
  const { site, targets, messages, options } = call;
  const [first] = targets;
  const request = site.node && requestHash(first, messages, options);
  const recording = site.node && request && recordingOf(site.node, first.name, request);
  if (!recording) return ask(call, digestOf("model call", randomTag(), randomTag()));
  return recording.execution.track(async () => {
    const found = await recording.find();
    if (found !== undefined) return { result: found, chunks: undefined };
    const given = await ask(call, recording.idempotencyKey).catch(async (error: unknown) => {
      // A park, or a question: what else the node calls ends first, and is on record.
      if (isBubbleUp(error)) await recording.execution.othersSettled();
      throw error;
    });
    await site.steps.usage.settled();
    await recording.keep(given.result, site.place.runId);
    return given;
  });
}

/** What a series of attempts at one target came to. */
type Outcome = { answer: Answer } | { error: unknown; isOpen: boolean };

interface Asking extends ModelCall {
  idempotencyKey: string;
  /** By target; they go on where a breaker had been waited for. */
  series: Map<Target, Series>;
  /** Attempts at all targets. */
  attempts: number;
  /** A piece was handed on. */
  handedOn: boolean;
}

async function ask(call: ModelCall, idempotencyKey: string): Promise<Answer> {
  const asking: Asking = {
    ...call,
    ...{ idempotencyKey, series: new Map(), attempts: 0, handedOn: false },
    onChunk:
      call.onChunk &&
      ((chunk) => {
        asking.handedOn = true;
        call.onChunk?.(chunk);
      }),
  };
  const { site, targets } = call;
  for (;;) {
    let failure: { error: unknown } | undefined;
    let open: BreakerOpenError | undefined;
    for (const target of targets) {
      const isFallback = target !== targets[0];
      if (isFallback && (await isOpen(asking, target))) continue;
      if (isFallback) {
        const error = failure?.error ?? open;
        events.emit("fallback.used", { ...site.origin, name: target.name, error });
      }
      const outcome = await attempts(asking, target);
      if ("answer" in outcome) return outcome.answer;
      if (outcome.isOpen) open ??= outcome.error as BreakerOpenError;
      else failure = { error: outcome.error };
      if (asking.handedOn) break;
    }
    if (failure !== undefined) throw failure.error;
    // Nobody was asked: the first one's next trial is waited for, and costs no attempt.
    if (open !== undefined) await waitFor(asking, open);
  }
}

async function isOpen({ policy, site }: Asking, target: Target): Promise<boolean> {
  const { breaker } = policy.guards;
  if (breaker === undefined) return false;
  return (await openBreaker(site.steps, target.guard, breaker.policy)) !== undefined;
}

async function waitFor({ site }: Asking, open: BreakerOpenError): Promise<void> {
  const { deadlineAt, signal } = site;
  if (deadlineAt !== undefined && open.retryAt >= deadlineAt) throw open;
  await site.wait(open.retryAt, `breaker ${open.breaker}`, { signal });
}

async function attempts(asking: Asking, target: Target): Promise<Outcome> {
  const { policy, site } = asking;
  const { signal, steps, deadlineAt } = site;
  const before = asking.series.get(target);
  let series: Series = before ?? { failed: 0, startedAt: steps.clock.now() };
  for (;;) {
    signal?.throwIfAborted();
    try {
      return { answer: await attemptUnderGuards(asking, target, series.failed + 1) };
    } catch (error) {
      if (!isFailure(error, signal)) throw error;
      if (isHoldfastError(error, "BREAKER_OPEN") && error instanceof BreakerOpenError) {
        asking.series.set(target, series);
        return { error, isOpen: true };
      }
      const now = await steps.now();
      const { retry, classify } = policy;
      const step = nextStep(series, error, retry, { now, random, signal, deadlineAt, classify });
      if (step.step === "pass") throw error;
      const isFinal = step.step !== "retry" || asking.handedOn;
      tell(asking, series.failed + 1, step, error, isFinal);
      if (isFinal) {
        const isSpent =
          step.step === "park" || (step.step === "fail" && step.because !== "terminal");
        if (isSpent) markExhausted(error);
        return { error, isOpen: false };
      }
      // A wait that long is the node's to park: its attempts are kept in the database.
      if (site.longestWait !== undefined && step.retryAt - now > site.longestWait) {
        return { error, isOpen: false };
      }
      const failed = series.failed + (step.counted ? 1 : 0);
      series = { ...series, failed, nextAttemptAt: step.retryAt, error: { at: now } };
      await site.wait(step.retryAt, `backoff of ${target.name}`, { signal });
    }
  }
}

async function attemptUnderGuards(asking: Asking, target: Target, number: number): Promise<Answer> {
  const { policy, site, targets } = asking;
  const { breaker, limit } = policy.guards;
  const isFirst = target === targets[0];
  const attempt: Attempt = attemptOn(asking, target, asking.idempotencyKey);
  const options: GuardOptions = {
    wait: site.wait,
    whileOpen: "fail",
    classify: (error) => classifyWith(policy.classify, error, { now: site.steps.clock.now() }),
    signal: site.signal,
    giveUpAt: site.deadlineAt,
    place: asking.idempotencyKey,
    parkAfter: site.parkAfter,
    trialsCount: site.parkAfter === undefined,
    attempts: asking.attempts,
    origin: site.origin,
  };
  return guarded(
    site.steps,
    {
      breaker: breaker && {
        name: (isFirst ? breaker.name : undefined) ?? target.guard,
        policy: breaker.policy,
      },
      limit: limit && {
        name: (isFirst ? limit.name : undefined) ?? target.guard,
        policy: limit.policy,
      },
      budget: {
        scopes: site.budgets,
        what: target.name,
        needed: { ...attempt.needed, ...(number > 1 && { retries: 1 }) },
        used: () => ({ ...attempt.used(), ...(number > 1 && { retries: 1 }) }),
      },
    },
    options,
    () => {
      asking.attempts += 1;
      return attempt.make();
    },
  );
}

function tell(
  { site, policy, runManager }: Asking,
  attempt: number,
  step: Exclude<ReturnType<typeof nextStep>, { step: "pass" }>,
  error: unknown,
  isFinal: boolean,
): void {
  if (step.step === "retry" && !step.counted) return;
  const { kind } = step.classification;
  const { maxAttempts } = policy.retry;
  const nextAttemptAt = step.step === "retry" && !isFinal ? step.retryAt : undefined;
  events.emit("attempt.failed", {
    ...site.origin,
    ...{ attempt, maxAttempts, kind, error, nextAttemptAt, callId: runManager?.runId },
  });
  if (step.step === "fail" && step.because === "attempts") {
    events.emit("attempt.exhausted", { ...site.origin, attempts: attempt, error });
  }
}
