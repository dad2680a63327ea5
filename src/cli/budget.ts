/** The budget of a run: as it is asked for, and what of it is used. */

import { InvalidInputError } from "../errors.ts";
import { BUDGET_UNITS, resolveBudget, type Amounts, type BudgetUnit } from "../policy/budget.ts";
import type { RunBudget, StoredRun } from "../run-store.ts";
import { listBudgets } from "../steps/budgets.ts";
import type { Saver } from "./database.ts";
import { parsePairs } from "./input.ts";

const KEYS: readonly string[] = [...BUDGET_UNITS, "onExhausted", "name"];

/**
 * `usd=0.5,calls=100`
 * @throws {InvalidInputError} it is no budget
 */
export function parseBudget(text: string, option: string): RunBudget {
  const pairs = text.split(",").map((pair) => pair.trim());
  const values = parsePairs(pairs, option);
  const unknown = Object.keys(values).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) {
    throw new InvalidInputError(
      `${option}: "${unknown}" is no part of a budget. Give limits such as usd=0.5,tokens=200000,calls=100,retries=10; ` +
        "and onExhausted=ask to have a person asked for more, or name=NAME.",
    );
  }
  if (new Set(pairs.map((pair) => pair.split("=", 1)[0])).size < pairs.length) {
    throw new InvalidInputError(`${option}: "${text}" says the same twice.`);
  }
  const name = pairs.find((pair) => pair.startsWith("name="))?.slice("name=".length);
  const budget: RunBudget = { ...values, ...(name === undefined ? {} : { name }) };
  resolveBudget(option, budget);
  return budget;
}

/** The budget that a run was accepted with, and what of it is used. */
export interface BudgetShown extends RunBudget {
  spent: Amounts;
  /** Kept for calls that are under way. */
  reserved: Amounts;
  /** What people raised limits to. */
  raisedTo: Amounts;
}

/** One look at the budgets of its thread; undefined where it was accepted without one. */
export async function budgetShown(
  saver: Saver,
  { runId, threadId, details: { budget } }: StoredRun,
): Promise<BudgetShown | undefined> {
  if (budget === undefined) return undefined;
  const { name = "budget" } = budget;
  const known = await listBudgets(saver.steps, { threadId });
  const used = known.find((one) => one.per === "run" && one.runId === runId && one.name === name);
  const { spent = {}, reserved = {}, raisedTo = {} } = used ?? {};
  return { ...budget, spent, reserved, raisedTo };
}

/** `$0.12 of $0.5, 3 of 100 calls`. */
export function budgetText(budget: BudgetShown): string {
  return BUDGET_UNITS.flatMap((unit) => unitText(budget, unit)).join(", ");
}

function unitText(
  { spent, reserved, raisedTo, ...limits }: BudgetShown,
  unit: BudgetUnit,
): string[] {
  const limit = limits[unit];
  if (limit === undefined) return [];
  const money = (amount: number): string => (unit === "usd" ? `$${amount}` : String(amount));
  const raised = raisedTo[unit] ?? 0;
  const most = raised > limit ? `${money(raised)} (raised from ${money(limit)})` : money(limit);
  const kept = reserved[unit] ?? 0;
  const of = `${money(spent[unit] ?? 0)} of ${most}${unit === "usd" ? "" : ` ${unit}`}`;
  return [kept > 0 ? `${of} (${money(kept)} reserved)` : of];
}
