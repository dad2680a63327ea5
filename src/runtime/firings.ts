/**
 * Which instants of a schedule are fired now: a pure decision.
 *
 * An instant that is looked at within {@link ON_TIME} is on time, and is fired whatever is said about
 * missed ones. What is older was missed: nobody was there.
 *
 *   skip   leaves missed ones out
 *   once   fires the latest instant for all that were missed; one that is on time stands for them, too
 *   all    fires each, oldest first
 *
 * Invariants
 *   F1  What is fired is an instant of the expression, not before the schedule's next one and not after now.
 *   F2  Looks that follow each other fire no instant twice, and under "all" leave none out.
 *   F3  A look costs no more for the time that nobody looked: at most `limit` instants are fired, and what
 *       is left out is found without counting it.
 */

import type { Missed } from "../schedule-store.ts";
import type { Cron } from "./cron.ts";

/** How late an instant may be fired without being a missed one, in milliseconds. */
export const ON_TIME = 60_000;

export interface Firings {
  /** Oldest first. */
  fire: number[];
  /** The first and the last of those that are left out for good. */
  missed: { at: number; until: number } | undefined;
  /** The first instant that is still to come, or did not fit into this look. */
  nextAt: number | undefined;
}

export function firings(
  cron: Cron,
  schedule: { missed: Missed; nextAt: number },
  now: number,
  limit: number,
): Firings {
  const { nextAt } = schedule;
  if (nextAt > now) return { fire: [], missed: undefined, nextAt };
  const begin = firstToFire(cron, schedule, now);
  const fire: number[] = [];
  let at = begin;
  while (at !== undefined && at <= now && fire.length < limit) {
    fire.push(at);
    at = cron.next(at);
  }
  const isComplete = begin === nextAt;
  const end = Math.min(begin ?? Infinity, now + 1) - 1;
  return {
    fire,
    missed: isComplete ? undefined : { at: nextAt, until: lastOf(cron, nextAt, end) },
    nextAt: at,
  };
}

function firstToFire(
  cron: Cron,
  { missed, nextAt }: { missed: Missed; nextAt: number },
  now: number,
): number | undefined {
  if (missed === "all" || nextAt >= now - ON_TIME) return nextAt;
  const onTime = cron.next(now - ON_TIME - 1);
  if (missed === "skip" || (onTime !== undefined && onTime <= now)) return onTime;
  return lastOf(cron, nextAt, now);
}

/** The last instant up to `end`, found by halves. @param first one that is not after `end` */
function lastOf(cron: Cron, first: number, end: number): number {
  let found = first;
  // Between here and the end there is none.
  let bound = end;
  for (;;) {
    const next = cron.next(found);
    if (next === undefined || next > end) return found;
    found = next;
    const middle = Math.floor((found + bound) / 2);
    const later = cron.next(middle);
    if (later !== undefined && later <= end) found = later;
    else bound = middle;
  }
}
