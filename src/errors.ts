/**
 * Every error that holdfast throws, one class per decision that a caller can take.
 *
 * Recognise them with {@link isHoldfastError}, by brand and code: two copies of a package in one
 * process are normal, so `instanceof` is not enough.
 */

const BRAND = Symbol.for("holdfast.error");

/** What all errors of holdfast have in common: a stable code, and the facts as fields. */
export class HoldfastError extends Error {
  /** Stable, in capitals; the class name without `Error`. */
  readonly code: string;
  readonly [BRAND] = true;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** True for an error of holdfast, of any copy of the package; with a code, only for that one. */
export function isHoldfastError(error: unknown, code?: string): error is HoldfastError {
  if (typeof error !== "object" || error === null || !(BRAND in error)) return false;
  return code === undefined || (error as HoldfastError).code === code;
}

/** A value that cannot be stored faithfully. Nothing of the write that held it was stored. */
export class UnserializableError extends HoldfastError {
  /** The channel (or `metadata`) that holds the value. */
  readonly channel: string;
  /** Where in the channel's value, as a JavaScript path; empty for the value itself. */
  readonly path: string;
  /** The node that wrote it, where that is known. */
  readonly node: string | undefined;

  constructor(what: string, at: { channel: string; path: string; node?: string | undefined }) {
    const by = at.node === undefined ? "" : `, written by node "${at.node}"`;
    super(
      "UNSERIALIZABLE",
      `Cannot store ${what} at "${at.channel}${at.path}"${by}. Keep only plain data in the state, ` +
        "or tell the saver how to store this type with its `types` option.",
    );
    this.channel = at.channel;
    this.path = at.path;
    this.node = at.node;
  }
}

/** A call that cannot be carried out as given: a missing or wrongly typed option or config key. */
export class InvalidInputError extends HoldfastError {
  constructor(message: string, options?: ErrorOptions) {
    super("INVALID_INPUT", message, options);
  }
}

/** A thread, checkpoint or graph that was asked for and does not exist. */
export class NotFoundError extends HoldfastError {
  constructor(message: string) {
    super("NOT_FOUND", message);
  }
}

/** Stored bytes that cannot be what was written: damaged, or written under another serde or key. */
export class CorruptDataError extends HoldfastError {
  constructor(message: string, options?: ErrorOptions) {
    super("CORRUPT_DATA", message, options);
  }
}

/** The database was written by a newer holdfast than this one. */
export class SchemaTooNewError extends HoldfastError {
  readonly found: number;
  readonly supported: number;

  constructor(found: number, supported: number, where: string) {
    super(
      "SCHEMA_TOO_NEW",
      `The tables in ${where} are at schema version ${found}, and this version of holdfast knows ` +
        `versions up to ${supported}. Upgrade holdfast in this process; nothing was changed.`,
    );
    this.found = found;
    this.supported = supported;
  }
}

/** The database could not be reached, or stayed locked, for as long as the saver may wait. */
export class DatabaseUnavailableError extends HoldfastError {
  /** How long was waited for it, in milliseconds; undefined where waiting is no use. */
  readonly waited: number | undefined;

  constructor(message: string, options?: ErrorOptions & { waited?: number }) {
    super("DATABASE_UNAVAILABLE", message, options);
    this.waited = options?.waited;
  }
}

/** The thread was deleted, or the parent checkpoint pruned, while a run was writing to it. */
export class ThreadGoneError extends HoldfastError {
  readonly threadId: string;

  constructor(threadId: string, message: string) {
    super("THREAD_GONE", message);
    this.threadId = threadId;
  }
}

/** An optional package, or a feature of Node, that the called part needs and does not find. */
export class MissingDependencyError extends HoldfastError {
  constructor(message: string, options?: ErrorOptions) {
    super("MISSING_DEPENDENCY", message, options);
  }
}

/** The run's deadline is past, or would be before the step could end. */
export class DeadlineExceededError extends HoldfastError {
  /** The instant, in milliseconds since the epoch. */
  readonly deadlineAt: number;

  constructor(deadlineAt: number, what: string, options?: ErrorOptions) {
    super(
      "DEADLINE_EXCEEDED",
      `${what}: the run's deadline was ${new Date(deadlineAt).toISOString()}. To go on, give it more ` +
        "time: `graph.updateState(config, withDeadline(ms))`, then resume.",
      options,
    );
    this.deadlineAt = deadlineAt;
  }
}

/** An attempt took longer than its policy allows. Worth another attempt. */
export class AttemptTimeoutError extends HoldfastError {
  readonly kind: "run" | "idle";
  /** The limit, in milliseconds. */
  readonly timeout: number;

  constructor(what: string, kind: "run" | "idle", timeout: number) {
    super(
      "ATTEMPT_TIMEOUT",
      kind === "run"
        ? `${what} took longer than ${timeout} ms.`
        : `${what} gave no sign of life for ${timeout} ms.`,
    );
    this.kind = kind;
    this.timeout = timeout;
  }
}

/** The process ended, or was killed, in the middle of an attempt. */
export class AttemptCrashedError extends HoldfastError {
  readonly attempt: number;

  constructor(what: string, attempt: number) {
    super(
      "ATTEMPT_CRASHED",
      `The process ended in the middle of attempt ${attempt} of ${what}, as in attempts before: it may ` +
        "be what ends it. Look for memory that runs out; then invoke the graph again, for new attempts.",
    );
    this.attempt = attempt;
  }
}

/** The breaker of this name is open: its upstream failed too often, and is left alone until `retryAt`. */
export class BreakerOpenError extends HoldfastError {
  readonly breaker: string;
  readonly retryAt: number;
  /** True where a person opened it, until a person resets it. */
  readonly isolated: boolean;

  constructor(breaker: string, retryAt: number, isolated = false) {
    super(
      "BREAKER_OPEN",
      isolated
        ? `The breaker "${breaker}" was isolated by hand: nothing was called. ` +
            `\`holdfast breakers reset ${breaker}\` lets calls through again.`
        : `The breaker "${breaker}" is open until ${new Date(retryAt).toISOString()}: nothing was called. ` +
            "`holdfast breakers ls` shows why.",
    );
    this.breaker = breaker;
    this.retryAt = retryAt;
    this.isolated = isolated;
  }
}

/** No permit of a limit came free in the time that there was. */
export class LimitExceededError extends HoldfastError {
  readonly limit: string;
  /** When one may come free. */
  readonly retryAt: number;

  constructor(limit: string, retryAt: number) {
    super("LIMIT_EXCEEDED", `The limit "${limit}" had no room in time: nothing was called.`);
    this.limit = limit;
    this.retryAt = retryAt;
  }
}

/** What a call may cost is spent, or the rest of it does not cover the call. */
export class BudgetExceededError extends HoldfastError {
  readonly budget: string;
  readonly unit: "usd" | "tokens" | "calls" | "retries";
  readonly limit: number;
  /** Reservations of others, and of calls that died, included. */
  readonly spent: number;
  /** What the call may have cost more. */
  readonly needed: number | undefined;
  /** Attempts that were made of the call before. */
  readonly attempts: number;

  constructor(facts: {
    budget: string;
    unit: "usd" | "tokens" | "calls" | "retries";
    limit: number;
    spent: number;
    needed?: number;
    attempts: number;
  }) {
    const { budget, unit, limit, spent, needed, attempts } = facts;
    const after = `after ${attempts} ${attempts === 1 ? "attempt" : "attempts"}`;
    super(
      "BUDGET_EXCEEDED",
      needed === undefined || spent >= limit
        ? `The budget "${budget}" is spent: ${spent} of ${limit} ${unit}, ${after}.`
        : `The budget "${budget}" does not cover the next call: ${spent} of ${limit} ${unit} spent, ` +
            `${needed} needed, ${after}.`,
    );
    this.budget = budget;
    this.unit = unit;
    this.limit = limit;
    this.spent = spent;
    this.needed = needed;
    this.attempts = attempts;
  }
}

/** An effect was called under an identity that is taken: with other arguments, or by another effect. */
export class EffectConflictError extends HoldfastError {
  readonly effect: string;

  constructor(effect: string, message: string) {
    super("EFFECT_CONFLICT", message);
    this.effect = effect;
  }
}

/** Nobody knows whether an effect was performed, and its author left that to a person. */
export class EffectUnknownError extends HoldfastError {
  readonly effect: string;
  readonly idempotencyKey: string;

  constructor(effect: string, idempotencyKey: string, message: string) {
    super("EFFECT_UNKNOWN", message);
    this.effect = effect;
    this.idempotencyKey = idempotencyKey;
  }
}

/** Something needs a node of a graph with a holdfast saver around it, and has none. */
export class NotDurableError extends HoldfastError {
  constructor(message: string) {
    super("NOT_DURABLE", message);
  }
}

/** A person said no. */
export class RejectedError extends HoldfastError {
  readonly approvalId: string;
  readonly by: string | undefined;
  readonly reason: string | undefined;

  constructor(
    approvalId: string,
    title: string,
    by: string | undefined,
    reason: string | undefined,
  ) {
    super(
      "REJECTED",
      `"${title}" was rejected${by === undefined ? "" : ` by ${by}`}${reason === undefined ? "." : `: ${reason}`}`,
    );
    this.approvalId = approvalId;
    this.by = by;
    this.reason = reason;
  }
}

/** Somebody else is writing to the thread. */
export class ThreadBusyError extends HoldfastError {
  readonly threadId: string;
  readonly owner: string;
  /** When its lease ends unless it is renewed. */
  readonly expiresAt: number;

  constructor(threadId: string, owner: string, expiresAt: number) {
    super(
      "THREAD_BUSY",
      `Thread "${threadId}" is being run by ${owner}, at least until ${new Date(expiresAt).toISOString()}.`,
    );
    this.threadId = threadId;
    this.owner = owner;
    this.expiresAt = expiresAt;
  }
}

/** A run was begun under another version of its graph, and does not go on under this one. */
export class GraphChangedError extends HoldfastError {
  readonly runId: string;
  /** Fingerprints of the version that it was begun under, and of the one that is here. */
  readonly from: string;
  readonly to: string;

  constructor(runId: string, from: string, to: string, why: string) {
    super(
      "GRAPH_CHANGED",
      `Run "${runId}" was begun under version ${from} of its graph, and this is ${to}: ${why}. ` +
        "Resume it where its version is at work, give the graph a migration, or cancel the run.",
    );
    this.runId = runId;
    this.from = from;
    this.to = to;
  }
}

/** A run is active on the thread, and the new one was to be refused then. */
export class RunActiveError extends HoldfastError {
  readonly threadId: string;
  readonly runId: string;

  constructor(threadId: string, runId: string, status: string) {
    super(
      "RUN_ACTIVE",
      `Run "${runId}" of thread "${threadId}" is ${status}. Wait for it, use another thread, or start with ` +
        'multitaskStrategy "enqueue", "interrupt" or "rollback".',
    );
    this.threadId = threadId;
    this.runId = runId;
  }
}

/** This process lost its lease on the thread: somebody else runs it, and nothing more is written. */
export class LeaseLostError extends HoldfastError {
  readonly threadId: string;
  readonly token: number;

  constructor(threadId: string, token: number) {
    super(
      "LEASE_LOST",
      `The lease on thread "${threadId}" (token ${token}) was lost: another process runs it now. ` +
        "Nothing of this attempt was written since.",
    );
    this.threadId = threadId;
    this.token = token;
  }
}

const EXHAUSTED = Symbol.for("holdfast.exhausted");

/** Marks an error as one that a policy has given up on, so that no outer policy tries again. */
export function markExhausted<E>(error: E): E {
  if (typeof error === "object" && error !== null && Object.isExtensible(error)) {
    Object.defineProperty(error, EXHAUSTED, { value: true, configurable: true });
  }
  return error;
}

/** True for an error that an inner policy has given up on. */
export function isExhausted(error: unknown): boolean {
  return typeof error === "object" && error !== null && EXHAUSTED in error;
}

const FREE = Symbol.for("holdfast.free");

/** Marks an error as one that costs no attempt: its call was made on trial, for all who wait. */
export function markFree<E>(error: E): E {
  if (typeof error === "object" && error !== null && Object.isExtensible(error)) {
    Object.defineProperty(error, FREE, { value: true, configurable: true });
  }
  return error;
}

/** True for an error that costs no attempt. */
export function isFree(error: unknown): boolean {
  return typeof error === "object" && error !== null && FREE in error;
}
