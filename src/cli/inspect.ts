/** What a database holds and how it is set, without changing anything in it. */

import * as postgres from "../../checkpointers/postgres/connection.ts";
import * as postgresSchema from "../../checkpointers/postgres/schema.ts";
import * as sqlite from "../../checkpointers/sqlite/connection.ts";
import * as sqliteSchema from "../../checkpointers/sqlite/schema.ts";
import { systemClock } from "../clock.ts";
import { DatabaseUnavailableError } from "../errors.ts";
import { describeDatabase } from "./database-url.ts";
import type { DatabaseUrl } from "./database-url.ts";
import { describeError } from "./exit.ts";

export interface Inspection {
  /** Version of holdfast's tables; 0 where there are none. */
  version: number;
  /** The version that this holdfast makes. */
  newest: number;
  /** Tables of LangGraph's own saver are there. */
  official: boolean;
  /** Settings that matter, by name. */
  settings: Record<string, string>;
}

/** Somebody is waiting at the keyboard: not as long as a run would. */
const PATIENCE = 4_000;

/** @throws {DatabaseUnavailableError} it cannot be opened or read */
export async function inspect(database: DatabaseUrl): Promise<Inspection> {
  try {
    return database.kind === "sqlite"
      ? await inspectSqlite(database.path)
      : await inspectPostgres(database.url, database.schema);
  } catch (cause) {
    throw new DatabaseUnavailableError(
      `Cannot read ${describeDatabase(database)}: ${describeError(cause)}`,
      { cause },
    );
  }
}

async function inspectSqlite(path: string): Promise<Inspection> {
  const connection = new sqlite.Connection(sqlite.openDatabase(path), {
    where: `the SQLite database ${path}`,
    lockTimeout: PATIENCE,
    synchronous: "normal",
    clock: systemClock,
  });
  try {
    return await connection.read(() => {
      const first = (sql: string): unknown =>
        Object.values((connection.sql(sql).get() as object | undefined) ?? {})[0];
      const official = first(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('checkpoints', 'writes')",
      );
      return {
        version: sqliteSchema.versionOf(connection),
        newest: sqliteSchema.SCHEMA_VERSION,
        official: official === 2,
        settings: {
          SQLite: String(first("SELECT sqlite_version()")),
          journal_mode: String(first("PRAGMA journal_mode")),
        },
      };
    });
  } finally {
    connection.close();
  }
}

async function inspectPostgres(url: string, schema: string | undefined): Promise<Inspection> {
  const pool = postgres.openPool(url, { max: 1, connectionTimeoutMillis: PATIENCE });
  const connection = new postgres.Connection(pool, {
    schema: schema ?? "holdfast",
    retryTimeout: PATIENCE,
    clock: systemClock,
  });
  try {
    const [official] = await connection.query(
      `SELECT count(*) = 2 AS found FROM pg_tables
       WHERE schemaname = $1 AND tablename IN ('checkpoint_blobs', 'checkpoint_migrations')`,
      // Where the official saver puts them unless told otherwise.
      [schema ?? "public"],
    );
    const [settings] = await connection.query(
      `SELECT current_setting('server_version') AS "Postgres",
              current_setting('fsync') AS "fsync",
              current_setting('synchronous_commit') AS "synchronous_commit"`,
    );
    return {
      version: await postgresSchema.versionOf(connection),
      newest: postgresSchema.SCHEMA_VERSION,
      official: official?.["found"] === true,
      settings: Object.fromEntries(
        Object.entries(settings ?? {}).map(([name, value]) => [name, String(value)]),
      ),
    };
  } finally {
    await connection.end();
  }
}
