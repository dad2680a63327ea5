/** The breaker, limit and budget of a policy, as users write them and as they are carried out. */

import { resolveBreaker, type BreakerPolicy, type ResolvedBreaker } from "../policy/breaker.ts";
import { resolveBudget, type BudgetLimits, type BudgetPolicy } from "../policy/budget.ts";
import { resolveLimit, type LimitPolicy, type ResolvedLimit } from "../policy/limit.ts";
import { checkName } from "../policy/options.ts";

export interface GuardPolicies {
  /** Leaves an upstream alone that fails too often; by its name, or with options. Default name: the node's. */
  breaker?: string | BreakerPolicy;
  /** How many calls at once, or in a time. Default name: the node's. */
  limit?: LimitPolicy;
  /** What the node, with all models and tools called in it, may cost. */
  budget?: BudgetPolicy;
}

export interface NodeGuards {
  breaker: { name: string | undefined; policy: ResolvedBreaker } | undefined;
  limit: { name: string | undefined; policy: ResolvedLimit } | undefined;
  budget: { policy: BudgetPolicy; limits: BudgetLimits } | undefined;
}

/** Undefined where there are none. @throws {InvalidInputError} */
export function resolveGuards({ breaker, limit, budget }: GuardPolicies): NodeGuards | undefined {
  if (breaker === undefined && limit === undefined && budget === undefined) return undefined;
  const breakerPolicy = typeof breaker === "string" ? { name: breaker } : breaker;
  return {
    breaker: breakerPolicy && {
      name: checkName("breaker.name", breakerPolicy.name),
      policy: resolveBreaker("breaker", breakerPolicy),
    },
    limit: limit && {
      name: checkName("limit.name", limit.name),
      policy: resolveLimit("limit", limit),
    },
    budget: budget && { policy: budget, limits: resolveBudget("budget", budget) },
  };
}
