/** `holdfast/sqlite`: checkpoints in an SQLite file, with the SQLite that is built into Node. */

import type { SerializerProtocol } from "@langchain/langgraph-checkpoint";
import { systemClock } from "../../src/clock.ts";
import { HoldfastSaver, type SaverOptions } from "../saver.ts";
import { Connection, openDatabase, type SqliteDatabase } from "./connection.ts";
import { sqliteDialect } from "./dialect.ts";

export type { StoredType } from "../encoding/types.ts";
export type { SaverOptions } from "../saver.ts";
export type { SqliteDatabase } from "./connection.ts";

export interface SqliteSaverOptions extends SaverOptions {
  /**
   * How much a commit waits for. "normal" (default) survives the death of the process at any instant;
   * "full" also a power cut, at the cost of one disk flush per commit.
   */
  synchronous?: "normal" | "full";
  /** What messages call the database; `fromConnString` names the file. */
  where?: string;
  /** How long to wait for another process's lock, in milliseconds. Default 30,000. */
  lockTimeout?: number;
}

const DEFAULT_LOCK_TIMEOUT = 30_000;

/**
 * Keeps checkpoints in SQLite. Several processes may share a file.
 *
 * @example
 * const graph = builder.compile({ checkpointer: SqliteSaver.fromConnString("agents.db") });
 */
export class SqliteSaver extends HoldfastSaver {
  /** The connection in use. */
  readonly db: SqliteDatabase;

  /**
   * @param db a `node:sqlite` `DatabaseSync` or a better-sqlite3 `Database`, for the saver's use
   * @param serde for every stored byte of state, such as an encrypting one; none by default
   */
  constructor(db: SqliteDatabase, serde?: SerializerProtocol, options: SqliteSaverOptions = {}) {
    const where = options.where ?? "the SQLite database";
    const clock = options.clock ?? systemClock;
    const connection = new Connection(db, {
      where,
      synchronous: options.synchronous ?? "normal",
      lockTimeout: options.lockTimeout ?? DEFAULT_LOCK_TIMEOUT,
      clock,
    });
    super(sqliteDialect(connection, where, clock), serde, options);
    this.db = db;
  }

  /**
   * Opens a file, or ":memory:".
   * @throws {DatabaseUnavailableError} it cannot be opened
   * @throws {MissingDependencyError} this Node has no built-in SQLite
   */
  static fromConnString(
    path: string,
    options: SqliteSaverOptions & { serde?: SerializerProtocol } = {},
  ): SqliteSaver {
    const where = `the SQLite database ${path}`;
    return new SqliteSaver(openDatabase(path), options.serde, { where, ...options });
  }
}
