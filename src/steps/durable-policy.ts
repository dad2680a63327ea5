/** What a durable node is under: the options, and defaults laid under them. */

import { InvalidInputError } from "../errors.ts";
import type { Classifier } from "../policy/classify.ts";
import { checkDeadline, type DeadlinePolicy } from "../policy/deadline.ts";
import { checkKeys, checkOptional, checkWord, shown } from "../policy/options.ts";
import { resolveRetry, type ResolvedRetry, type RetryPolicy } from "../policy/retry-policy.ts";
import { resolveGuards, type GuardPolicies, type NodeGuards } from "./guard-policy.ts";

/** Limits of one attempt, in milliseconds. */
export interface TimeoutPolicy {
  /** How long an attempt may take. */
  runTimeout?: number;
  /** How long it may give no sign of life. */
  idleTimeout?: number;
  /**
   * What is a sign of life. "auto" (default): each write, child task, custom stream chunk and event of
   * a model, tool or chain below the node, and `config.heartbeat()`; "heartbeat": only the last.
   */
  refreshOn?: "auto" | "heartbeat";
}

/** How a node failed, as its fallback gets it. */
export interface Failure {
  error: unknown;
  /** Attempts made. */
  attempts: number;
  signal: AbortSignal;
}

/** The policies of a node. All are optional; durations are milliseconds. */
export interface DurablePolicy<Input = unknown, Output = unknown> extends GuardPolicies {
  /** When, how often and how soon to try again; `false`: never. */
  retry?: RetryPolicy | false;
  /** Says what kind of failure an error is, before the built-in rules do. */
  classify?: Classifier;
  /** Of each attempt. Default: none. */
  timeout?: number | TimeoutPolicy;
  /** How the run's deadline holds here; see `withDeadline`. */
  deadline?: DeadlinePolicy;
  /**
   * The longest wait in process; longer ones become interrupts (`parked`). Setting it turns parking on
   * for this node; otherwise `runToEnd` and the runtime do.
   */
  parkAfter?: number;
  /** Answers in the node's stead once it has failed for good. */
  fallback?: (input: Input, failure: Failure) => Output | Promise<Output>;
}

export interface ResolvedPolicy {
  /** What the node is called in messages where LangGraph names none. */
  readonly name: string;
  readonly retry: ResolvedRetry;
  readonly classify: Classifier | undefined;
  readonly timeout: TimeoutPolicy | undefined;
  readonly reserve: number;
  readonly parkAfter: number | undefined;
  readonly fallback: ((input: unknown, failure: Failure) => unknown) | undefined;
  readonly guards: NodeGuards | undefined;
}

const KEYS: readonly (keyof DurablePolicy)[] = [
  ...(["retry", "classify", "timeout", "deadline", "parkAfter", "fallback"] as const),
  ...(["breaker", "limit", "budget"] as const),
];

/** Later policies come before earlier ones, option by option. @throws {InvalidInputError} */
export function resolvePolicy(
  node: unknown,
  policies: readonly DurablePolicy<never, never>[],
): ResolvedPolicy {
  if (typeof node !== "function" && !(typeof node === "object" && node !== null)) {
    throw new InvalidInputError(
      `durable() takes a node (a function, a runnable or a compiled graph), not ${shown(node)}.`,
    );
  }
  for (const policy of policies) check(policy);
  const own = (key: keyof DurablePolicy): unknown =>
    policies.findLast((policy) => policy[key] !== undefined)?.[key];
  const timeout = own("timeout") as DurablePolicy["timeout"];
  return {
    name: (node as { name?: string }).name ?? "",
    retry: resolveRetry(...policies.map(({ retry }) => (retry === false ? ONCE : retry))),
    classify: own("classify") as Classifier | undefined,
    timeout: typeof timeout === "number" ? { runTimeout: timeout } : timeout,
    reserve: (own("deadline") as DurablePolicy["deadline"])?.reserve ?? 0,
    parkAfter: own("parkAfter") as number | undefined,
    fallback: own("fallback") as ResolvedPolicy["fallback"],
    guards: resolveGuards({
      breaker: own("breaker"),
      limit: own("limit"),
      budget: own("budget"),
    } as GuardPolicies),
  };
}

const ONCE: RetryPolicy = { maxAttempts: 1 };

function check(policy: DurablePolicy<never, never>): void {
  checkKeys("durable()'s policy", policy, KEYS);
  const { timeout, deadline, fallback, classify } = policy;
  if (typeof timeout === "object") {
    checkKeys("timeout", timeout, ["runTimeout", "idleTimeout", "refreshOn"]);
    checkOptional("timeout.runTimeout", timeout.runTimeout, { above: 0 });
    checkOptional("timeout.idleTimeout", timeout.idleTimeout, { above: 0 });
    if (timeout.refreshOn !== undefined) {
      checkWord("timeout.refreshOn", timeout.refreshOn, ["auto", "heartbeat"]);
    }
  } else checkOptional("timeout", timeout, { above: 0 });
  if (deadline !== undefined) checkDeadline("deadline", deadline);
  checkOptional("parkAfter", policy.parkAfter, { atLeast: 0 });
  for (const [name, option] of Object.entries({ fallback, classify })) {
    if (option === undefined || typeof option === "function") continue;
    throw new InvalidInputError(`${name} must be a function, not ${shown(option)}.`);
  }
}
