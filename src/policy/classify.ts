/**
 * What kind of failure an error is, decided by codes, statuses and classes; never by what a message
 * says where one of these exists.
 *
 * Invariants
 *   C1  Only what is known to pass by itself is retryable: what is not known here is terminal.
 *   C2  What an inner policy has given up on is terminal for all others, however it was wrapped.
 *   C3  `notPerformed` is proof. Where a request may have arrived it is false.
 *   C4  An abort by the run's own signal, and LangGraph's control flow, are no failures.
 *
 * An error is looked at from the outside in: what it says itself, then its causes, then what its class
 * says. So undici's `TypeError: fetch failed` is what its cause is, and a bare `TypeError` a bug.
 */

import { systemClock } from "../clock.ts";
import { isExhausted, isFree, isHoldfastError, type HoldfastError } from "../errors.ts";
import { httpFinding } from "./http-errors.ts";
import { isTransient, type Classification, type ErrorKind, type Finding } from "./kinds.ts";
import { networkFinding } from "./network-errors.ts";
import { isObject, wait } from "./told.ts";

export { ERROR_KINDS, isTransient } from "./kinds.ts";
export type { Classification, ErrorKind } from "./kinds.ts";

export interface ClassifyContext {
  /** Milliseconds since the epoch, for `Retry-After` dates; default: the system's. */
  now?: number;
}

/** What a classifier of the user's says of an error: the kind, and what of it is not as usual. */
export interface Verdict {
  kind: ErrorKind;
  /** Default: as usual for the kind. */
  retryable?: boolean;
  /** Milliseconds. */
  retryAfter?: number;
  reason?: string;
  /** Default: false. */
  notPerformed?: boolean;
}

/** The user's own classification; what it leaves `undefined` is classified as by default. */
export type Classifier = (error: unknown, context: ClassifyContext) => Verdict | undefined;

/** Errors within errors end somewhere; a cycle of causes too. */
const MAX_DEPTH = 8;

/** Says what kind of failure an error is, and whether another attempt may help. */
export function classify(error: unknown, context: ClassifyContext = {}): Classification {
  const now = context.now ?? systemClock.now();
  const finding = look(error, now, 0) ?? {
    kind: "unknown",
    why: "nothing known to pass by itself",
  };
  return conclude(error, finding);
}

/** The same, with the user's classifier first. */
export function classifyWith(
  classifier: Classifier | undefined,
  error: unknown,
  context: ClassifyContext = {},
): Classification {
  const verdict = classifier?.(error, context);
  if (verdict === undefined) return classify(error, context);
  const { reason = "said by the policy's own classify", ...rest } = verdict;
  return conclude(error, { ...rest, why: reason });
}

/**
 * False for what is thrown without anything having failed: LangGraph's own control flow
 * (interrupts, parent commands, drains), and the run's abort.
 */
export function isFailure(error: unknown, signal?: AbortSignal): boolean {
  return !isBubbleUp(error) && !isAbortBy(error, signal);
}

/** LangGraph's `GraphBubbleUp` and its kin, of any copy of the package. */
export function isBubbleUp(error: unknown): boolean {
  return isObject(error) && error["is_bubble_up"] === true;
}

/** True for what code throws since this signal was aborted: its reason, or what a client made of it. */
export function isAbortBy(error: unknown, signal: AbortSignal | undefined): boolean {
  if (signal?.aborted !== true) return false;
  const reason: unknown = signal.reason;
  if (error === reason) return true;
  // LangChain makes an error of a reason that is none, and an error of its own where it can't.
  if (error instanceof Error && typeof reason === "string" && error.message === reason) return true;
  return chainOf(error).some((part) => part === reason || isAbort(part));
}

function conclude(error: unknown, finding: Finding): Classification {
  const chain = chainOf(error);
  const exhausted = chain.some(isExhausted);
  const { kind, why, retryAfter } = finding;
  const base = {
    kind,
    retryable: !exhausted && (finding.retryable ?? isTransient(kind)),
    reason: exhausted ? `${why}; a policy within has given up` : why,
    notPerformed: finding.notPerformed ?? false,
    counted: (finding.counted ?? true) && !chain.some(isFree),
    exhausted,
  };
  return retryAfter === undefined ? base : { ...base, retryAfter };
}

function look(error: unknown, now: number, depth: number): Finding | undefined {
  if (!isObject(error) || depth > MAX_DEPTH) return undefined;
  return (
    (isHoldfastError(error) ? own(error, now) : undefined) ??
    frameworks(error) ??
    httpFinding(error, now) ??
    networkFinding(error) ??
    lookAtAll(error["errors"], now, depth) ??
    look(error["cause"], now, depth + 1) ??
    byClass(error)
  );
}

/** Of several errors at once: transient only if all are, done by none only if none did it. */
function lookAtAll(errors: unknown, now: number, depth: number): Finding | undefined {
  if (!Array.isArray(errors) || errors.length === 0) return undefined;
  const found = errors.map((error: unknown) => look(error, now, depth + 1));
  const known = found.filter((finding) => finding !== undefined);
  if (known.length < found.length) return undefined;
  const worst = known.find((one) => !(one.retryable ?? isTransient(one.kind))) ?? known[0];
  return worst && { ...worst, notPerformed: known.every((one) => one.notPerformed === true) };
}

/** Errors of holdfast. */
function own(error: HoldfastError, now: number): Finding {
  const { retryAt, waited } = error as { retryAt?: unknown; waited?: unknown };
  const finding: Finding = { kind: "invalid", why: error.code, retryable: false };
  switch (error.code) {
    case "ATTEMPT_TIMEOUT":
      return { kind: "timeout", why: "the attempt's time was up" };
    case "BREAKER_OPEN":
    case "LIMIT_EXCEEDED": {
      const after = typeof retryAt === "number" ? wait(retryAt - now) : undefined;
      return {
        kind: error.code === "BREAKER_OPEN" ? "overloaded" : "rate-limit",
        why: error.code === "BREAKER_OPEN" ? "the breaker is open" : "the limit had no room",
        notPerformed: true,
        counted: false,
        ...(after !== undefined && { retryAfter: after }),
      };
    }
    case "BUDGET_EXCEEDED":
      return { kind: "quota", why: "the budget is spent", notPerformed: true, counted: false };
    case "DEADLINE_EXCEEDED":
      return {
        kind: "timeout",
        why: "the run's deadline is past",
        retryable: false,
        counted: false,
      };
    case "DATABASE_UNAVAILABLE":
      return {
        kind: "network",
        why: "the database could not be reached",
        retryable: waited !== undefined,
      };
    default:
      return finding;
  }
}

/** LangGraph's and LangChain's classes, which name what they mean. */
function frameworks(error: Record<string, unknown>): Finding | undefined {
  const names = namesOf(error);
  if (isBubbleUp(error)) return { kind: "unknown", why: "LangGraph's control flow, no failure" };
  if (names.has("NodeTimeoutError")) return { kind: "timeout", why: "the node's time was up" };
  if (names.has("ContextOverflowError")) {
    const { notPerformed } = httpFinding(Object(error["cause"]) as object, 0) ?? {};
    return {
      kind: "context-overflow",
      why: "the input is too long for the model",
      ...(notPerformed !== undefined && { notPerformed }),
    };
  }
  if (names.has("ContentFilterFinishReasonError")) {
    return { kind: "invalid", why: "a content filter refused it" };
  }
  if (names.has("APIConnectionTimeoutError") || names.has("TimeoutError")) {
    return { kind: "timeout", why: "no answer in time" };
  }
  return undefined;
}

/** What is left to a class where neither the error nor its causes said more. */
function byClass(error: Record<string, unknown>): Finding | undefined {
  const names = namesOf(error);
  if (names.has("APIConnectionError") || names.has("HTTPParserError")) {
    return { kind: "network", why: "the connection failed" };
  }
  if (isAbort(error)) return { kind: "unknown", why: "aborted, though not by the run" };
  if (BUGS.some((bug) => names.has(bug))) return { kind: "bug", why: `a ${String(error["name"])}` };
  if (INVALID.some((name) => names.has(name))) {
    return { kind: "invalid", why: `a ${String(error["name"])}` };
  }
  // LangChain's integrations mark errors that they know to pass: one kind is as good as another.
  const stamp = Object.getOwnPropertyDescriptor(error, Symbol.for("langchain.errors.retryable"));
  return stamp?.value === true
    ? { kind: "server", why: "marked retryable by LangChain" }
    : undefined;
}

const BUGS = [
  ...["TypeError", "ReferenceError", "SyntaxError", "RangeError", "EvalError", "URIError"],
  ...["AssertionError", "DataCloneError"],
];

const INVALID = [
  ...["ZodError", "$ZodError", "ToolInputParsingException", "OutputParserException"],
  ...["GraphRecursionError", "GraphValueError", "InvalidUpdateError", "LengthFinishReasonError"],
];

function isAbort(error: unknown): boolean {
  if (!isObject(error)) return false;
  const names = namesOf(error);
  return ["AbortError", "APIUserAbortError", "ModelAbortError"].some((name) => names.has(name));
}

/** An error's name and those of its classes: several copies of a package are normal. */
function namesOf(error: object): Set<string> {
  const names = new Set<string>();
  const { name } = error as { name?: unknown };
  if (typeof name === "string") names.add(name);
  for (
    let prototype: unknown = Object.getPrototypeOf(error);
    isObject(prototype);
    prototype = Object.getPrototypeOf(prototype)
  ) {
    const maker: unknown = Object.getOwnPropertyDescriptor(prototype, "constructor")?.value;
    if (typeof maker === "function" && maker.name !== "") names.add(maker.name);
  }
  return names;
}

/** An error, its causes and what it gathers, outermost first. */
function chainOf(error: unknown): unknown[] {
  const chain: unknown[] = [];
  const add = (part: unknown, depth: number): void => {
    if (part === undefined || part === null || chain.includes(part) || depth > MAX_DEPTH) return;
    chain.push(part);
    if (!isObject(part)) return;
    add(part["cause"], depth + 1);
    if (Array.isArray(part["errors"])) for (const one of part["errors"]) add(one, depth + 1);
  };
  add(error, 0);
  return chain;
}
