/**
 * What calls may cost: dollars, tokens, calls, retries. Pure transitions of a small state.
 *
 * A call reserves what it may cost before it is made, and settles what it did cost after, whether it
 * failed or not. A reservation whose process died counts as spent, as long as nobody says otherwise:
 * its call may have been made.
 *
 * Invariants
 *   G1  A reservation is made only where what was spent, what is reserved and it together stay within
 *       every limit: calls that cost no more than they reserved never exceed a budget.
 *   G2  What was spent is the sum of what was settled, and of reservations that were given up for spent.
 *   G3  A reservation is settled once; settling it again, or later than its lease, changes nothing twice.
 *   G4  A limit that a person raised is raised for all who share the budget, and never lowered again.
 *   G5  Every transition may be computed again for the same call (the database was lost in the commit)
 *       and then changes nothing.
 */

import { InvalidInputError } from "../errors.ts";
import { checkKeys, checkOptional, checkWord, shown } from "./options.ts";

export type BudgetUnit = "usd" | "tokens" | "calls" | "retries";
export const BUDGET_UNITS: readonly BudgetUnit[] = ["usd", "tokens", "calls", "retries"];

/** So much of each unit; what is left out is 0. */
export type Amounts = Partial<Record<BudgetUnit, number>>;

/** What all calls under a budget may cost together. At least one of the units. */
export interface BudgetPolicy {
  /** Budgets of different names are kept apart; default "budget". */
  name?: string;
  /** Whose budget it is: that of each run (default), thread or node of a run, or of a key of yours. */
  per?: "run" | "thread" | "node" | { key: string };
  /** US dollars. */
  usd?: number;
  /** Input and output together. */
  tokens?: number;
  calls?: number;
  /** Attempts after the first. */
  retries?: number;
  /**
   * What becomes of a call that it does not cover: "fail" (default) with a {@link BudgetExceededError},
   * for which models and nodes may have fallbacks; or "ask" a person first, who may raise it. Asking
   * needs a node of a graph with a holdfast saver; elsewhere it fails.
   */
  onExhausted?: "fail" | "ask";
}

/** Units without a limit are undefined. */
export type BudgetLimits = Readonly<Record<BudgetUnit, number | undefined>>;

/** A reservation that nobody settled for so long belongs to a dead process. */
export const RESERVATION_LEASE = 3_600_000;

/** Plain JSON. */
export interface BudgetState {
  spent: Amounts;
  reserved: Record<string, { amounts: Amounts; expiresAt: number }>;
  /** The limit at which each unit was first found to be exceeded, and by which call. */
  exceeded?: Partial<Record<BudgetUnit, Exceeded>>;
  /** What people raised limits to. */
  raisedTo?: Amounts;
}

export interface Exceeded {
  limit: number;
  by: string;
  /** As it was then, reservations included. */
  spent: number;
  needed: number;
  /** What was asked for: `openai:gpt-4o`. */
  what?: string;
}

export type Reservation =
  | { granted: true }
  | {
      granted: false;
      unit: BudgetUnit;
      limit: number;
      /** Reservations included. */
      spent: number;
      needed: number;
      /** True for the first refusal at this limit. */
      first: boolean;
    };

/** @throws {InvalidInputError} an option is unknown or out of its bounds, or nothing is limited */
export function resolveBudget(where: string, policy: BudgetPolicy): BudgetLimits {
  checkKeys(where, policy, ["name", "per", "onExhausted", ...BUDGET_UNITS]);
  const { per, usd, tokens, calls, retries, onExhausted } = policy;
  if (onExhausted !== undefined) checkWord(`${where}.onExhausted`, onExhausted, ["fail", "ask"]);
  if (typeof per === "object") {
    checkKeys(`${where}.per`, per, ["key"]);
    if (typeof per.key !== "string" || per.key === "") {
      throw new InvalidInputError(`${where}.per.key must be a text, not ${shown(per.key)}.`);
    }
  } else if (per !== undefined) {
    checkWord(`${where}.per`, per, ["run", "thread", "node"]);
  }
  for (const unit of BUDGET_UNITS) {
    checkOptional(`${where}.${unit}`, policy[unit], { atLeast: 0, whole: unit !== "usd" });
  }
  if (BUDGET_UNITS.every((unit) => policy[unit] === undefined)) {
    throw new InvalidInputError(`${where} limits nothing: give one of ${BUDGET_UNITS.join(", ")}.`);
  }
  return { usd, tokens, calls, retries };
}

/** Before a call, by an id that nothing else ever has: keeps what it may cost. */
export function reserve(
  before: BudgetState | undefined,
  id: string,
  needed: Amounts,
  now: number,
  own: BudgetLimits,
  what?: string,
): { state?: BudgetState; reservation: Reservation } {
  const state = fold(before, now);
  const limits = raised(own, state.raisedTo);
  if (Object.hasOwn(state.reserved, id)) return { reservation: { granted: true } };
  const committed = committedOf(state);
  const short = BUDGET_UNITS.find((unit) => isShort(unit, limits[unit], committed, needed));
  if (short === undefined) {
    const amounts = add({}, needed);
    const reserved = { ...state.reserved, [id]: { amounts, expiresAt: now + RESERVATION_LEASE } };
    return { state: { ...state, reserved }, reservation: { granted: true } };
  }
  const limit = limits[short] ?? 0;
  const known = state.exceeded?.[short];
  const refusal: Extract<Reservation, { granted: false }> = {
    granted: false,
    unit: short,
    limit,
    spent: committed[short] ?? 0,
    needed: usable(needed[short]),
    first: known?.limit !== limit || known.by === id,
  };
  if (known?.limit === limit) return { reservation: refusal };
  const { spent, needed: asked } = refusal;
  const found: Exceeded = {
    limit,
    by: id,
    spent,
    needed: asked,
    ...(what !== undefined && { what }),
  };
  const exceeded = { ...state.exceeded, [short]: found };
  return { state: { ...state, exceeded }, reservation: refusal };
}

/** After a call: what it did cost. No state where it has been settled, or was given up for spent. */
export function settle(
  before: BudgetState | undefined,
  id: string,
  used: Amounts,
  now: number,
): BudgetState | undefined {
  const state = fold(before, now);
  if (!Object.hasOwn(state.reserved, id)) return undefined;
  const { [id]: _, ...reserved } = state.reserved;
  return { ...state, spent: add(state.spent, used), reserved };
}

/** By a person. No state where the limit is as high already. */
export function raise(
  before: BudgetState | undefined,
  unit: BudgetUnit,
  limit: number,
): BudgetState | undefined {
  const state = before ?? { spent: {}, reserved: {} };
  if ((state.raisedTo?.[unit] ?? -1) >= limit) return undefined;
  return { ...state, raisedTo: { ...state.raisedTo, [unit]: exact(limit) } };
}

/** Enough for a call that was refused, and as much again as there was to begin with. */
export function proposedLimit({ limit, spent, needed }: Exceeded, own: number): number {
  return exact(Math.max(limit + (own === 0 ? 1 : own), spent + needed));
}

/** G4. */
function raised(limits: BudgetLimits, raisedTo: Amounts | undefined): BudgetLimits {
  if (raisedTo === undefined) return limits;
  const entries = BUDGET_UNITS.map((unit) => {
    const own = limits[unit];
    return [unit, own === undefined ? undefined : Math.max(own, raisedTo[unit] ?? own)];
  });
  return Object.fromEntries(entries) as BudgetLimits;
}

/** A look from outside. What dead processes reserved counts as spent. */
export function standing(before: BudgetState, now: number): { spent: Amounts; reserved: Amounts } {
  const { spent, reserved } = fold(before, now);
  return { spent, reserved: committedOf({ spent: {}, reserved }) };
}

/** Spent and reserved together: what a limit is compared with. */
export function committedOf({ spent, reserved }: BudgetState): Amounts {
  return Object.values(reserved).reduce<Amounts>((sum, { amounts }) => add(sum, amounts), spent);
}

function isShort(
  unit: BudgetUnit,
  limit: number | undefined,
  committed: Amounts,
  needed: Amounts,
): boolean {
  if (limit === undefined) return false;
  const spent = committed[unit] ?? 0;
  const asked = usable(needed[unit]);
  // Nobody knows beforehand what a call costs, but that nothing is left is known. Retries are counted.
  return exact(spent + asked) > limit || (spent >= limit && unit !== "retries");
}

/** G2: what dead processes reserved is given up for spent. */
function fold(state: BudgetState | undefined, now: number): BudgetState {
  if (state === undefined) return { spent: {}, reserved: {} };
  const entries = Object.entries(state.reserved);
  const dead = entries.filter(([, { expiresAt }]) => expiresAt <= now);
  if (dead.length === 0) return state;
  return {
    ...state,
    spent: dead.reduce((sum, [, { amounts }]) => add(sum, amounts), state.spent),
    reserved: Object.fromEntries(entries.filter(([, { expiresAt }]) => expiresAt > now)),
  };
}

function add(sum: Amounts, more: Amounts): Amounts {
  const total = { ...sum };
  for (const unit of BUDGET_UNITS) {
    const amount = usable(more[unit]);
    if (amount > 0) total[unit] = exact((total[unit] ?? 0) + amount);
  }
  return total;
}

/** What providers report is not always a number. */
function usable(amount: number | undefined): number {
  return amount !== undefined && Number.isFinite(amount) && amount > 0 ? amount : 0;
}

/** To the billionth: sums of dollars don't drift. */
function exact(amount: number): number {
  return Math.round(amount * 1e9) / 1e9;
}
