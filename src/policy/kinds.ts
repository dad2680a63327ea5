/** Kinds of failures, and what each means before anybody looks closer. */

/** What went wrong, by what can be done about it. */
export type ErrorKind =
  | "rate-limit"
  | "overloaded"
  | "timeout"
  | "network"
  | "server"
  | "context-overflow"
  | "quota"
  | "invalid"
  | "bug"
  | "unknown";

export const ERROR_KINDS: readonly ErrorKind[] = [
  ...(["rate-limit", "overloaded", "timeout", "network", "server"] as const),
  ...(["context-overflow", "quota", "invalid", "bug", "unknown"] as const),
];

const TRANSIENT: ReadonlySet<ErrorKind> = new Set<ErrorKind>([
  ...(["rate-limit", "overloaded", "timeout", "network", "server"] as const),
]);

/** True for kinds that pass by themselves: trying again may help. */
export function isTransient(kind: ErrorKind): boolean {
  return TRANSIENT.has(kind);
}

/** What a policy knows of a failure. */
export interface Classification {
  readonly kind: ErrorKind;
  /** Whether another attempt may help. */
  readonly retryable: boolean;
  /** In words, for logs. */
  readonly reason: string;
  /** How long the other side asked to wait, in milliseconds; undefined where it did not say. */
  readonly retryAfter?: number;
  /**
   * Proof that what was asked for was not done: the connection was refused, the name not found, or
   * the request answered with a 4xx. False means that nobody knows.
   */
  readonly notPerformed: boolean;
  /**
   * False where it costs no attempt: holdfast itself stopped it (a breaker is open, a limit has no
   * room), or it was a breaker's trial, made for all who are parked. Says nothing about the other side.
   */
  readonly counted: boolean;
  /** A policy within has given up on it already, so it is not retryable. */
  readonly exhausted: boolean;
}

/** What one look at an error finds; the kind decides what is left out. */
export interface Finding {
  kind: ErrorKind;
  why: string;
  retryable?: boolean;
  retryAfter?: number;
  notPerformed?: boolean;
  counted?: boolean;
  /** No header changes it. */
  final?: boolean;
}
