/** `holdfast/postgres`: checkpoints in Postgres, for any number of machines. */

import type { SerializerProtocol } from "@langchain/langgraph-checkpoint";
import type pg from "pg";
import { systemClock } from "../../src/clock.ts";
import { HoldfastSaver, type SaverOptions } from "../saver.ts";
import { Connection, openPool } from "./connection.ts";
import { postgresDialect } from "./dialect.ts";

export type { StoredType } from "../encoding/types.ts";
export type { SaverOptions } from "../saver.ts";

export interface PostgresSaverOptions extends SaverOptions {
  /** The schema that holds the tables, made by `setup` if it is missing. Default "holdfast". */
  schema?: string;
  /**
   * How long a statement is tried again while the server cannot be reached, in milliseconds. Default
   * 30,000; then `DatabaseUnavailableError`.
   */
  retryTimeout?: number;
}

const DEFAULT_SCHEMA = "holdfast";
const DEFAULT_RETRY_TIMEOUT = 30_000;

/**
 * Keeps checkpoints in Postgres 14 or newer.
 *
 * @example
 * const graph = builder.compile({ checkpointer: PostgresSaver.fromConnString(process.env.DATABASE_URL) });
 */
export class PostgresSaver extends HoldfastSaver {
  /** The pool in use; `end` closes it. */
  readonly pool: pg.Pool;

  /**
   * @param pool of the `pg` package
   * @param serde for every stored byte of state, such as an encrypting one; none by default
   */
  constructor(pool: pg.Pool, serde?: SerializerProtocol, options: PostgresSaverOptions = {}) {
    const schema = options.schema ?? DEFAULT_SCHEMA;
    const connection = new Connection(pool, {
      schema,
      retryTimeout: options.retryTimeout ?? DEFAULT_RETRY_TIMEOUT,
      clock: options.clock ?? systemClock,
      givenClock: options.clock,
    });
    super(postgresDialect(connection, `the Postgres schema "${schema}"`), serde, options);
    this.pool = pool;
  }

  /**
   * Opens a pool for a connection string, `postgres://user:password@host:port/database`.
   * @param options also takes settings of the pool, such as its size
   * @throws {InvalidInputError} not a Postgres connection string
   * @throws {MissingDependencyError} the package `pg` is not installed
   */
  static fromConnString(
    url: string,
    options: PostgresSaverOptions & { serde?: SerializerProtocol; pool?: pg.PoolConfig } = {},
  ): PostgresSaver {
    const timeout = options.retryTimeout ?? DEFAULT_RETRY_TIMEOUT;
    // A server that accepts and never answers must not hold a run for ever.
    const pool = openPool(url, {
      connectionTimeoutMillis: Math.ceil(timeout / 3),
      ...options.pool,
    });
    return new PostgresSaver(pool, options.serde, options);
  }
}
