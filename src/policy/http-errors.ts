/**
 * What an HTTP answer means, as the clients of OpenAI, Anthropic and others report it: a status, and
 * the codes and types of the body. Never the message.
 */

import type { Finding } from "./kinds.ts";
import { isObject, toldToRetry, toldWait, wait } from "./told.ts";

/** Codes and types that say more than the status does. */
const SPOKEN: ReadonlyArray<{ finding: Finding; words: readonly string[] }> = [
  {
    finding: { kind: "quota", why: "the account's quota is used up", final: true },
    words: [
      ...["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"],
      ...["billing_error", "enforced_spend_limit_reached"],
    ],
  },
  {
    finding: { kind: "context-overflow", why: "the input is too long for the model", final: true },
    words: ["context_length_exceeded", "request_too_large"],
  },
  {
    finding: { kind: "invalid", why: "a content filter refused it", final: true },
    words: ["content_filter", "content_policy_violation"],
  },
  {
    finding: { kind: "overloaded", why: "the provider is overloaded" },
    words: ["overloaded_error", "engine_overloaded"],
  },
];

/** What remains to be said by codes where there is no status: errors in the middle of a stream. */
const SPOKEN_WITHOUT_STATUS: ReadonlyArray<{ finding: Finding; words: readonly string[] }> = [
  {
    finding: { kind: "rate-limit", why: "the rate limit is reached" },
    words: ["rate_limit_exceeded", "rate_limit_error"],
  },
  {
    finding: { kind: "server", why: "the server failed" },
    words: ["server_error", "api_error", "internal_error"],
  },
  {
    finding: { kind: "timeout", why: "the server's time was up" },
    words: ["timeout_error"],
  },
  {
    finding: { kind: "invalid", why: "the request was refused" },
    words: [
      ...["invalid_request_error", "authentication_error", "permission_error", "not_found_error"],
      "invalid_prompt",
    ],
  },
];

/** LangChain's own codes, which it puts on errors that it rethrows or makes. */
const LANGCHAIN: Readonly<Record<string, Finding>> = {
  MODEL_RATE_LIMIT: { kind: "rate-limit", why: "the rate limit is reached" },
  MODEL_AUTHENTICATION: { kind: "invalid", why: "the request was refused" },
  MODEL_NOT_FOUND: { kind: "invalid", why: "there is no such model" },
  INVALID_TOOL_RESULTS: { kind: "invalid", why: "the request was refused" },
};

/** After these the request may have been performed all the same, or is being performed. */
const UNCERTAIN = new Set([408, 409, 499]);

/** What an error says of an HTTP answer; undefined for one that tells of none. */
export function httpFinding(error: object, now: number): Finding | undefined {
  const status = statusOf(error);
  const words = wordsOf(error);
  const spoken = said(SPOKEN, words) ?? ofStatus(status) ?? said(SPOKEN_WITHOUT_STATUS, words);
  const found = spoken ?? LANGCHAIN[String((error as { lc_error_code?: unknown }).lc_error_code)];
  if (found === undefined) return undefined;

  const retryAfter = toldWait(error, now) ?? langChainsWait(error);
  // LangChain read the message of a 429 here, and found that waiting is no use.
  const stopped = (error as { rateLimitType?: unknown }).rateLimitType === "stop";
  const finding: Finding = stopped
    ? { kind: "quota", why: "the account's quota is used up" }
    : { ...found };
  if (retryAfter !== undefined) finding.retryAfter = retryAfter;
  const told = toldToRetry(error);
  if (told !== undefined && !finding.final) finding.retryable = told;
  if (status !== undefined) {
    finding.why = `HTTP ${status}: ${finding.why}`;
    finding.notPerformed = status >= 400 && status < 500 && !UNCERTAIN.has(status);
  }
  return finding;
}

function ofStatus(status: number | undefined): Finding | undefined {
  if (status === undefined || status < 400 || status > 599) return undefined;
  if (status === 429) return { kind: "rate-limit", why: "the rate limit is reached" };
  if (status === 402) return { kind: "quota", why: "a payment is due" };
  if (status === 408) return { kind: "timeout", why: "the server's time was up" };
  // OpenAI's and Anthropic's clients try these again: somebody else holds a lock.
  if (status === 409) return { kind: "server", why: "a conflict with another request" };
  if (status === 425) return { kind: "server", why: "the server wants it later" };
  if (status === 529) return { kind: "overloaded", why: "the provider is overloaded" };
  if (status >= 500) return { kind: "server", why: "the server failed" };
  return { kind: "invalid", why: "the request was refused" };
}

function statusOf(error: object): number | undefined {
  const { status, statusCode, response, $metadata } = error as Record<string, unknown>;
  const candidates = [
    status,
    statusCode,
    isObject(response) ? response["status"] : undefined,
    isObject(response) ? response["statusCode"] : undefined,
    isObject($metadata) ? $metadata["httpStatusCode"] : undefined,
  ];
  return candidates.find((candidate): candidate is number => typeof candidate === "number");
}

/** Codes and types of an error and of the body that it carries, however deep its client put it. */
function wordsOf(error: object): Set<string> {
  const { response } = error as { response?: unknown };
  const words = new Set<string>();
  const collect = (value: unknown, depth: number): void => {
    if (!isObject(value) || depth > 3) return;
    for (const key of ["code", "type", "error_code"]) {
      const word = value[key];
      if (typeof word === "string") words.add(word.toLowerCase());
    }
    collect(value["error"], depth + 1);
    collect(value["details"], depth + 1);
  };
  collect(error, 0);
  if (isObject(response)) collect(response["data"], 0);
  return words;
}

function said(
  table: ReadonlyArray<{ finding: Finding; words: readonly string[] }>,
  words: ReadonlySet<string>,
): Finding | undefined {
  return table.find((row) => row.words.some((word) => words.has(word)))?.finding;
}

/** What LangChain read from the answer and put beside it. */
function langChainsWait(error: object): number | undefined {
  const { retryAfterMs } = error as { retryAfterMs?: unknown };
  return typeof retryAfterMs === "number" ? wait(retryAfterMs) : undefined;
}
