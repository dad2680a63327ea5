/** When to try again, as users write it and as it is carried out: the options, their defaults, checks. */

import { InvalidInputError } from "../errors.ts";
import { DEFAULT_JITTER, type Curve, type Jitter } from "./backoff.ts";
import { ERROR_KINDS, isTransient, type Classification, type ErrorKind } from "./kinds.ts";
import { checkKeys, checkNumber, checkOptional, checkWord, shown } from "./options.ts";

/** How waits grow. Durations are milliseconds. */
export interface CurveOptions {
  /** The first wait; default 1_000, but 250 after network and server errors, 5_000 after rate limits. */
  initialInterval?: number;
  /** Each wait is so many times the one before; default 2, at least 1. */
  backoffFactor?: number;
  /** No wait on the curve is longer; default 30_000. Waits that the other side asks for are. */
  maxInterval?: number;
  /** Default 0.3: up to 30 % longer or shorter. */
  jitter?: Jitter;
}

/** A class of errors. */
export type ErrorClass = abstract new (...args: never[]) => Error;

/** A method, so that a predicate may ask for the type of errors that it knows. */
type Predicate = { test(error: unknown): boolean }["test"];

/** Which failures are tried again: a predicate (as in LangGraph), or a list of kinds and classes. */
export type RetryOn = Predicate | ErrorClass | readonly (ErrorKind | ErrorClass)[];

/** When to try again. A superset of LangGraph's `RetryPolicy`. Durations are milliseconds. */
export interface RetryPolicy extends CurveOptions {
  /** All attempts, the first included; default 4. */
  maxAttempts?: number;
  /** No attempt begins later than so long after the first; default: no limit. */
  maxElapsed?: number;
  /** Default: what `classify` finds retryable. What a policy within gave up on is never tried again. */
  retryOn?: RetryOn;
  /** Curves of their own for kinds of errors. */
  byKind?: Partial<Record<ErrorKind, CurveOptions>>;
  /**
   * When all attempts are used up: "fail" (default), or "park": wait for `parkFor`, and begin a new
   * series of attempts. Errors that are not retryable fail in any case.
   */
  onExhausted?: "fail" | "park";
  /** Default 300_000. */
  parkFor?: number;
  /** LangGraph's, without effect: an event tells of each failed attempt. */
  logWarning?: boolean;
}

/** A policy with every option set and checked. */
export interface ResolvedRetry {
  readonly maxAttempts: number;
  readonly maxElapsed: number | undefined;
  readonly onExhausted: "fail" | "park";
  readonly parkFor: number;
  curve(kind: ErrorKind): Curve;
  retries(error: unknown, classification: Classification): boolean;
}

export const RETRY_DEFAULTS = {
  maxAttempts: 4,
  initialInterval: 1_000,
  backoffFactor: 2,
  maxInterval: 30_000,
  jitter: DEFAULT_JITTER,
  parkFor: 300_000,
} as const;

/** Where these begin unless the user says how waits begin. */
const INITIAL_BY_KIND: Partial<Record<ErrorKind, number>> = {
  network: 250,
  server: 250,
  "rate-limit": 5_000,
};

/** More attempts than this on something that is paid for each time deserve a word. */
const MANY_ATTEMPTS = 5;

const CURVE_KEYS = ["initialInterval", "backoffFactor", "maxInterval", "jitter"] as const;
const KEYS: readonly (keyof RetryPolicy)[] = [
  ...(["maxAttempts", ...CURVE_KEYS, "maxElapsed", "retryOn", "byKind"] as const),
  ...(["onExhausted", "parkFor", "logWarning"] as const),
];

/**
 * Checks policies and fills in defaults; of several, the later ones win option by option.
 *
 * @throws {InvalidInputError} an option is unknown, or out of its bounds
 */
export function resolveRetry(...policies: readonly (RetryPolicy | undefined)[]): ResolvedRetry {
  const given = policies.filter((policy) => policy !== undefined);
  for (const policy of given) checkRetry("retry", policy);
  const own: RetryPolicy = Object.assign({}, ...given.map(withoutUndefined)) as RetryPolicy;
  const byKind = (kind: ErrorKind): CurveOptions =>
    Object.assign({}, ...given.map((policy) => withoutUndefined(policy.byKind?.[kind] ?? {})));
  const curves = new Map(ERROR_KINDS.map((kind) => [kind, curveOf(kind, own, byKind(kind))]));
  return {
    maxAttempts: own.maxAttempts ?? RETRY_DEFAULTS.maxAttempts,
    maxElapsed: own.maxElapsed,
    onExhausted: own.onExhausted ?? "fail",
    parkFor: own.parkFor ?? RETRY_DEFAULTS.parkFor,
    curve: (kind) => curves.get(kind) ?? curveOf(kind, own, {}),
    retries: (error, classification) => retries(own.retryOn, error, classification),
  };
}

/** @throws {InvalidInputError} an option is unknown, or out of its bounds */
export function checkRetry(where: string, policy: RetryPolicy): void {
  checkKeys(where, policy, KEYS);
  checkCurve(where, policy);
  checkOptional(`${where}.maxAttempts`, policy.maxAttempts, { atLeast: 1, whole: true });
  checkOptional(`${where}.maxElapsed`, policy.maxElapsed, { atLeast: 0 });
  checkOptional(`${where}.parkFor`, policy.parkFor, { above: 0 });
  if (policy.onExhausted !== undefined) {
    checkWord(`${where}.onExhausted`, policy.onExhausted, ["fail", "park"]);
  }
  if (policy.retryOn !== undefined) checkRetryOn(`${where}.retryOn`, policy.retryOn);
  if (policy.byKind === undefined) return;
  checkKeys(`${where}.byKind`, policy.byKind, ERROR_KINDS);
  for (const [kind, curve] of Object.entries(policy.byKind)) {
    const name = `${where}.byKind["${kind}"]`;
    checkKeys(name, curve, CURVE_KEYS);
    checkCurve(name, curve);
  }
}

/** What to say once of a policy that may pay often for one answer; undefined where it doesn't. */
export function costNotice(
  policy: Pick<ResolvedRetry, "maxAttempts">,
  subject: { kind: "model" | "tool"; name: string },
): string | undefined {
  const { maxAttempts } = policy;
  if (maxAttempts <= MANY_ATTEMPTS) return undefined;
  return (
    `The ${subject.kind} "${subject.name}" may be called ${maxAttempts} times for one result, and each ` +
    `call may cost as much as the first: up to ${maxAttempts} times the price. ` +
    `${MANY_ATTEMPTS} attempts are enough for most outages; a breaker and a budget limit the rest.`
  );
}

function checkCurve(where: string, curve: CurveOptions): void {
  checkOptional(`${where}.initialInterval`, curve.initialInterval, { atLeast: 0 });
  checkOptional(`${where}.backoffFactor`, curve.backoffFactor, { atLeast: 1 });
  checkOptional(`${where}.maxInterval`, curve.maxInterval, { atLeast: 0 });
  const { jitter } = curve;
  if (jitter === undefined || typeof jitter === "boolean") return;
  if (typeof jitter === "number") checkNumber(`${where}.jitter`, jitter, { atLeast: 0, atMost: 1 });
  else checkWord(`${where}.jitter`, jitter, ["none", "full", "decorrelated"]);
}

function checkRetryOn(where: string, retryOn: unknown): void {
  if (typeof retryOn === "function") return;
  const isList = Array.isArray(retryOn);
  const odd = isList
    ? (retryOn as unknown[]).find((one) => typeof one !== "function" && !isKind(one))
    : retryOn;
  if (isList && odd === undefined) return;
  throw new InvalidInputError(
    `${where} must be a function, or a list of error classes and of kinds (${ERROR_KINDS.join(", ")}), ` +
      `not ${isList ? `a list with ${shown(odd)}` : shown(odd)}.`,
  );
}

function isKind(value: unknown): value is ErrorKind {
  return ERROR_KINDS.some((kind) => kind === value);
}

/** The user's curve for the kind, then the user's for all, then the kind's own, then the default. */
function curveOf(kind: ErrorKind, all: CurveOptions, own: CurveOptions): Curve {
  const usual = INITIAL_BY_KIND[kind] ?? RETRY_DEFAULTS.initialInterval;
  return {
    initialInterval: own.initialInterval ?? all.initialInterval ?? usual,
    backoffFactor: own.backoffFactor ?? all.backoffFactor ?? RETRY_DEFAULTS.backoffFactor,
    maxInterval: own.maxInterval ?? all.maxInterval ?? RETRY_DEFAULTS.maxInterval,
    jitter: jitterOf(own.jitter ?? all.jitter ?? RETRY_DEFAULTS.jitter),
  };
}

function jitterOf(jitter: Jitter): Curve["jitter"] {
  if (typeof jitter === "boolean") return jitter ? DEFAULT_JITTER : "none";
  return jitter;
}

function retries(
  retryOn: RetryOn | undefined,
  error: unknown,
  { kind, retryable, exhausted }: Classification,
): boolean {
  if (exhausted) return false;
  if (retryOn === undefined) return retryable;
  if (typeof retryOn === "function") {
    if (isErrorClass(retryOn)) return error instanceof retryOn;
    return retryOn(error);
  }
  return retryOn.some((one) => {
    if (typeof one === "function") return error instanceof one;
    // A kind that passes by itself may still have been refused: "x-should-retry: false".
    return one === kind && (retryable || !isTransient(kind));
  });
}

/** `retryOn: SomeError` means that class, and not a predicate that can't be called. */
function isErrorClass(value: Predicate | ErrorClass): value is ErrorClass {
  return Object.is(value, Error) || (value as ErrorClass).prototype instanceof Error;
}

function withoutUndefined<Options extends object>(options: Options): Partial<Options> {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as Partial<Options>;
}
