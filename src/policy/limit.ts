/**
 * A limit that many processes share: so many calls at once (a semaphore), so many in a time (a token
 * bucket), or both. Pure transitions of a small state.
 *
 * Who asks waits in one queue. A waiter is *present* while it comes back when told to; one that is
 * away (parked, or dead) blocks nobody, and if it comes back in time it finds its place as it was.
 *
 * Invariants
 *   L1  No more permits are held at a time than `concurrency`, counting those whose lease lasts.
 *   L2  In any span of time no more calls are let through than `burst` plus what the rate gives in it.
 *   L3  First come, first served: nobody is let through in front of a present waiter that could be.
 *   L4  A permit whose holder died comes back when its lease ends; a waiter's place, a while later.
 *   L5  Every transition may be computed again for the same call (the database was lost in the commit)
 *       and then changes nothing.
 */

import { InvalidInputError } from "../errors.ts";
import { checkKeys, checkOptional } from "./options.ts";

/** What a limit allows. At least one of concurrency and rate. */
export interface LimitPolicy {
  /** Shared by all who use the same name, in all processes on the database. */
  name?: string;
  /** Calls at the same time. */
  concurrency?: number;
  /** Calls in a second. */
  perSecond?: number;
  /** Calls in a minute; instead of `perSecond`. */
  perMinute?: number;
  /** Calls that may go at once after a pause; default 1: calls are spaced evenly. */
  burst?: number;
}

export interface ResolvedLimit {
  concurrency: number | undefined;
  /** Calls in a millisecond. */
  rate: number | undefined;
  burst: number;
}

/** How long a permit may go without a sign of its holder. */
export const PERMIT_LEASE = 30_000;
/** A waiter that is so late is away. */
const GRACE = 5_000;
/** A place in the queue is kept for so long after its waiter should have come. */
const KEEP_PLACE = 600_000;
/**
 * Nobody tells when a permit comes free in another process, so one looks: the more rarely, the more
 * are in front, and the longer it has been.
 */
const LOOK_EVERY = 100;
const LOOK_AT_LEAST_EVERY = 2_000;
const LOOKS_PER_DOUBLING = 8;

/** Who asks: the call, by an id that nothing else ever has, and its place in the queue, which it may find again. */
export interface Asker {
  call: string;
  place: string;
}

/** Plain JSON. */
export interface LimitState {
  permits: { call: string; expiresAt: number }[];
  queue: { place: string; since: number; presentTill: number; expiresAt: number }[];
  /** Calls that may go now, and when that was counted. */
  tokens?: number;
  filledAt?: number;
  /** The call that was let through last. */
  last?: string;
}

export type LimitAnswer =
  | { granted: true }
  | {
      granted: false;
      /** Ask again then. */
      askAt: number;
      /** True where the rate decides: then it is this one's turn. */
      exact: boolean;
      /** True when it has just begun to wait. */
      joined: boolean;
    };

/** @throws {InvalidInputError} an option is unknown or out of its bounds, or nothing is limited */
export function resolveLimit(where: string, policy: LimitPolicy): ResolvedLimit {
  checkKeys(where, policy, ["name", "concurrency", "perSecond", "perMinute", "burst"]);
  const { perSecond, perMinute } = policy;
  const concurrency = checkOptional(`${where}.concurrency`, policy.concurrency, {
    atLeast: 1,
    whole: true,
  });
  checkOptional(`${where}.perSecond`, perSecond, { above: 0 });
  checkOptional(`${where}.perMinute`, perMinute, { above: 0 });
  const burst = checkOptional(`${where}.burst`, policy.burst, { atLeast: 1, whole: true });
  if (perSecond !== undefined && perMinute !== undefined) {
    throw new InvalidInputError(`${where} takes perSecond or perMinute, not both.`);
  }
  const rate =
    perSecond === undefined
      ? perMinute === undefined
        ? undefined
        : perMinute / 60_000
      : perSecond / 1_000;
  if (rate === undefined && concurrency === undefined) {
    throw new InvalidInputError(
      `${where} limits nothing: give concurrency, perSecond or perMinute.`,
    );
  }
  if (rate === undefined && burst !== undefined) {
    throw new InvalidInputError(`${where}.burst goes with perSecond or perMinute.`);
  }
  return { concurrency, rate, burst: burst ?? 1 };
}

/** A call asks to go through: lets it, or queues it. */
export function ask(
  before: LimitState | undefined,
  asker: Asker,
  now: number,
  policy: ResolvedLimit,
): { state: LimitState; answer: LimitAnswer } {
  const state = refresh(before, now, policy);
  const { call, place } = asker;
  if (state.last === call || state.permits.some((permit) => permit.call === call)) {
    return { state, answer: { granted: true } };
  }
  const at = state.queue.findIndex((waiter) => waiter.place === place);
  const inFront = at < 0 ? state.queue : state.queue.slice(0, at);
  const ahead = inFront.filter((waiter) => waiter.presentTill >= now).length;
  const room = (policy.concurrency ?? Infinity) - state.permits.length > ahead;
  const { tokens = policy.burst } = state;
  if (room && (policy.rate === undefined || tokens >= ahead + 1)) {
    return { state: grant(state, asker, tokens, now, policy), answer: { granted: true } };
  }
  const since = state.queue[at]?.since ?? now;
  const askAt = room
    ? now + Math.max(1, Math.ceil((ahead + 1 - tokens) / (policy.rate ?? Infinity)))
    : nextLook(state, ahead, since, now);
  const waiter = { place, since, presentTill: askAt + GRACE, expiresAt: askAt + KEEP_PLACE };
  const queue = at < 0 ? [...state.queue, waiter] : state.queue.with(at, waiter);
  const answer: LimitAnswer = { granted: false, askAt, exact: room, joined: at < 0 };
  return { state: { ...state, queue }, answer };
}

/** A waiter goes away until an instant, and keeps its place without blocking anybody. */
export function stepAside(
  before: LimitState | undefined,
  place: string,
  till: number,
  now: number,
  policy: ResolvedLimit,
): LimitState {
  const state = refresh(before, now, policy);
  const aside = { presentTill: now - 1, expiresAt: till + KEEP_PLACE };
  const queue = state.queue.map((one) => (one.place === place ? { ...one, ...aside } : one));
  return { ...state, queue };
}

/** Keeps a permit. @returns no state where the lease ended meanwhile and others have the room */
export function renewPermit(
  before: LimitState | undefined,
  call: string,
  now: number,
  policy: ResolvedLimit,
): { state?: LimitState; held: boolean } {
  const state = refresh(before, now, policy);
  const held = state.permits.some((permit) => permit.call === call);
  // A process that stood still for long is back: it is calling, whether or not it may.
  const free = (policy.concurrency ?? Infinity) > state.permits.length;
  if (!held && !free) return { held: false };
  const others = state.permits.filter((permit) => permit.call !== call);
  return {
    state: { ...state, permits: [...others, { call, expiresAt: now + PERMIT_LEASE }] },
    held: true,
  };
}

/** Gives back a permit, or a place in the queue. */
export function leave(
  state: LimitState | undefined,
  { call, place }: Asker,
): LimitState | undefined {
  if (state === undefined) return undefined;
  const permits = state.permits.filter((permit) => permit.call !== call);
  const queue = state.queue.filter((waiter) => waiter.place !== place);
  return { ...state, permits, queue };
}

/** What can be seen of a limit. */
export interface LimitStanding {
  /** Permits that are held: calls under way. */
  held: number;
  /** Who waits, and comes back when told to. */
  waiting: number;
  /** Places kept for who is parked, or dead. */
  away: number;
  /** Since when the first in the queue waits. */
  waitingSince?: number;
}

/** A look from outside: what each caller's policy allows is not part of the state. */
export function standing({ permits, queue }: LimitState, now: number): LimitStanding {
  const kept = queue.filter((waiter) => waiter.expiresAt > now);
  const waiting = kept.filter((waiter) => waiter.presentTill >= now).length;
  const [first] = kept;
  return {
    held: permits.filter((permit) => permit.expiresAt > now).length,
    waiting,
    away: kept.length - waiting,
    ...(first !== undefined && { waitingSince: first.since }),
  };
}

/** Without what has expired, and with the tokens that have come since. */
function refresh(
  state: LimitState | undefined,
  now: number,
  { rate, burst }: ResolvedLimit,
): LimitState {
  const { permits = [], queue = [], last } = state ?? {};
  const kept: LimitState = {
    permits: permits.filter((permit) => permit.expiresAt > now),
    queue: queue.filter((waiter) => waiter.expiresAt > now),
    ...(last !== undefined && { last }),
  };
  if (rate === undefined) return kept;
  // A clock that steps back takes its tokens back, too: it brings them a second time.
  const gained = (now - (state?.filledAt ?? now)) * rate;
  return { ...kept, tokens: Math.min(burst, (state?.tokens ?? burst) + gained), filledAt: now };
}

function grant(
  state: LimitState,
  { call, place }: Asker,
  tokens: number,
  now: number,
  policy: ResolvedLimit,
): LimitState {
  const queue = state.queue.filter((waiter) => waiter.place !== place);
  const permits =
    policy.concurrency === undefined
      ? state.permits
      : [...state.permits, { call, expiresAt: now + PERMIT_LEASE }];
  const paid = policy.rate === undefined ? {} : { tokens: tokens - 1 };
  return { ...state, ...paid, queue, permits, last: call };
}

/** Not past a lease that ends before. */
function nextLook(state: LimitState, ahead: number, since: number, now: number): number {
  const pause = Math.max(LOOK_EVERY * (1 + ahead), Math.round((now - since) / LOOKS_PER_DOUBLING));
  const ends = state.permits.map((permit) => permit.expiresAt);
  return Math.max(now + 1, Math.min(now + Math.min(LOOK_AT_LEAST_EVERY, pause), ...ends));
}
