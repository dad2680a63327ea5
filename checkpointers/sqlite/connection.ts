/**
 * One SQLite connection: `node:sqlite` or better-sqlite3, transactions, and waiting for a lock.
 *
 * Invariants
 *   C1  A transaction is synchronous from BEGIN to COMMIT: no other code of this process runs in
 *       between, so nobody else's statement can end up in it or be rolled back with it.
 *   C2  Nothing waits inside SQLite (that would freeze the process): a lock that is held is waited
 *       for between attempts, up to `lockTimeout`.
 *   C3  A transaction that the user has open on the same connection is waited for, never joined.
 */

import { createRequire } from "node:module";
import {
  DatabaseUnavailableError,
  HoldfastError,
  MissingDependencyError,
} from "../../src/errors.ts";
import type { Clock } from "../../src/clock.ts";

/** What a bound parameter may be. */
export type SqlValue = string | number | null | Uint8Array;
export type SqlRow = Record<string, unknown>;

export interface Statement {
  run(...parameters: SqlValue[]): { changes: number | bigint };
  get(...parameters: SqlValue[]): unknown;
  all(...parameters: SqlValue[]): unknown[];
}

/** The part of `node:sqlite`'s `DatabaseSync` and better-sqlite3's `Database` that is used. */
export interface SqliteDatabase {
  exec(sql: string): unknown;
  prepare(sql: string): Statement;
  close(): unknown;
  /** node:sqlite */
  readonly isTransaction?: boolean;
  /** better-sqlite3 */
  readonly inTransaction?: boolean;
}

export interface ConnectionOptions {
  /** What is open, for messages. */
  where: string;
  /** How long to wait for another process's lock, in milliseconds. */
  lockTimeout: number;
  synchronous: "normal" | "full";
  clock: Clock;
}

/** Opens a file (or ":memory:") with the SQLite that is built into Node. */
export function openDatabase(path: string): SqliteDatabase {
  let sqlite: typeof import("node:sqlite");
  try {
    sqlite = createRequire(import.meta.url)("node:sqlite") as typeof import("node:sqlite");
  } catch (cause) {
    throw new MissingDependencyError(
      "This Node has no built-in SQLite: holdfast needs Node 22.18 or newer.",
      { cause },
    );
  }
  try {
    return new sqlite.DatabaseSync(path);
  } catch (cause) {
    throw new DatabaseUnavailableError(
      `Cannot open the SQLite database "${path}": ${(cause as Error).message}. ` +
        "The folder must exist and be writable.",
      { cause },
    );
  }
}

export class Connection {
  readonly #db: SqliteDatabase;
  readonly #options: ConnectionOptions;
  readonly #statements = new Map<string, Statement>();
  #closed = false;

  constructor(db: SqliteDatabase, options: ConnectionOptions) {
    this.#db = db;
    this.#options = options;
  }

  /** Settings of the connection; the journal mode is the file's and lasts. */
  async configure(): Promise<void> {
    await this.#patiently(() => {
      this.#db.exec("PRAGMA busy_timeout = 0");
      // Lets a prune give space back. An empty file only can be told so, and to any other it would be
      // a write each time that it is opened.
      if (this.#isEmpty()) this.#db.exec("PRAGMA auto_vacuum = INCREMENTAL");
      // What is deleted is overwritten, also where SQLite moves a row within the file.
      this.#db.exec(
        `PRAGMA journal_mode = WAL; PRAGMA secure_delete = ON;
         PRAGMA synchronous = ${this.#options.synchronous === "full" ? "FULL" : "NORMAL"}`,
      );
    });
  }

  /** A prepared statement, kept for the next time. Only within {@link read} or {@link write}. */
  sql(text: string): Statement {
    let statement = this.#statements.get(text);
    if (statement === undefined) {
      statement = this.#db.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }

  /** SQLite has no clock but this machine's. */
  now(): number {
    return Math.round(this.#options.clock.now());
  }

  exec(text: string): void {
    this.#db.exec(text);
  }

  /** Runs synchronous reads; again if the database was locked. */
  read<T>(work: () => T): Promise<T> {
    return this.#patiently(work);
  }

  /** Runs synchronous work in one immediate transaction; again from the start if it was locked. */
  write<T>(work: () => T): Promise<T> {
    return this.#patiently(() => {
      this.#db.exec("BEGIN IMMEDIATE");
      try {
        const result = work();
        this.#db.exec("COMMIT");
        return result;
      } catch (error) {
        if (this.isInside) this.#db.exec("ROLLBACK");
        throw error;
      }
    });
  }

  /** For the user's statements within {@link write}: nothing of it begins or ends a transaction. */
  handle(): Pick<SqliteDatabase, "exec" | "prepare"> {
    return { exec: (sql) => this.#db.exec(sql), prepare: (sql) => this.#db.prepare(sql) };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#statements.clear();
    this.#db.close();
  }

  #isEmpty(): boolean {
    const { page_count } = this.#db.prepare("PRAGMA page_count").get() as { page_count: number };
    return page_count === 0;
  }

  /** Whether a transaction is open, ours or the user's. */
  get isInside(): boolean {
    return this.#db.isTransaction ?? this.#db.inTransaction ?? false;
  }

  async #patiently<T>(work: () => T): Promise<T> {
    if (this.#closed) {
      throw new DatabaseUnavailableError("The saver was ended; open a new one to go on.");
    }
    const { clock, lockTimeout } = this.#options;
    let waited = 0;
    for (let pause = 1; ; pause = Math.min(pause * 2, 100)) {
      // Invariant C3: a transaction that is open here is the user's.
      if (!this.isInside) {
        try {
          return work();
        } catch (error) {
          if (!isLocked(error)) throw explain(error, this.#options.where);
        }
      }
      if (waited >= lockTimeout) {
        throw new DatabaseUnavailableError(
          `The SQLite database stayed locked for ${lockTimeout} ms: another process, or an open ` +
            "transaction on this connection, holds it. Nothing was written.",
          { waited },
        );
      }
      await clock.sleep(pause);
      waited += pause;
    }
  }
}

/** SQLITE_BUSY or SQLITE_LOCKED, in either driver's form. */
function isLocked(error: unknown): boolean {
  const { errcode, code } = error as { errcode?: number; code?: string };
  if (errcode !== undefined) return (errcode & 0xff) === 5 || (errcode & 0xff) === 6;
  return code !== undefined && /^SQLITE_(BUSY|LOCKED)/.test(code);
}

/** SQLite's result codes after which no statement will work: the file, the disk or the rights to it. */
const FILE_TROUBLE = new Set([3, 8, 10, 11, 13, 14, 23, 26]);
const FILE_TROUBLE_NAMES = /^SQLITE_(PERM|READONLY|IOERR|CORRUPT|FULL|CANTOPEN|AUTH|NOTADB)/;

/** Damaged and foreign files, full disks and the like, in a sentence; other errors as they are. */
function explain(error: unknown, where: string): unknown {
  if (error instanceof HoldfastError) return error;
  const { errcode, code, message } = error as { errcode?: number; code?: string; message?: string };
  const isTrouble =
    errcode === undefined ? FILE_TROUBLE_NAMES.test(code ?? "") : FILE_TROUBLE.has(errcode & 0xff);
  if (!isTrouble) return error;
  return new DatabaseUnavailableError(`SQLite cannot use ${where}: ${message ?? String(error)}.`, {
    cause: error,
  });
}
