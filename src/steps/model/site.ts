/** Where a model or a tool is called: in a node, under its attempt and its budgets; or in plain code. */

import { anySignal } from "../../abort.ts";
import type { Clock } from "../../clock.ts";
import { currentAttempt, currentNode, originOf, type NodeContext } from "../../context.ts";
import type { EventOrigin } from "../../events.ts";
import { randomTag } from "../../ids.ts";
import type { StepStore } from "../../step-store.ts";
import { budgetsHere, scopeOf, type BudgetScope } from "../budget-scope.ts";
import { accountOf } from "../budgets.ts";
import type { NodeGuards } from "../guard-policy.ts";
import type { Wait } from "../limits.ts";
import { memorySteps } from "../memory.ts";
import { stepName } from "../status.ts";
import { stepsOf } from "../steps-of.ts";
import { parkingOf, waitUntil } from "../wait.ts";

export interface CallSite {
  /** Undefined outside of graphs. */
  readonly node: NodeContext | undefined;
  readonly steps: StepStore;
  readonly place: {
    threadId: string | undefined;
    runId: string | undefined;
    node: string | undefined;
  };
  readonly origin: EventOrigin;
  /** The caller's, the attempt's and the run's. */
  readonly signal: AbortSignal | undefined;
  readonly deadlineAt: number | undefined;
  readonly wait: Wait;
  /** Where waits are parked: the longest that is not. */
  readonly parkAfter: number | undefined;
  /** The longest wait between attempts; a longer one is left to the durable node around. */
  readonly longestWait: number | undefined;
  /** Its own, and those that hold around it. */
  readonly budgets: readonly BudgetScope[];
  readonly ownBudget: BudgetScope | undefined;
}

/** What models and tools called outside of graphs share: in memory, for as long as the process lives. */
const withoutGraph = new WeakMap<Clock, StepStore>();
let plain: StepStore | undefined;

function stepsWithoutGraph(clock: Clock | undefined): StepStore {
  if (clock === undefined) return (plain ??= memorySteps());
  const known = withoutGraph.get(clock) ?? memorySteps({ clock });
  withoutGraph.set(clock, known);
  return known;
}

/** Tells one object's budget, outside of a run, from another's. */
const budgetNames = new WeakMap<object, string>();

export async function siteHere(
  owner: object,
  { budget }: NodeGuards,
  { signal, clock }: { signal?: AbortSignal | undefined; clock?: Clock | undefined },
): Promise<CallSite> {
  const node = currentNode();
  if (node === undefined) return plainSite(owner, budget, signal, stepsWithoutGraph(clock));
  const attempt = currentAttempt();
  const steps = stepsOf(node);
  const { threadId } = node.task;
  const run =
    node.saver === undefined ? undefined : await steps.runs.of(threadId, node.rootCheckpointId);
  const place = { threadId, runId: run?.runId, node: stepName(node) };
  const own = budget && scopeOf(budget, accountOf(budget.policy, place));
  const parking = attempt ?? parkingOf(node);
  const parkAfter = parking.parks ? parking.parkAfter : undefined;
  return {
    ...{ node, steps, place },
    origin: originOf(node, run?.runId),
    signal: anySignal(signal, attempt?.signal, node.signal),
    deadlineAt: attempt?.deadlineAt,
    wait: waitUntil,
    parkAfter,
    longestWait: attempt === undefined ? undefined : parkAfter,
    budgets: budgetsHere(own),
    ownBudget: own,
  };
}

function plainSite(
  owner: object,
  budget: NodeGuards["budget"],
  signal: AbortSignal | undefined,
  steps: StepStore,
): CallSite {
  const own = budget && plainBudget(owner, budget);
  return {
    node: undefined,
    steps,
    place: { threadId: undefined, runId: undefined, node: undefined },
    origin: {},
    signal,
    deadlineAt: undefined,
    wait: async (at, _, { signal: own }) =>
      steps.clock.sleep(at - steps.clock.now(), anySignal(signal, own)),
    parkAfter: undefined,
    longestWait: undefined,
    budgets: budgetsHere(own),
    ownBudget: own,
  };
}

/** Where there is no run whose budget it could be, it is that of the model or tool in this process. */
function plainBudget(
  owner: object,
  { policy, limits }: NonNullable<NodeGuards["budget"]>,
): BudgetScope {
  if (typeof policy.per === "object") return scopeOf({ policy, limits }, accountOf(policy, {}));
  const name = budgetNames.get(owner) ?? randomTag();
  budgetNames.set(owner, name);
  return scopeOf({ policy, limits }, { key: { name }, label: policy.name ?? "budget" });
}
