/**
 * Creates and migrates the tables.
 *
 * In a schema of their own they have plain names. In one that others use as well (an official saver's,
 * or "public" with an application's tables) a name might be taken, so there they begin with `holdfast_`.
 */

import type { SetUp } from "../dialect.ts";
import { pendingMigrations, readMigrations } from "../migrate.ts";
import { quoted, type Connection, type Query } from "./connection.ts";

const MIGRATIONS = readMigrations(new URL("./migrations/", import.meta.url));

/** The version that this code knows. */
export const SCHEMA_VERSION = MIGRATIONS.at(-1)?.version ?? 0;

/** Any number will do, as long as nobody else's advisory lock uses it. */
const LOCK = 4_803_717_223;

export const PREFIX = "holdfast_";

/**
 * Brings the schema up to date: one transaction under an advisory lock, so that many processes may
 * start at once. Where the tables are there, it needs no right to create any.
 * @returns where the official saver's tables are, if they are in the same database
 * @throws {SchemaTooNewError} a newer holdfast wrote them
 */
export async function setUp(connection: Connection, where: string): Promise<SetUp> {
  const { schema } = connection;
  const found = await versionOf(connection);
  if (pendingMigrations(MIGRATIONS, found, where).length > 0) {
    await connection.transaction(async (locked) => {
      await locked("SELECT pg_advisory_xact_lock($1)", [LOCK]);
      const [namespace] = await locked("SELECT 1 FROM pg_namespace WHERE nspname = $1", [schema]);
      if (namespace === undefined) await locked(`CREATE SCHEMA ${quoted(schema)}`);
      // Another process may have been faster: look again under the lock.
      const version = await versionOf(connection, locked);
      if (version === 0) await createLedger(connection, locked);
      for (const migration of pendingMigrations(MIGRATIONS, version, where)) {
        await locked(
          `INSERT INTO ${connection.name("migrations")} (version, name) VALUES ($1, $2)`,
          [migration.version, migration.name],
        );
        const sql = migration.sql
          .replaceAll("{schema}", quoted(schema))
          .replaceAll("{prefix}", connection.prefix);
        for (const statement of statements(sql)) await locked(statement);
      }
    });
  }
  const [official] = await connection.query(
    "SELECT schemaname FROM pg_tables WHERE tablename = 'checkpoint_migrations' LIMIT 1",
  );
  return {
    officialTables: official === undefined ? undefined : schemaNamed(official["schemaname"]),
  };
}

/** How messages call a schema. */
export function schemaNamed(name: unknown): string {
  return `the schema "${String(name)}"`;
}

/** The version of our tables, 0 without any; finds out on the way how they are called. */
export async function versionOf(
  connection: Connection,
  query: Query = (text, values) => connection.query(text, values),
): Promise<number> {
  const rows = await query("SELECT tablename FROM pg_tables WHERE schemaname = $1", [
    connection.schema,
  ]);
  const tables = new Set(rows.map((row) => row["tablename"]));
  const hasPrefixed = tables.has(`${PREFIX}migrations`) && tables.has(`${PREFIX}channel_versions`);
  const hasPlain = tables.has("migrations") && tables.has("channel_versions");
  connection.prefix = hasPrefixed || (!hasPlain && tables.size > 0) ? PREFIX : "";
  if (!hasPrefixed && !hasPlain) return 0;
  const [row] = await query(`SELECT max(version) AS version FROM ${connection.name("migrations")}`);
  return row?.["version"] as number;
}

async function createLedger(connection: Connection, query: Query): Promise<void> {
  await query(
    `CREATE TABLE ${connection.name("migrations")} (
       version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
     )`,
  );
}

/** A migration's statements: they end with a semicolon at the end of a line. */
function statements(sql: string): string[] {
  return sql
    .split(/;\s*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement.replaceAll(/--.*$/gm, "").trim() !== "");
}
