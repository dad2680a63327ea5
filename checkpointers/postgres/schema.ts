/** Creates and migrates the tables. */

import { pendingMigrations, readMigrations } from "../migrate.ts";
import { quoted, type Connection } from "./connection.ts";

const MIGRATIONS = readMigrations(new URL("./migrations/", import.meta.url));

/** The version that this code knows. */
export const SCHEMA_VERSION = MIGRATIONS.at(-1)?.version ?? 0;

/** Any number will do, as long as nobody else's advisory lock uses it. */
const LOCK = 4_803_717_223;

/**
 * Brings the schema up to date: one transaction under an advisory lock, so that many processes may
 * start at once. Where the tables are there, it needs no right to create any.
 * @returns whether the official saver's tables are in the same schema
 * @throws {SchemaTooNewError} a newer holdfast wrote them
 */
export async function setUp(
  connection: Connection,
  where: string,
): Promise<{ officialTables: boolean }> {
  const { schema } = connection;
  const found = await versionOf(connection);
  if (pendingMigrations(MIGRATIONS, found, where).length > 0) {
    await connection.transaction(async (query) => {
      await query("SELECT pg_advisory_xact_lock($1)", [LOCK]);
      const [namespace] = await query("SELECT 1 FROM pg_namespace WHERE nspname = $1", [schema]);
      if (namespace === undefined) await query(`CREATE SCHEMA ${quoted(schema)}`);
      await query(`SET LOCAL search_path TO ${quoted(schema)}`);
      await query(
        `CREATE TABLE IF NOT EXISTS migrations (
           version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
         )`,
      );
      const [row] = await query("SELECT coalesce(max(version), 0) AS version FROM migrations");
      for (const migration of pendingMigrations(MIGRATIONS, row?.["version"] as number, where)) {
        await query("INSERT INTO migrations (version, name) VALUES ($1, $2)", [
          migration.version,
          migration.name,
        ]);
        for (const statement of statements(migration.sql)) await query(statement);
      }
    });
  }
  const [official] = await connection.query(
    `SELECT count(*) = 2 AS found FROM pg_tables
     WHERE schemaname = $1 AND tablename IN ('checkpoint_blobs', 'checkpoint_migrations')`,
    [schema],
  );
  return { officialTables: official?.["found"] === true };
}

/** The schema version; 0 without tables. */
export async function versionOf(connection: Connection): Promise<number> {
  const [table] = await connection.query(
    "SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = 'migrations'",
    [connection.schema],
  );
  if (table === undefined) return 0;
  const [row] = await connection.query(
    `SELECT coalesce(max(version), 0) AS version FROM ${connection.name("migrations")}`,
  );
  return row?.["version"] as number;
}

/** A migration's statements: they end with a semicolon at the end of a line. */
function statements(sql: string): string[] {
  return sql
    .split(/;\s*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement.replaceAll(/--.*$/gm, "").trim() !== "");
}
