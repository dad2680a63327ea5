/**
 * Limits as rows that all processes share: the door between `policy/limit.ts` and the store.
 *
 * Invariants
 *   I1  A permit is renewed until it is released; its release lets the next waiter of this process
 *       look at once, and others when they look next.
 *   I2  Who gives up waiting leaves the queue. Who is parked keeps its place, and finds it again under
 *       the same `place`.
 */

import { anySignal } from "../abort.ts";
import { LimitExceededError } from "../errors.ts";
import { events, type EventOrigin } from "../events.ts";
import { randomTag } from "../ids.ts";
import { isBubbleUp } from "../policy/classify.ts";
import {
  PERMIT_LEASE,
  ask,
  leave,
  renewPermit,
  standing,
  stepAside,
  type Asker,
  type LimitAnswer,
  type LimitStanding,
  type LimitState,
  type ResolvedLimit,
} from "../policy/limit.ts";
import type { StateStore, StepStore } from "../step-store.ts";
import { keepRenewing } from "./renewal.ts";

type Steps = Pick<StepStore, "states" | "clock">;

/** Waits until an instant, in process or by throwing the interrupt that parks: `waitUntil` is one. */
export type Wait = (
  at: number,
  reason: string,
  options: { signal?: AbortSignal | undefined },
) => Promise<void>;

export interface AcquireOptions {
  wait: Wait;
  /** Ends the wait with its reason. */
  signal?: AbortSignal | undefined;
  /** What finds its place in the queue again when the node runs again: the task, say. */
  place?: string | undefined;
  /** Where waits may be parked: how long to wait in process before, in milliseconds. */
  parkAfter?: number | undefined;
  /** No wait goes on after this instant. */
  giveUpAt?: number | undefined;
  /** For the event. */
  origin?: EventOrigin | undefined;
}

export interface Permit {
  /** Nothing the second time. */
  release(): Promise<void>;
}

/** Beyond `parkAfter`, a wait of unknown length is looked after so often. */
const AWAY_FOR = 30_000;

/**
 * Waits for a limit to let a call through.
 *
 * @throws {LimitExceededError} there is no room before `giveUpAt`
 * @throws what `wait` throws: the signal's reason, or the interrupt that parks
 */
export async function acquirePermit(
  steps: Steps,
  name: string,
  policy: ResolvedLimit,
  options: AcquireOptions,
): Promise<Permit> {
  const call = randomTag();
  const asker: Asker = { call, place: options.place ?? call };
  const waiter = waitersOf(steps.states, name).join();
  try {
    await waitForTurn(steps, name, policy, asker, waiter, options);
  } catch (error) {
    // The place of one that parked is kept, and its next ask is another call's.
    if (!isBubbleUp(error)) await giveBack(steps, name, asker).catch(() => undefined);
    throw error;
  } finally {
    waiter.leave();
  }
  if (policy.concurrency === undefined) return { release: async () => undefined };
  const stop = keepRenewing(steps.clock, PERMIT_LEASE, () =>
    steps.states.decide<LimitState, void>("limits", { name }, (state, now) => ({
      ...withState(renewPermit(state, call, now, policy).state),
      result: undefined,
    })),
  );
  let released: Promise<void> | undefined;
  return {
    release: () => {
      stop();
      return (released ??= giveBack(steps, name, asker));
    },
  };
}

async function waitForTurn(
  steps: Steps,
  name: string,
  policy: ResolvedLimit,
  asker: Asker,
  waiter: Waiter,
  { wait, signal, parkAfter = Infinity, giveUpAt = Infinity, origin }: AcquireOptions,
): Promise<void> {
  let since: number | undefined;
  for (;;) {
    signal?.throwIfAborted();
    // Before asking: a permit that comes back in between must not be missed.
    const woken = waiter.listen();
    const { answer, now } = await steps.states.decide<
      LimitState,
      { answer: LimitAnswer; now: number }
    >("limits", { name }, (state, now) => {
      const next = ask(state, asker, now, policy);
      return { state: next.state, result: { answer: next.answer, now } };
    });
    if (answer.granted) return;
    since ??= now;
    if (answer.joined) events.emit("limit.waiting", { ...origin, name, until: answer.askAt });
    let until = answer.askAt;
    if (!answer.exact && now - since >= parkAfter) {
      until = now + Math.max(AWAY_FOR, parkAfter + 1);
      await aside(steps, name, asker, until, policy);
    }
    if (until >= giveUpAt) throw new LimitExceededError(name, until);
    try {
      await wait(until, `limit ${name}`, { signal: anySignal(signal, woken) });
    } catch (error) {
      if (!woken.aborted || error !== woken.reason) throw error;
    }
  }
}

/** A limit, as people look at it. Instants are milliseconds since the epoch. */
export interface LimitInfo extends LimitStanding {
  name: string;
  updatedAt: number;
}

/** All limits that were ever asked, by name. */
export async function listLimits(steps: Pick<StepStore, "states" | "now">): Promise<LimitInfo[]> {
  const [found, now] = await Promise.all([steps.states.list("limits"), steps.now()]);
  return found.map(({ name, state, updatedAt }) => ({
    name,
    ...standing(state as LimitState, now),
    updatedAt,
  }));
}

function aside(
  { states }: Steps,
  name: string,
  { place }: Asker,
  till: number,
  policy: ResolvedLimit,
): Promise<void> {
  return states.decide<LimitState, void>("limits", { name }, (state, now) => ({
    state: stepAside(state, place, till, now, policy),
    result: undefined,
  }));
}

async function giveBack({ states }: Steps, name: string, asker: Asker): Promise<void> {
  await states.decide<LimitState, void>("limits", { name }, (state) => ({
    ...withState(leave(state, asker)),
    result: undefined,
  }));
  waitersOf(states, name).wakeNext();
}

function withState(state: LimitState | undefined): { state?: LimitState } {
  return state === undefined ? {} : { state };
}

/** Who waits for a limit in this process, in the order in which they came. */
class Waiters {
  readonly #waiting = new Set<Waiter>();
  readonly #empty: () => void;

  constructor(empty: () => void) {
    this.#empty = empty;
  }

  join(): Waiter {
    const waiter = new Waiter(() => {
      this.#waiting.delete(waiter);
      if (this.#waiting.size === 0) this.#empty();
    });
    this.#waiting.add(waiter);
    return waiter;
  }

  wakeNext(): void {
    const [next] = this.#waiting;
    next?.wake();
  }
}

class Waiter {
  readonly leave: () => void;
  #controller = new AbortController();

  constructor(leave: () => void) {
    this.leave = leave;
  }

  /** Aborts when it is woken next. */
  listen(): AbortSignal {
    this.#controller = new AbortController();
    return this.#controller.signal;
  }

  wake(): void {
    this.#controller.abort(new Error("A permit came back."));
  }
}

const waiters = new WeakMap<StateStore, Map<string, Waiters>>();

function waitersOf(states: StateStore, name: string): Waiters {
  const byName = waiters.get(states) ?? new Map<string, Waiters>();
  waiters.set(states, byName);
  const known = byName.get(name) ?? new Waiters(() => byName.delete(name));
  byName.set(name, known);
  return known;
}
