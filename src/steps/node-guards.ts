/**
 * A durable node under its breaker, limit and budget. Waits for them come before an attempt, and spend
 * none; the deadline ends them, and where parking is on the long ones are parked.
 */

import { originOf } from "../context.ts";
import { classifyWith } from "../policy/classify.ts";
import { workTill } from "../policy/deadline.ts";
import type { RunAddress } from "../step-store.ts";
import { budgetsHere, scopeOf, withBudget, type BudgetScope } from "./budget-scope.ts";
import { accountOf } from "./budgets.ts";
import type { Execution } from "./execution.ts";
import type { NodeGuards } from "./guard-policy.ts";
import { guarded, type Guards } from "./guards.ts";
import { stepName } from "./status.ts";
import { waitIn } from "./wait.ts";

/** @param attempt what is guarded; called once the guards let it through */
export async function underGuards<T>(
  execution: Execution,
  run: RunAddress | undefined,
  attempt: () => Promise<T>,
): Promise<T> {
  const { policy, node, steps, record, parks, parkAfter } = execution;
  if (policy.guards === undefined) return attempt();
  const { breaker, limit } = policy.guards;
  const step = stepName(node);
  const failed = record.series?.failed ?? 0;
  const scope = await budgetScope(execution, policy.guards, run);
  const retries = failed > 0 ? { retries: 1 } : {};
  const guards: Guards = {
    breaker: breaker && { name: breaker.name ?? step, policy: breaker.policy },
    limit: limit && { name: limit.name ?? step, policy: limit.policy },
    budget: scope && {
      scopes: budgetsHere(scope),
      what: `node ${step}`,
      needed: retries,
      used: () => retries,
    },
  };
  return guarded(
    steps,
    guards,
    {
      wait: (at, reason, options) => waitIn(execution, at, reason, options),
      whileOpen: policy.fallback === undefined ? "wait" : "fail",
      classify: (error) => classifyWith(policy.classify, error, { now: steps.clock.now() }),
      signal: node.signal,
      giveUpAt: giveUpAt(execution),
      place: JSON.stringify([node.task.threadId, node.task.taskId]),
      parkAfter: parks ? parkAfter : undefined,
      trialsCount: !parks,
      attempts: failed,
      origin: originOf(node, run?.runId),
    },
    () => (scope === undefined ? attempt() : withBudget(scope, attempt)),
  );
}

/** No attempt may begin then any more. */
function giveUpAt({ policy, deadlineAt, record, steps }: Execution): number {
  const { maxElapsed = Infinity } = policy.retry;
  const startedAt = record.series?.startedAt ?? steps.clock.now();
  return Math.min(startedAt + maxElapsed, workTill(deadlineAt, policy.reserve));
}

async function budgetScope(
  { node, steps }: Execution,
  { budget }: NodeGuards,
  known: RunAddress | undefined,
): Promise<BudgetScope | undefined> {
  if (budget === undefined) return undefined;
  const { threadId } = node.task;
  const run = known ?? (await steps.runs.of(threadId, node.rootCheckpointId));
  const place = { threadId, runId: run.runId, node: stepName(node) };
  return scopeOf(budget, accountOf(budget.policy, place));
}
