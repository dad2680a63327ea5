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
