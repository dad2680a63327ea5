/**
 * Budgets that hold for a piece of code: a durable node's hold for all models and tools called in it.
 *
 * Whoever makes a call that costs reserves it from its own budget and from all that hold around it,
 * each account once.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import {
  BUDGET_UNITS,
  type Amounts,
  type BudgetLimits,
  type BudgetPolicy,
  type BudgetUnit,
} from "../policy/budget.ts";
import type { StepStore } from "../step-store.ts";
import { askForMore } from "./budget-question.ts";
import {
  raiseBudget,
  tryReserve,
  type BudgetAccount,
  type BudgetReservation,
  type ReserveOptions,
} from "./budgets.ts";

export interface BudgetScope {
  account: BudgetAccount;
  limits: BudgetLimits;
  /** What becomes of a call that it does not cover; default "fail". */
  onExhausted?: BudgetPolicy["onExhausted"];
  /** What of a call it pays for; default all. */
  counts?: readonly BudgetUnit[] | undefined;
}

const scopes = new AsyncLocalStorage<readonly BudgetScope[]>();

export function scopeOf(
  { policy, limits }: { policy: BudgetPolicy; limits: BudgetLimits },
  account: BudgetAccount,
): BudgetScope {
  return { account, limits, onExhausted: policy.onExhausted };
}

/** Code under a budget, besides those that hold already. */
export function withBudget<T>(scope: BudgetScope, work: () => T): T {
  return scopes.run([...budgetsHere(), scope], work);
}

/** The budgets that hold here, and one's own; where two are of one account, the stricter limits count. */
export function budgetsHere(own?: BudgetScope): readonly BudgetScope[] {
  const byAccount = new Map<string, BudgetScope>();
  for (const scope of [...(scopes.getStore() ?? []), ...(own === undefined ? [] : [own])]) {
    const { name, threadId } = scope.account.key;
    const row = JSON.stringify([name, threadId]);
    const known = byAccount.get(row);
    byAccount.set(row, known === undefined ? scope : stricter(known, scope));
  }
  return [...byAccount.values()];
}

/**
 * Keeps what a call may cost, in every account or in none.
 *
 * @throws {BudgetExceededError} one of the budgets does not cover it, and nobody raises it
 * @throws {GraphInterrupt} a person is asked whether to raise it
 */
export async function reserveAll(
  steps: Pick<StepStore, "states">,
  budgets: readonly BudgetScope[],
  options: ReserveOptions,
): Promise<BudgetReservation> {
  const made: { scope: BudgetScope; reservation: BudgetReservation }[] = [];
  const settle = async (used: Amounts): Promise<void> => {
    await Promise.all(
      made.map(({ scope, reservation }) => reservation.settle(countedBy(scope, used))),
    );
  };
  try {
    for (const scope of budgets) {
      const needed = countedBy(scope, options.needed);
      const reservation = await reserveOrAsk(steps, scope, { ...options, needed });
      made.push({ scope, reservation });
    }
  } catch (error) {
    await settle({});
    throw error;
  }
  return { settle };
}

async function reserveOrAsk(
  steps: Pick<StepStore, "states">,
  scope: BudgetScope,
  options: ReserveOptions,
): Promise<BudgetReservation> {
  const { account, onExhausted } = scope;
  const limits = limitsOf(scope);
  for (;;) {
    const reserved = await tryReserve(steps, account, limits, options);
    if (!("error" in reserved)) return reserved;
    if (onExhausted !== "ask") throw reserved.error;
    const { unit } = reserved;
    const limit = await askForMore(account, limits[unit] ?? 0, reserved, options.origin);
    await raiseBudget(steps, account, unit, limit, options.origin);
  }
}

/** What it does not pay for may be spent. */
function limitsOf({ limits, counts = BUDGET_UNITS }: BudgetScope): BudgetLimits {
  const own = BUDGET_UNITS.map((unit) => [unit, counts.includes(unit) ? limits[unit] : undefined]);
  return Object.fromEntries(own) as BudgetLimits;
}

function countedBy({ counts = BUDGET_UNITS }: BudgetScope, amounts: Amounts): Amounts {
  return Object.fromEntries(
    Object.entries(amounts).filter(([unit]) => counts.includes(unit as BudgetUnit)),
  );
}

function stricter(one: BudgetScope, other: BudgetScope): BudgetScope {
  const limits = BUDGET_UNITS.map((unit) => {
    const both = [one.limits[unit], other.limits[unit]].filter((limit) => limit !== undefined);
    return [unit, both.length === 0 ? undefined : Math.min(...both)];
  });
  const counts = one.counts && other.counts && [...new Set([...one.counts, ...other.counts])];
  const asks = [one, other].some(({ onExhausted }) => onExhausted === "ask");
  return {
    account: one.account,
    limits: Object.fromEntries(limits) as BudgetLimits,
    onExhausted: asks ? "ask" : "fail",
    counts,
  };
}
