/** Budgets as rows that all processes share: the door between `policy/budget.ts` and the store. */

import { BudgetExceededError, NotDurableError } from "../errors.ts";
import { events, type EventOrigin } from "../events.ts";
import { randomTag } from "../ids.ts";
import {
  committedOf,
  raise,
  reserve,
  settle,
  standing,
  type Amounts,
  type BudgetLimits,
  type BudgetPolicy,
  type BudgetState,
  type BudgetUnit,
  type Exceeded,
} from "../policy/budget.ts";
import type { StateKey, StepStore } from "../step-store.ts";

type Steps = Pick<StepStore, "states">;

/** Whose budget: its row, and how people call it. */
export interface BudgetAccount {
  key: StateKey;
  label: string;
}

/** Where a call is made, as far as budgets care. */
export interface BudgetPlace {
  threadId?: string | undefined;
  runId?: string | undefined;
  node?: string | undefined;
}

export interface ReserveOptions {
  /** What the call may cost at most, as far as that is known. */
  needed: Amounts;
  /** Attempts made of the call before. */
  attempts: number;
  /** What is called, for people who are asked for more. */
  what?: string | undefined;
  /** For the event. */
  origin?: EventOrigin | undefined;
}

export interface BudgetReservation {
  /** What the call did cost, whether it failed or not. Nothing the second time. */
  settle(used: Amounts): Promise<void>;
}

/**
 * The account of a budget. Calls of one run (thread, node of a run, key) share one account, unless their
 * policies have different names.
 *
 * @throws {NotDurableError} there is no run, thread or node here to have a budget
 */
export function accountOf(policy: BudgetPolicy, place: BudgetPlace): BudgetAccount {
  const { per = "run", name = "budget" } = policy;
  const { threadId, runId, node } = place;
  if (typeof per === "object") {
    return { key: { name: row(name, "key", per.key) }, label: `${name} of ${per.key}` };
  }
  const known = { run: runId, thread: threadId, node: node && runId }[per];
  if (known === undefined || threadId === undefined) {
    throw new NotDurableError(
      `A budget per ${per} needs a node of a graph with a saver around it. Elsewhere, give it a key: ` +
        '`{ per: { key: "..." } }`.',
    );
  }
  const parts = { run: [runId], thread: [], node: [runId, node] }[per];
  const of = per === "node" ? `node ${node}` : per;
  return {
    key: { name: row(name, per, ...parts.map(String)), threadId },
    label: `${name} of the ${of}`,
  };
}

/** Why a call may not be made. */
export interface BudgetRefusal {
  error: BudgetExceededError;
  unit: BudgetUnit;
  /** The same for all who are refused at this limit. */
  exceeded: Exceeded;
}

/**
 * Keeps what a call may cost.
 *
 * @throws {BudgetExceededError} the budget does not cover it
 */
export async function reserveBudget(
  steps: Steps,
  account: BudgetAccount,
  limits: BudgetLimits,
  options: ReserveOptions,
): Promise<BudgetReservation> {
  const reserved = await tryReserve(steps, account, limits, options);
  if ("error" in reserved) throw reserved.error;
  return reserved;
}

/** The same, for those who may do something about it. */
export async function tryReserve(
  steps: Steps,
  { key, label }: BudgetAccount,
  limits: BudgetLimits,
  { needed, attempts, what, origin }: ReserveOptions,
): Promise<BudgetReservation | BudgetRefusal> {
  const id = randomTag();
  const { reservation, state: found } = await steps.states.decide<
    BudgetState,
    ReturnType<typeof reserve>
  >("budgets", key, (state, now) => {
    const { state: next, reservation } = reserve(state, id, needed, now, limits, what);
    const known = next ?? state;
    return {
      ...(next !== undefined && { state: next }),
      result: { reservation, ...(known !== undefined && { state: known }) },
    };
  });
  if (!reservation.granted) {
    const { unit, limit, spent, needed, first } = reservation;
    if (first) events.emit("budget.exceeded", { ...origin, name: label, limit, spent, unit });
    return {
      error: new BudgetExceededError({ budget: label, unit, limit, spent, needed, attempts }),
      unit,
      exceeded: found?.exceeded?.[unit] ?? { limit, by: id, spent, needed },
    };
  }
  let settled: Promise<void> | undefined;
  return {
    settle: (used) =>
      (settled ??= steps.states.decide<BudgetState, void>("budgets", key, (state, now) => {
        const next = settle(state, id, used, now);
        return { ...(next !== undefined && { state: next }), result: undefined };
      })),
  };
}

/** For all who share it; without effect where it is as high already. */
export async function raiseBudget(
  steps: Steps,
  { key, label }: BudgetAccount,
  unit: BudgetUnit,
  limit: number,
  origin?: EventOrigin,
): Promise<void> {
  const isRaised = await steps.states.decide<BudgetState, boolean>("budgets", key, (state) => {
    const next = raise(state, unit, limit);
    return { ...(next !== undefined && { state: next }), result: next !== undefined };
  });
  if (isRaised) events.emit("budget.raised", { ...origin, name: label, limit, unit });
}

/** What is spent and reserved of an account, and how much of that is reserved. */
export async function budgetOf(
  steps: Steps,
  { key }: BudgetAccount,
): Promise<{ spent: Amounts; committed: Amounts }> {
  const { state } = await steps.states.read("budgets", key);
  const found = (state ?? { spent: {}, reserved: {} }) as BudgetState;
  return { spent: found.spent, committed: committedOf(found) };
}

/** A budget, as people look at it. */
export interface BudgetInfo {
  name: string;
  per: "run" | "thread" | "node" | "key";
  threadId?: string;
  runId?: string;
  node?: string;
  key?: string;
  spent: Amounts;
  /** Kept for calls that are under way. */
  reserved: Amounts;
  /** The limits that calls were refused at. */
  exceeded: Amounts;
  /** What people raised limits to. */
  raisedTo: Amounts;
  updatedAt: number;
}

/** All budgets that anything was reserved from; with a thread only that thread's. */
export async function listBudgets(
  steps: Pick<StepStore, "states" | "now">,
  options: { threadId?: string } = {},
): Promise<BudgetInfo[]> {
  const [found, now] = await Promise.all([steps.states.list("budgets", options), steps.now()]);
  return found.map(({ name, threadId, state, updatedAt }) => {
    const { exceeded = {}, raisedTo = {} } = state as BudgetState;
    return {
      ...partsOf(name),
      ...(threadId !== undefined && { threadId }),
      ...standing(state as BudgetState, now),
      exceeded: Object.fromEntries(
        Object.entries(exceeded).map(([unit, { limit }]) => [unit, limit]),
      ),
      raisedTo,
      updatedAt,
    };
  });
}

function partsOf(row: string): Pick<BudgetInfo, "name" | "per" | "runId" | "node" | "key"> {
  const [name = "", per, first, second] = JSON.parse(row) as string[];
  switch (per) {
    case "run":
      return { name, per, ...(first !== undefined && { runId: first }) };
    case "node":
      return {
        ...{ name, per },
        ...(first !== undefined && { runId: first }),
        ...(second !== undefined && { node: second }),
      };
    case "key":
      return { name, per, ...(first !== undefined && { key: first }) };
    default:
      return { name, per: "thread" };
  }
}

/** Unambiguous, whatever the names are. */
function row(...parts: string[]): string {
  return JSON.stringify(parts);
}
