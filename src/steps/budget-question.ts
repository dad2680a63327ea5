/**
 * A spent budget as a question to a person: how much more there may be.
 *
 * The question is an `approval()`, so it is in the inbox, and answered by its id. It is the same one for
 * all calls of a run that are refused at the same limit. The answer is kept in the budget itself; who is
 * refused at the limit as it is then asks anew.
 */

import { currentNode } from "../context.ts";
import { RejectedError, markExhausted } from "../errors.ts";
import { events, type EventOrigin } from "../events.ts";
import { proposedLimit, type BudgetUnit } from "../policy/budget.ts";
import { approval } from "./approval.ts";
import type { BudgetAccount, BudgetRefusal } from "./budgets.ts";

/** The payload of the question; an edited one says another `raiseTo`. */
export interface BudgetQuestion {
  budget: string;
  unit: BudgetUnit;
  limit: number;
  /** What calls under way may cost at most is part of it. */
  spent: number;
  /** What the call may cost at most; 0 where nobody knows. */
  needed: number;
  /** What is called: `openai:gpt-4o`. */
  what?: string;
  /** The limit that holds if the answer is yes. */
  raiseTo: number;
  /** What was wrong with the answer before. */
  problem?: string;
}

/**
 * @param own the limit that the policy sets
 * @returns the limit that a person allows
 * @throws {BudgetExceededError} the answer was no, or there is nobody to ask
 * @throws {GraphInterrupt} there is no answer yet
 */
export async function askForMore(
  { key, label }: BudgetAccount,
  own: number,
  { error, unit, exceeded }: BudgetRefusal,
  origin: EventOrigin | undefined,
): Promise<number> {
  if (currentNode()?.durable?.steps.approvals === undefined) {
    events.notice(
      `holdfast: the budget "${label}" is spent, and nobody can be asked: that needs a node of a graph with ` +
        'a saver from "holdfast/sqlite" or "holdfast/postgres". The call fails.',
    );
    throw error;
  }
  const { limit, spent, needed, what } = exceeded;
  const asked: BudgetQuestion = {
    ...{ budget: label, unit, limit, spent, needed },
    ...(what !== undefined && { what }),
    raiseTo: proposedLimit(exceeded, own),
  };
  let problem: string | undefined;
  for (let round = 1; ; round += 1) {
    let raiseTo: unknown;
    try {
      const { payload } = await approval({
        id: JSON.stringify(["budget", key.name, unit, limit, origin?.runId ?? "", round]),
        title: `Raise the budget "${label}"?`,
        payload: { ...asked, ...(problem !== undefined && { problem }) },
        allow: ["approve", "edit", "reject"],
      });
      raiseTo =
        typeof payload === "number" ? payload : (payload as Partial<BudgetQuestion>).raiseTo;
    } catch (refusal) {
      if (!(refusal instanceof RejectedError)) throw refusal;
      throw markExhausted(Object.assign(error, { cause: refusal }));
    }
    if (typeof raiseTo === "number" && Number.isFinite(raiseTo) && raiseTo > limit) return raiseTo;
    problem = `The answer was to raise it to ${String(raiseTo)}; it takes a number of more than ${limit}.`;
  }
}
