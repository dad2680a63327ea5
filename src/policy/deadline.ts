/**
 * What a run's deadline leaves: for attempts, for waits, and for compensation after it. Pure.
 *
 * Attempts and waits are cut to what remains until {@link workTill}: an attempt ends there, and no wait
 * is begun that would end later.
 */

import { checkKeys, checkOptional } from "./options.ts";

export interface DeadlinePolicy {
  /** Kept back for compensation, in milliseconds: no attempt and no wait runs into it. Default 0. */
  reserve?: number;
}

/** @throws {InvalidInputError} an option is unknown, or out of its bounds */
export function checkDeadline(where: string, policy: DeadlinePolicy): void {
  checkKeys(where, policy, ["reserve"]);
  checkOptional(`${where}.reserve`, policy.reserve, { atLeast: 0 });
}

/** When work must end, so that the reserve is left; never, without a deadline. */
export function workTill(deadlineAt: number | undefined, reserve: number): number {
  return deadlineAt === undefined ? Infinity : deadlineAt - reserve;
}

/** Time left for work, in milliseconds. */
export function remaining(deadlineAt: number | undefined, reserve: number, now: number): number {
  return Math.max(0, workTill(deadlineAt, reserve) - now);
}
