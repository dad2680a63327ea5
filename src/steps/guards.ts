/**
 * One call under its guards: breaker, limit and budget, in the order in which they must be asked.
 *
 * Invariants
 *   Q1  Nobody queues for an upstream that is left alone: an open breaker is waited for first.
 *   Q2  The breaker has the last word before the call: what it learned while the call was queued counts.
 *   Q3  A call holds a permit only while it is made, and money only from its permit to its end.
 *   Q4  What was let through is settled whatever becomes of the call; a database that is away then
 *       changes nothing about the call's outcome.
 */

import { BreakerOpenError, markFree } from "../errors.ts";
import { events, type EventOrigin } from "../events.ts";
import { outcomeOf, type CallOutcome, type ResolvedBreaker } from "../policy/breaker.ts";
import type { Amounts } from "../policy/budget.ts";
import { isFailure, type Classification } from "../policy/classify.ts";
import type { ResolvedLimit } from "../policy/limit.ts";
import type { StepStore } from "../step-store.ts";
import { enterBreaker, openBreaker, type BreakerPass } from "./breakers.ts";
import { reserveAll, type BudgetScope } from "./budget-scope.ts";
import type { BudgetReservation } from "./budgets.ts";
import { acquirePermit, type Permit, type Wait } from "./limits.ts";

type Steps = Pick<StepStore, "states" | "clock">;

export interface Guards {
  breaker?: { name: string; policy: ResolvedBreaker } | undefined;
  limit?: { name: string; policy: ResolvedLimit } | undefined;
  /** Of one's own, and those that hold around the call: `budgetsHere(own)`. */
  budget?:
    | {
        scopes: readonly BudgetScope[];
        /** What is called, for people who are asked for more. */
        what: string;
        /** What the call may cost at most. */
        needed: Amounts;
        /** What it did cost; given the error where it failed. */
        used: (outcome: { value: unknown } | { error: unknown }) => Amounts;
      }
    | undefined;
}

export interface GuardOptions {
  wait: Wait;
  /** What is done while the breaker is open: wait for the next trial, or fail with its error. */
  whileOpen: "wait" | "fail";
  classify: (error: unknown) => Classification;
  signal?: AbortSignal | undefined;
  /** No wait goes on after this instant. */
  giveUpAt?: number | undefined;
  /** What finds the place in a limit's queue again when the node runs again. */
  place?: string | undefined;
  /** Where waits may be parked: how long to wait in process before, in milliseconds. */
  parkAfter?: number | undefined;
  /**
   * Whether a trial that fails costs its caller an attempt; default true. Where waits are parked it
   * should not: an outage of hours would use up the attempts of all, one a minute.
   */
  trialsCount?: boolean | undefined;
  /** Attempts made of the call before. */
  attempts: number;
  origin?: EventOrigin | undefined;
}

/**
 * Makes a call once its guards let it through.
 *
 * @throws what the call throws
 * @throws {BreakerOpenError} the breaker is open, and is not waited for, or not for so long
 * @throws {LimitExceededError} the limit has no room before `giveUpAt`
 * @throws {BudgetExceededError} the budget does not cover the call
 * @throws {GraphInterrupt} a person is asked for more
 * @throws what `wait` throws: the signal's reason, or the interrupt that parks
 */
export async function guarded<T>(
  steps: Steps,
  guards: Guards,
  options: GuardOptions,
  call: () => Promise<T>,
): Promise<T> {
  const entered = await enter(steps, guards, options);
  const { pass, permit } = entered;
  let reservation: BudgetReservation | undefined;
  try {
    reservation = await reserved(steps, guards, options);
  } catch (error) {
    await leave([pass?.end({ result: "neutral" }), permit?.release()]);
    throw error;
  }
  const end = async (
    outcome: CallOutcome,
    result: { value: unknown } | { error: unknown },
  ): Promise<void> => {
    // Whoever gets the permit next must find the breaker as this call leaves it.
    await leave([
      pass?.end(outcome),
      guards.budget && reservation?.settle(guards.budget.used(result)),
    ]);
    await leave([permit?.release()]);
  };
  let value: T;
  try {
    value = await call();
  } catch (error) {
    const outcome: CallOutcome = isFailure(error, options.signal)
      ? outcomeOf(options.classify(error))
      : { result: "neutral" };
    await end(outcome, { error });
    const isFree = pass?.trial === true && options.trialsCount === false;
    throw isFree && outcome.result === "failure" ? markFree(error) : error;
  }
  await end({ result: "success" }, { value });
  return value;
}

async function enter(
  steps: Steps,
  { breaker, limit }: Guards,
  options: GuardOptions,
): Promise<{ pass: BreakerPass | undefined; permit: Permit | undefined }> {
  for (;;) {
    options.signal?.throwIfAborted();
    if (breaker !== undefined && limit !== undefined) {
      const open = await openBreaker(steps, breaker.name, breaker.policy);
      if (open !== undefined) {
        await waitOpen(open, options);
        continue;
      }
    }
    const permit = limit && (await acquirePermit(steps, limit.name, limit.policy, options));
    if (breaker === undefined) return { pass: undefined, permit };
    let pass: BreakerPass | BreakerOpenError;
    try {
      pass = await enterBreaker(steps, breaker.name, breaker.policy);
    } catch (error) {
      await leave([permit?.release()]);
      throw error;
    }
    if (!(pass instanceof BreakerOpenError)) return { pass, permit };
    await leave([permit?.release()]);
    await waitOpen(pass, options);
  }
}

async function waitOpen(
  open: BreakerOpenError,
  { wait, whileOpen, signal, giveUpAt = Infinity }: GuardOptions,
): Promise<void> {
  if (whileOpen === "fail" || open.retryAt >= giveUpAt) throw open;
  await wait(open.retryAt, `breaker ${open.breaker}`, { signal });
}

async function reserved(
  steps: Steps,
  { budget }: Guards,
  { attempts, origin }: GuardOptions,
): Promise<BudgetReservation | undefined> {
  if (budget === undefined) return undefined;
  const { scopes, needed, what } = budget;
  return reserveAll(steps, scopes, { needed, what, attempts, origin });
}

/** Q4. */
async function leave(ends: readonly (Promise<void> | undefined)[]): Promise<void> {
  const told = ends.filter((end) => end !== undefined);
  for (const end of await Promise.allSettled(told)) {
    if (end.status === "fulfilled") continue;
    events.notice(
      "holdfast: the end of a call could not be told to its breaker, limit or budget, since the " +
        `database failed: ${String(end.reason)}. They will take its process for dead.`,
    );
  }
}
