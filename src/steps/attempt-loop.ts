/**
 * Attempts of a durable node: run, and when one fails, wait and run again.
 *
 * A series of attempts begins with the first one, and ends with a success, or when they are used up;
 * the next execution begins a new one. In between, a record keeps its count:
 *
 *   (none) -> running -> (none)                          a success; nothing is left
 *             running -> waiting -> running -> ...       a failure, and the wait after it
 *             running -> exhausted                       the last failure
 *             running -> (process dies) -> running       a crash, counted when the node runs again
 *
 * Invariants
 *   A1  An attempt that fails is on record before the wait for the next one begins: a crash in the wait
 *       neither forgets it nor shortens the wait.
 *   A2  A success without failures before it writes nothing that outlives it.
 *   A3  Interrupts, commands to a parent graph, drains and the run's abort are no failures, and pass.
 */

import { AttemptCrashedError, DeadlineExceededError, markExhausted } from "../errors.ts";
import { originOf } from "../context.ts";
import { events } from "../events.ts";
import { random, randomTag } from "../ids.ts";
import { isBubbleUp, isFailure } from "../policy/classify.ts";
import { remaining, workTill } from "../policy/deadline.ts";
import { nextStep, type NextStep } from "../policy/next-step.ts";
import type { AttemptsRecord, RunAddress } from "../step-store.ts";
import { runAttempt } from "./attempt.ts";
import type { Execution } from "./execution.ts";
import { isResuming } from "./invocation.ts";
import { underGuards } from "./node-guards.ts";
import { isRunningHere, watchAttempt } from "./running.ts";
import { noteEnd, noteEntry, noteFailure, noteStop, stepName } from "./status.ts";
import { parkedBy, waitIn } from "./wait.ts";

/** This process, in the records of attempts. */
const PROCESS = randomTag();

/** Fewer crashes than these are taken for the process's, not for the node's. */
const MANY_CRASHES = 3;

/** What a failure leads to. */
type Verdict = Exclude<NextStep, { step: "pass" }>;

export async function runAttempts(
  execution: Execution,
  run: RunAddress | undefined,
): Promise<unknown> {
  const { node, steps, record } = execution;
  const crash = countCrash(execution);
  if (crash !== undefined) {
    await record.write();
    return giveUp(execution, record.series?.failed ?? 0, 0, crash, false);
  }
  for (let round = 1; ; round += 1) {
    const { nextAttemptAt } = record.series ?? {};
    if (nextAttemptAt !== undefined) {
      await waitIn(execution, nextAttemptAt, `backoff of "${stepName(node)}"`);
    }
    if (record.series?.exhausted === true) record.series = undefined;
    checkDeadline(execution);
    const attempt = (record.series?.failed ?? 0) + 1;
    noteEntry(execution, attempt, run);
    let startedAt = steps.clock.now();
    let watch: ReturnType<typeof watchAttempt> | undefined;
    try {
      const value = await underGuards(execution, run, async () => {
        startedAt = steps.clock.now();
        record.running = { attempt, process: PROCESS, startedAt };
        // Where the node may have run before, it may be what ends the process: that must not be missed.
        if (round === 1 && isResuming(node)) await record.write();
        watch = watchAttempt(node.task, () => {
          record.note();
        });
        return runAttempt(execution, attempt, round);
      });
      record.clear();
      noteEnd(execution);
      return value;
    } catch (error) {
      watch?.end();
      if (!isFailure(error, node.signal)) {
        record.rest();
        notePass(execution, error);
        throw error;
      }
      const now = await steps.now();
      const series: AttemptsRecord = record.series ?? { failed: 0, startedAt };
      const verdict = verdictOn(execution, series, error, now);
      if (verdict.step === "pass") throw error;
      record.running = undefined;
      record.series = seriesAfter(series, attempt, error, now, verdict);
      await record.write();
      tellFailure(execution, attempt, error, verdict);
      if (goesOn(execution, verdict)) continue;
      const isLate = verdict.step === "fail" && verdict.because === "deadline";
      return await giveUp(execution, attempt, round, error, isLate);
    } finally {
      watch?.end();
    }
  }
}

/**
 * An attempt that never ended counts as one that failed, unless it still runs here: then an earlier
 * call left it behind. @returns the error, where it was the last
 */
function countCrash({ node, policy, record }: Execution): Error | undefined {
  const { running } = record;
  record.running = undefined;
  if (running === undefined || isRunningHere(node.task)) return undefined;
  const { attempt, startedAt } = running;
  const { maxAttempts } = policy.retry;
  const error = new AttemptCrashedError(`"${stepName(node)}"`, attempt);
  const isLast = attempt >= Math.max(maxAttempts, MANY_CRASHES);
  events.emit("attempt.failed", {
    ...originOf(node),
    ...{ attempt, maxAttempts, kind: "crash", error },
    ...(!isLast && { nextAttemptAt: startedAt }),
  });
  const { name, message } = error;
  record.series = {
    startedAt,
    ...record.series,
    failed: attempt,
    nextAttemptAt: undefined,
    error: { name, message, kind: "crash", at: startedAt },
    exhausted: isLast,
  };
  return isLast ? error : undefined;
}

function verdictOn(
  { node, policy, deadlineAt }: Execution,
  series: AttemptsRecord,
  error: unknown,
  now: number,
): NextStep {
  return nextStep(series, error, policy.retry, {
    now,
    random,
    signal: node.signal,
    deadlineAt: workTill(deadlineAt, policy.reserve),
    classify: policy.classify,
  });
}

function seriesAfter(
  series: AttemptsRecord,
  attempt: number,
  error: unknown,
  now: number,
  verdict: Verdict,
): AttemptsRecord {
  const { kind, counted } = verdict.classification;
  const { name, message } = error instanceof Error ? error : { name: "", message: String(error) };
  return {
    ...series,
    failed: counted ? attempt : series.failed,
    nextAttemptAt: verdict.step === "fail" ? undefined : verdict.retryAt,
    error: { name, message, kind, at: now },
    exhausted: verdict.step !== "retry",
  };
}

function tellFailure(
  { node, policy }: Execution,
  attempt: number,
  error: unknown,
  verdict: Verdict,
): void {
  const { kind } = verdict.classification;
  const nextAttemptAt = verdict.step === "fail" ? undefined : verdict.retryAt;
  const { maxAttempts } = policy.retry;
  events.emit("attempt.failed", {
    ...originOf(node),
    ...{ attempt, maxAttempts, kind, error, nextAttemptAt },
  });
  if (verdict.step === "park" || (verdict.step === "fail" && verdict.because !== "terminal")) {
    events.emit("attempt.exhausted", { ...originOf(node), attempts: attempt, error });
  }
}

/** A fallback is better than any wait but one for an attempt that may well succeed. */
function goesOn({ policy }: Execution, verdict: Verdict): boolean {
  if (verdict.step === "fail") return false;
  if (policy.fallback === undefined) return true;
  return verdict.step === "retry" && verdict.classification.counted;
}

async function giveUp(
  execution: Execution,
  attempt: number,
  round: number,
  error: unknown,
  isLate: boolean,
): Promise<unknown> {
  const { node, policy, record, input } = execution;
  const { fallback } = policy;
  let last = error;
  if (fallback !== undefined && !isPastDeadline(execution)) {
    events.emit("fallback.used", { ...originOf(node), name: stepName(node), error });
    const body: Execution["body"] = (_, { signal }) =>
      fallback(input, { error, attempts: attempt, signal: signal ?? never });
    try {
      const value = await runAttempt({ ...execution, kind: "function", body }, attempt, round + 1);
      record.clear();
      noteEnd(execution);
      return value;
    } catch (failure) {
      if (isBubbleUp(failure)) {
        notePass(execution, failure);
        throw failure;
      }
      last = failure;
    }
  }
  if (isLate) {
    last = pastDeadline(execution, `"${stepName(node)}" could not be tried again in time`, last);
  }
  noteFailure(execution, last);
  throw markExhausted(last);
}

const never = new AbortController().signal;

/** @throws {DeadlineExceededError} */
function checkDeadline(execution: Execution): void {
  if (!isPastDeadline(execution)) return;
  const error = pastDeadline(execution, `"${stepName(execution.node)}" was not begun`);
  noteFailure(execution, error);
  throw markExhausted(error);
}

function isPastDeadline({ deadlineAt, policy, steps }: Execution): boolean {
  return remaining(deadlineAt, policy.reserve, steps.clock.now()) === 0;
}

function pastDeadline({ node, deadlineAt = 0 }: Execution, what: string, cause?: unknown): Error {
  events.emit("deadline.exceeded", { ...originOf(node), deadlineAt });
  return new DeadlineExceededError(deadlineAt, what, cause === undefined ? {} : { cause });
}

function notePass(execution: Execution, error: unknown): void {
  const { interrupts } = error as { interrupts?: unknown };
  if (Array.isArray(interrupts)) {
    noteStop(execution, parkedBy(error) === undefined ? "asked" : "parked");
  }
}
