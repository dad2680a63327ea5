/** What a durable model is under: the options, and their defaults. */

import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import type { Clock } from "../../clock.ts";
import { InvalidInputError } from "../../errors.ts";
import type { BreakerPolicy } from "../../policy/breaker.ts";
import type { Classifier } from "../../policy/classify.ts";
import { checkKeys, checkOptional, checkWord, shown } from "../../policy/options.ts";
import { checkPrices, type PriceTable } from "../../policy/prices.ts";
import { resolveRetry, type ResolvedRetry, type RetryPolicy } from "../../policy/retry-policy.ts";
import { resolveGuards, type GuardPolicies, type NodeGuards } from "../guard-policy.ts";

/** The policies of a model. All are optional; durations are milliseconds. */
export interface ModelPolicy extends Omit<GuardPolicies, "breaker"> {
  /** When, how often and how soon to ask again; default 4 attempts; `false`: never. */
  retry?: Omit<RetryPolicy, "onExhausted" | "parkFor"> | false;
  /** Says what kind of failure an error is, before the built-in rules do. */
  classify?: Classifier;
  /**
   * How long the provider may say nothing: until the answer, or between two pieces of a streamed one.
   * Default 30_000; long answers that are not streamed want 90_000.
   */
  httpTimeout?: number;
  /** How long one attempt may take in all. Default: no limit. */
  timeout?: number;
  /** Default: on, by the name `provider:model`. `false`: none. */
  breaker?: string | BreakerPolicy | false;
  /** What tokens cost, where the default table has no price for the model, or another one. */
  prices?: PriceTable;
  /** Output tokens that a budget keeps for a call of a model without a `maxTokens`; default 4_096. */
  outputTokens?: number;
  /**
   * Models that answer in its stead when it failed for good, or its breaker is open; in this order, and
   * only those whose own breakers are closed.
   */
  fallbacks?: readonly BaseChatModel[];
  /**
   * What `stream()` does. "live" hands on each piece as it comes, and a failure after the first is final:
   * what was handed on cannot be taken back. "whole" hands on an attempt's pieces once it succeeded.
   * Default: "whole" in a node of a graph, "live" elsewhere. Callbacks hear each token as it comes.
   */
  stream?: "live" | "whole";
  /** For tests, outside of a graph; in one its saver's counts. */
  clock?: Clock;
}

export interface ResolvedModelPolicy {
  readonly retry: ResolvedRetry;
  readonly classify: Classifier | undefined;
  readonly httpTimeout: number;
  readonly timeout: number | undefined;
  /** Without names, which are each model's own. */
  readonly guards: NodeGuards;
  readonly prices: PriceTable | undefined;
  readonly outputTokens: number;
  readonly stream: "live" | "whole" | undefined;
  readonly clock: Clock | undefined;
}

const HTTP_TIMEOUT = 30_000;
const OUTPUT_TOKENS = 4_096;

const KEYS: readonly (keyof ModelPolicy)[] = [
  ...(["retry", "classify", "httpTimeout", "timeout", "breaker", "limit", "budget"] as const),
  ...(["prices", "outputTokens", "fallbacks", "stream", "clock"] as const),
];

/** @throws {InvalidInputError} an option is unknown, or out of its bounds */
export function resolveModelPolicy(policy: ModelPolicy): ResolvedModelPolicy {
  checkKeys("durableModel()'s policy", policy, KEYS);
  const { retry, classify, httpTimeout, timeout, breaker, limit, budget } = policy;
  const { prices, outputTokens, fallbacks, stream, clock } = policy;
  checkNoParking("durableModel", retry);
  checkOptional("httpTimeout", httpTimeout, { above: 0 });
  checkOptional("timeout", timeout, { above: 0 });
  checkOptional("outputTokens", outputTokens, { atLeast: 0, whole: true });
  if (stream !== undefined) checkWord("stream", stream, ["live", "whole"]);
  if (prices !== undefined) checkPrices("prices", prices);
  if (classify !== undefined && typeof classify !== "function") {
    throw new InvalidInputError(`classify must be a function, not ${shown(classify)}.`);
  }
  if (fallbacks !== undefined && !Array.isArray(fallbacks)) {
    throw new InvalidInputError(
      `fallbacks must be a list of chat models, not ${shown(fallbacks)}.`,
    );
  }
  return {
    retry: resolveRetry(retry === false ? { maxAttempts: 1 } : retry),
    classify,
    httpTimeout: httpTimeout ?? HTTP_TIMEOUT,
    timeout,
    guards: resolveOwnGuards({ breaker, limit, budget }),
    prices,
    outputTokens: outputTokens ?? OUTPUT_TOKENS,
    stream,
    clock,
  };
}

interface OwnGuards {
  breaker?: string | BreakerPolicy | false | undefined;
  limit?: GuardPolicies["limit"] | undefined;
  budget?: GuardPolicies["budget"] | undefined;
}

/** With a breaker unless there shall be none. @throws {InvalidInputError} */
export function resolveOwnGuards({ breaker = {}, limit, budget }: OwnGuards): NodeGuards {
  const given: GuardPolicies = {
    ...(breaker !== false && { breaker }),
    ...(limit !== undefined && { limit }),
    ...(budget !== undefined && { budget }),
  };
  return resolveGuards(given) ?? { breaker: undefined, limit: undefined, budget: undefined };
}

/** @throws {InvalidInputError} the policy asks for what only a node can do */
export function checkNoParking(what: string, retry: object | false | undefined): void {
  if (typeof retry !== "object" || !("onExhausted" in retry || "parkFor" in retry)) return;
  throw new InvalidInputError(
    `${what}() knows no onExhausted and no parkFor: the node that it is called in has them, as ` +
      "durable(node, { retry }).",
  );
}
