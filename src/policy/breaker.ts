/**
 * A circuit breaker: leaves an upstream alone that failed too often. Pure transitions of a small state.
 *
 * States
 *   closed     calls go through; failures are counted
 *   open       no call until `retryAt`
 *   half-open  one call at a time goes through, on trial; its outcome closes the breaker or opens it again
 *   isolated   by hand: no call until `reset`
 *
 * Invariants
 *   K1  In half-open at most one trial has a lease; a trial whose process died ends with its lease.
 *   K2  Only a trial closes an open breaker. An outcome from before the last change counts for nothing.
 *   K3  What says nothing about the upstream (a refused input, a bug, an abort) changes nothing, and
 *       ends a trial without an outcome.
 *   K4  Every transition may be computed again for the same call (the database was lost in the
 *       commit), and then changes nothing and reports the same.
 *   K5  An outage is reported once as opened, however often trials fail, and once as closed.
 */

import { checkKeys, checkOptional } from "./options.ts";
import type { Classification } from "./kinds.ts";

/** When a breaker opens, and for how long. Durations are milliseconds. */
export interface BreakerPolicy {
  /** Shared by all who use the same name, in all processes on the database. */
  name?: string;
  /** Consecutive failures that open it; default 5, or none where `failureRate` is given. */
  failures?: number;
  /** The share of failures among the calls of the window that opens it, above 0 and up to 1. */
  failureRate?: number;
  /** No rate is computed of fewer calls than that; default and least 20. */
  minimumCalls?: number;
  /** Calls longer ago don't count for the rate; default 60_000. */
  window?: number;
  /** How long it stays open before a trial; default 60_000. */
  openFor?: number;
}

export interface ResolvedBreaker {
  failures: number;
  failureRate: number | undefined;
  minimumCalls: number;
  window: number;
  openFor: number;
}

export const BREAKER_DEFAULTS = {
  failures: 5,
  minimumCalls: 20,
  window: 60_000,
  openFor: 60_000,
} as const;

/** How long a trial may go without a sign of its process. */
export const TRIAL_LEASE = 30_000;
/** Who is turned away during a trial asks again so soon: it may end at any time. */
const TRIAL_RECHECK = 1_000;
/** The window moves on in so many steps. */
const WINDOW_STEPS = 10;

/** Calls of a step of the window. */
interface Slot {
  at: number;
  calls: number;
  failures: number;
}

type Mode =
  /** `failing`: the calls that failed since the last success. */
  | { state: "closed"; failing: string[]; window: Slot[] }
  /** `again`: a trial's failure opened it, and the outage was reported before. */
  | { state: "open"; failures: number; since: number; retryAt: number; again: boolean }
  /** `since`: when it opened. */
  | {
      state: "half-open";
      failures: number;
      since: number;
      trial?: { id: string; expiresAt: number };
    }
  | { state: "isolated"; since: number; reason?: string };

/** Plain JSON. */
export type BreakerState = Mode & {
  /** Grows with each change of state: what belongs to an earlier one is told by it. */
  era: number;
  /** The call that brought the last change about. */
  by?: string;
};

/** What an event is made of. */
export type BreakerChange =
  | { change: "opened"; failures: number; retryAt: number }
  | { change: "halfOpened" }
  | { change: "closed" };

export type Admission =
  | { allowed: true; era: number; trial: boolean }
  | { allowed: false; retryAt: number; isolated: boolean };

/** How a call ended, as far as the breaker cares. */
export type CallOutcome =
  { result: "success" | "neutral" } | { result: "failure"; retryAfter?: number };

interface Step {
  /** Undefined where nothing changed. */
  state?: BreakerState;
  change?: BreakerChange;
}

/** @throws {InvalidInputError} an option is unknown, or out of its bounds */
export function resolveBreaker(where: string, policy: BreakerPolicy = {}): ResolvedBreaker {
  checkKeys(where, policy, [
    ...["name", "failures", "failureRate", "minimumCalls", "window", "openFor"],
  ]);
  checkOptional(`${where}.failures`, policy.failures, { atLeast: 1, whole: true });
  checkOptional(`${where}.failureRate`, policy.failureRate, { above: 0, atMost: 1 });
  checkOptional(`${where}.minimumCalls`, policy.minimumCalls, {
    atLeast: BREAKER_DEFAULTS.minimumCalls,
    whole: true,
  });
  checkOptional(`${where}.window`, policy.window, { above: 0 });
  checkOptional(`${where}.openFor`, policy.openFor, { above: 0 });
  const { failureRate } = policy;
  return {
    failures: policy.failures ?? (failureRate === undefined ? BREAKER_DEFAULTS.failures : Infinity),
    failureRate,
    minimumCalls: policy.minimumCalls ?? BREAKER_DEFAULTS.minimumCalls,
    window: policy.window ?? BREAKER_DEFAULTS.window,
    openFor: policy.openFor ?? BREAKER_DEFAULTS.openFor,
  };
}

/** What a failure says about the upstream. */
export function outcomeOf(classification: Classification): CallOutcome {
  const { kind, counted, retryAfter } = classification;
  if (!counted || kind === "invalid" || kind === "context-overflow" || kind === "bug") {
    return { result: "neutral" };
  }
  return { result: "failure", ...(retryAfter !== undefined && { retryAfter }) };
}

type Tripped = Extract<BreakerState, { state: "open" | "half-open" }>;

/** Whether a call may go through, as far as that needs no lock: a trial does. */
export function look(
  state: BreakerState | undefined,
  now: number,
  policy: ResolvedBreaker,
): Admission | { allowed: "on trial"; state: Tripped } {
  switch (state?.state) {
    case undefined:
      return { allowed: true, era: 0, trial: false };
    case "closed":
      return { allowed: true, era: state.era, trial: false };
    case "isolated":
      return { allowed: false, retryAt: now + policy.openFor, isolated: true };
    case "open":
      return now < state.retryAt
        ? { allowed: false, retryAt: state.retryAt, isolated: false }
        : { allowed: "on trial", state };
    case "half-open": {
      const { trial } = state;
      if (trial === undefined || trial.expiresAt <= now) return { allowed: "on trial", state };
      const retryAt = Math.min(trial.expiresAt, now + TRIAL_RECHECK);
      return { allowed: false, retryAt, isolated: false };
    }
  }
}

/** A call, by an id of its own, asks to go through. */
export function admit(
  state: BreakerState | undefined,
  id: string,
  now: number,
  policy: ResolvedBreaker,
): Step & { admission: Admission } {
  if (state?.state === "half-open" && state.trial?.id === id) {
    const change: BreakerChange = { change: "halfOpened" };
    const admission: Admission = { allowed: true, era: state.era, trial: true };
    return state.by === id ? { admission, change } : { admission };
  }
  const seen = look(state, now, policy);
  if (seen.allowed !== "on trial") return { admission: seen };
  const trial = { id, expiresAt: now + TRIAL_LEASE };
  const { era, failures, since } = seen.state;
  if (seen.state.state === "half-open") {
    return { state: { ...seen.state, trial }, admission: { allowed: true, era, trial: true } };
  }
  return {
    state: { state: "half-open", failures, since, trial, era: era + 1, by: id },
    admission: { allowed: true, era: era + 1, trial: true },
    change: { change: "halfOpened" },
  };
}

/** Keeps a trial's lease. @returns no state where the trial is another's by now */
export function renewTrial(state: BreakerState | undefined, id: string, now: number): Step {
  if (state?.state !== "half-open" || state.trial?.id !== id) return {};
  return { state: { ...state, trial: { id, expiresAt: now + TRIAL_LEASE } } };
}

/** A call that was let through has ended. */
export function settle(
  state: BreakerState | undefined,
  call: { id: string; era: number; outcome: CallOutcome },
  now: number,
  policy: ResolvedBreaker,
): Step {
  const { id, era, outcome } = call;
  if (state !== undefined && state.by === id && state.era === era + 1) return settledBefore(state);
  const current: BreakerState = state ?? { state: "closed", failing: [], window: [], era: 0 };
  if (current.era !== era) return {};
  if (current.state === "closed") return settleClosed(current, id, outcome, now, policy);
  if (current.state === "half-open" && current.trial?.id === id) {
    return settleTrial(current, id, outcome, now, policy);
  }
  return {};
}

/** By hand: nothing goes through until it is reset. */
export function isolate(
  state: BreakerState | undefined,
  now: number,
  reason: string | undefined,
): BreakerState {
  const era = (state?.era ?? 0) + 1;
  return { state: "isolated", since: now, era, ...(reason !== undefined && { reason }) };
}

/** By hand: closed, with nothing counted; calls in flight count no more. */
export function reset(state: BreakerState | undefined): BreakerState {
  return { state: "closed", failing: [], window: [], era: (state?.era ?? 0) + 1 };
}

type Closed = Extract<BreakerState, { state: "closed" }>;
type HalfOpen = Extract<BreakerState, { state: "half-open" }>;

function settleClosed(
  state: Closed,
  id: string,
  outcome: CallOutcome,
  now: number,
  policy: ResolvedBreaker,
): Step {
  if (outcome.result === "neutral" || state.failing.includes(id)) return {};
  const failed = outcome.result === "failure";
  const window = policy.failureRate === undefined ? [] : counted(state.window, failed, now, policy);
  if (!failed) {
    if (state.failing.length === 0 && window.length === 0) return {};
    return { state: { ...state, failing: [], window } };
  }
  // Where only the rate opens it, the last few ids are enough for K4.
  const kept = Number.isFinite(policy.failures) ? policy.failures : WINDOW_STEPS;
  const failing = [...state.failing, id].slice(-kept);
  const calls = sum(window, "calls");
  const failures = sum(window, "failures");
  const { failureRate = Infinity, minimumCalls } = policy;
  const tooMany = failing.length >= policy.failures;
  const tooOften = calls >= minimumCalls && failures / calls >= failureRate;
  if (!tooMany && !tooOften) return { state: { ...state, failing, window } };
  const count = tooMany ? failing.length : failures;
  const opened = open(state, { id, outcome, failures: count }, now, policy);
  return { state: opened, change: { change: "opened", failures: count, retryAt: opened.retryAt } };
}

function settleTrial(
  state: HalfOpen,
  id: string,
  outcome: CallOutcome,
  now: number,
  policy: ResolvedBreaker,
): Step {
  if (outcome.result === "neutral") {
    const { trial: _, ...rest } = state;
    return { state: rest };
  }
  if (outcome.result === "success") {
    return {
      state: { state: "closed", failing: [], window: [], era: state.era + 1, by: id },
      change: { change: "closed" },
    };
  }
  return { state: open(state, { id, outcome, failures: state.failures + 1 }, now, policy) };
}

function open(
  before: Closed | HalfOpen,
  call: { id: string; outcome: CallOutcome; failures: number },
  now: number,
  policy: ResolvedBreaker,
): Extract<BreakerState, { state: "open" }> {
  const { id, outcome, failures } = call;
  // Nobody tries earlier than the upstream asked for.
  const told = outcome.result === "failure" ? (outcome.retryAfter ?? 0) : 0;
  const again = before.state === "half-open";
  return {
    state: "open",
    failures,
    since: again ? before.since : now,
    retryAt: now + Math.max(policy.openFor, told),
    again,
    era: before.era + 1,
    by: id,
  };
}

/** Computed again after a commit whose answer was lost. */
function settledBefore(state: BreakerState): Step {
  if (state.state === "closed") return { change: { change: "closed" } };
  if (state.state !== "open" || state.again) return {};
  const { failures, retryAt } = state;
  return { change: { change: "opened", failures, retryAt } };
}

function counted(slots: readonly Slot[], failed: boolean, now: number, policy: ResolvedBreaker) {
  const width = policy.window / WINDOW_STEPS;
  const at = Math.floor(now / width) * width;
  const kept = slots.filter((slot) => slot.at > now - policy.window);
  const last = kept.findLast((slot) => slot.at === at) ?? { at, calls: 0, failures: 0 };
  const grown = { at, calls: last.calls + 1, failures: last.failures + (failed ? 1 : 0) };
  return [...kept.filter((slot) => slot !== last), grown];
}

function sum(slots: readonly Slot[], what: "calls" | "failures"): number {
  return slots.reduce((total, slot) => total + slot[what], 0);
}
