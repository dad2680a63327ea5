/**
 * Keeping a thread to ourselves while we run it.
 *
 * States: held -> lost (somebody else took it, or it could not be renewed in time) or released.
 *
 * Invariants
 *   L1  Every write of the invocation carries the token, and the database refuses an older one.
 *   L2  The signal aborts no later than the lease could have expired, by our own clock from before
 *       it was asked for: what comes after that is for somebody else to do.
 */

import { anySignal } from "../abort.ts";
import type { Clock } from "../clock.ts";
import { LeaseLostError } from "../errors.ts";
import { events } from "../events.ts";
import { randomTag } from "../ids.ts";
import { systemProcesses } from "../process.ts";
import { LEASE_TOKEN_KEY, LEASE_UNTIL_KEY, type Lease, type LeaseStore } from "../step-store.ts";

export interface HeldLease {
  readonly token: number;
  /** Aborts with a {@link LeaseLostError} when the lease is lost. */
  readonly signal: AbortSignal;
  /** Until when it certainly holds, by our own clock. */
  until(): number;
  release(): Promise<void>;
  /** Renews it no more, and leaves giving it back to somebody else. */
  leave(): void;
}

/** What a config's `configurable` tells of it to all that is done under it. */
export function configurableOf(held: HeldLease): Record<string, unknown> {
  return { [LEASE_TOKEN_KEY]: held.token, [LEASE_UNTIL_KEY]: () => held.until() };
}

/** Who takes a lease: this process, and which of its runs. */
export function newOwner(): string {
  return `${systemProcesses.own}#${randomTag()}`;
}

/** How often it is renewed within its duration. */
const RENEWALS = 3;

/** @throws {ThreadBusyError} somebody else runs the thread */
export async function holdLease(
  store: LeaseStore,
  clock: Clock,
  threadId: string,
  duration: number,
): Promise<HeldLease> {
  const asked = clock.now();
  return keepLease(
    store,
    clock,
    await store.acquire(threadId, newOwner(), duration),
    asked,
    duration,
  );
}

/**
 * Renews a lease that was just acquired, until it is released or lost.
 * @param asked our clock's time before it was asked for
 */
export function keepLease(
  store: LeaseStore,
  clock: Clock,
  lease: Lease,
  asked: number,
  duration: number,
): HeldLease {
  const lost = new AbortController();
  const released = new AbortController();
  const holds = { until: asked + duration };
  const keeping = keep(store, clock, lease, duration, holds, lost, released.signal);
  return {
    token: lease.token,
    signal: lost.signal,
    until: () => holds.until,
    leave: () => released.abort(new Error("left")),
    async release() {
      released.abort(new Error("released"));
      await keeping;
      if (!lost.signal.aborted) await store.release(lease);
    },
  };
}

async function keep(
  store: LeaseStore,
  clock: Clock,
  lease: Lease,
  duration: number,
  holds: { until: number },
  lost: AbortController,
  released: AbortSignal,
): Promise<void> {
  while (!released.aborted) {
    try {
      await clock.sleep(duration / RENEWALS, released);
    } catch {
      return;
    }
    const asked = clock.now();
    try {
      await renewed(store, clock, lease, duration, holds.until, released);
      holds.until = asked + duration;
    } catch (error) {
      if (released.aborted) return;
      // A database that does not answer is asked again as long as the lease lasts.
      if (!(error instanceof LeaseLostError) && clock.now() < holds.until) continue;
      events.emit("lease.lost", { threadId: lease.threadId, token: lease.token });
      lost.abort(new LeaseLostError(lease.threadId, lease.token));
      return;
    }
  }
}

/** Renews, but waits for the answer no longer than the lease lasts (L2). */
async function renewed(
  store: LeaseStore,
  clock: Clock,
  lease: Lease,
  duration: number,
  until: number,
  released: AbortSignal,
): Promise<void> {
  const answered = new AbortController();
  const tooLate = clock
    .sleep(Math.max(0, until - clock.now()), anySignal(answered.signal, released))
    .then(() => {
      throw new LeaseLostError(lease.threadId, lease.token);
    });
  tooLate.catch(() => undefined);
  try {
    await Promise.race([store.renew(lease, duration), tooLate]);
  } finally {
    answered.abort(new Error("answered"));
  }
}
