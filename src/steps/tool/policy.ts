/** What a durable tool is under: the options, and their defaults. */

import type { Clock } from "../../clock.ts";
import type { Reconciled, SettlingContext } from "../../effects/types.ts";
import { InvalidInputError } from "../../errors.ts";
import type { BreakerPolicy } from "../../policy/breaker.ts";
import type { BudgetPolicy } from "../../policy/budget.ts";
import type { Classifier } from "../../policy/classify.ts";
import { checkKeys, checkOptional, checkWord } from "../../policy/options.ts";
import { resolveRetry, type ResolvedRetry, type RetryPolicy } from "../../policy/retry-policy.ts";
import type { GuardPolicies, NodeGuards } from "../guard-policy.ts";
import { checkNoParking, resolveOwnGuards } from "../model/policy.ts";

interface ToolPolicyBase extends Omit<GuardPolicies, "breaker" | "budget"> {
  /** When, how often and how soon to try again; default 4 attempts; `false`: never. */
  retry?: Omit<RetryPolicy, "onExhausted" | "parkFor"> | false;
  /** Retries of all calls of the tool in one run together; default 3. */
  retriesPerRun?: number;
  /** Says what kind of failure an error is; `notPerformed` is proof that nothing was done. */
  classify?: Classifier;
  /** Of each attempt, in milliseconds. Default: no limit. */
  timeout?: number;
  /** Default: on, by the tool's name. `false`: none. */
  breaker?: string | BreakerPolicy | false;
  /**
   * What all its calls in a run (or thread, or node) may cost: `calls` and `retries` of the tool, `usd` and
   * `tokens` of models that it asks. Default name: the tool's, so that each tool has its own; with a key
   * of yours the budget is that of the key.
   */
  budget?: BudgetPolicy;
  /**
   * What a failure for good becomes: a ToolMessage with status "error", which the model reads (default),
   * or an exception. LangGraph's ToolNode makes a message of exceptions, too, unless it is told not to.
   */
  onFailure?: "message" | "throw";
  /** How long the receiver remembers idempotency keys, in milliseconds; default 24 hours. */
  dedupeWindow?: number;
  /** For tests, outside of a graph; in one its saver's counts. */
  clock?: Clock;
}

/**
 * The policies of a tool. What is done about a call whose outcome nobody knows (a crash, a timeout, a
 * lost connection) has no default: it is looked up (`reconcile`), repeated, or a person is asked. A tool
 * that only reads takes `onUnknown: "repeat"`.
 */
export type ToolPolicy<Args = Record<string, unknown>, Result = unknown> = ToolPolicyBase &
  (
    | {
        /** What became of it? */
        reconcile: (
          args: Args,
          context: SettlingContext,
        ) => Promise<Reconciled<Result>> | Reconciled<Result>;
        onUnknown?: "ask";
      }
    | { reconcile?: undefined; onUnknown: "repeat" | "ask" }
  );

export interface ResolvedToolPolicy {
  readonly retry: ResolvedRetry;
  readonly retriesPerRun: number;
  readonly classify: Classifier | undefined;
  readonly timeout: number | undefined;
  readonly guards: NodeGuards;
  readonly onFailure: "message" | "throw";
  readonly onUnknown: "repeat" | "ask";
  readonly reconcile: ToolPolicy["reconcile"];
  readonly dedupeWindow: number;
  readonly clock: Clock | undefined;
}

const RETRIES_PER_RUN = 3;
/** As long as Stripe remembers a key. */
const DEDUPE_WINDOW = 24 * 60 * 60 * 1_000;

const KEYS = [
  ...(["retry", "retriesPerRun", "classify", "timeout", "breaker", "limit", "budget"] as const),
  ...(["onFailure", "onUnknown", "reconcile", "dedupeWindow", "clock"] as const),
];

/** @throws {InvalidInputError} an option is missing, unknown, or out of its bounds */
export function resolveToolPolicy(name: string, policy: ToolPolicy): ResolvedToolPolicy {
  checkKeys("durableTool()'s policy", policy, KEYS);
  const { retry, retriesPerRun, classify, timeout, breaker, limit, budget } = policy;
  const { onFailure, reconcile, dedupeWindow, clock } = policy;
  const onUnknown: string | undefined = policy.onUnknown;
  checkNoParking("durableTool", retry);
  checkOptional("retriesPerRun", retriesPerRun, { atLeast: 0, whole: true });
  checkOptional("timeout", timeout, { above: 0 });
  checkOptional("dedupeWindow", dedupeWindow, { atLeast: 0 });
  if (onFailure !== undefined) checkWord("onFailure", onFailure, ["message", "throw"]);
  for (const [key, value] of Object.entries({ reconcile, classify })) {
    if (value === undefined || typeof value === "function") continue;
    throw new InvalidInputError(`\`${key}\` of the tool "${name}" must be a function.`);
  }
  if (reconcile === undefined && onUnknown === undefined) {
    throw new InvalidInputError(
      `The durable tool "${name}" must say what is done when nobody knows whether a call was performed: ` +
        '`onUnknown: "repeat"` calls it again (right for tools that only read), `onUnknown: "ask"` asks a ' +
        "person, `reconcile` looks it up. There is no default.",
    );
  }
  if (onUnknown !== undefined) checkWord("onUnknown", onUnknown, ["repeat", "ask"]);
  if (reconcile !== undefined && onUnknown === "repeat") {
    throw new InvalidInputError(
      `The durable tool "${name}" has \`reconcile\`, which decides what is unknown: ` +
        '`onUnknown: "repeat"` would have no say. Leave one of them out.',
    );
  }
  return {
    retry: resolveRetry(retry === false ? { maxAttempts: 1 } : retry),
    retriesPerRun: retriesPerRun ?? RETRIES_PER_RUN,
    classify,
    timeout,
    guards: resolveOwnGuards({ breaker, limit, budget: budget && named(budget, name) }),
    onFailure: onFailure ?? "message",
    onUnknown: policy.onUnknown ?? "ask",
    reconcile,
    dedupeWindow: dedupeWindow ?? DEDUPE_WINDOW,
    clock,
  };
}

function named(budget: BudgetPolicy, name: string): BudgetPolicy {
  return typeof budget.per === "object" ? budget : { ...budget, name: budget.name ?? name };
}
