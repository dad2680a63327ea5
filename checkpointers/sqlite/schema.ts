/** Creates and migrates the tables. */

import { pendingMigrations, readMigrations } from "../migrate.ts";
import type { Connection } from "./connection.ts";

const MIGRATIONS = readMigrations(new URL("./migrations/", import.meta.url));

/** The version that this code knows. */
export const SCHEMA_VERSION = MIGRATIONS.at(-1)?.version ?? 0;

/**
 * Brings the schema up to date; one transaction, so that many processes may start at once.
 * @returns where the official saver's tables are, if they are in the same file
 * @throws {SchemaTooNewError} a newer holdfast wrote the file
 */
export async function setUp(
  connection: Connection,
  where: string,
): Promise<{ officialTables: string | undefined }> {
  await connection.configure();
  const tables = await connection.read(() => tablesOf(connection));
  const found = await connection.read(() => versionOf(connection, tables));
  if (pendingMigrations(MIGRATIONS, found, where).length > 0) {
    await connection.write(() => {
      // Another process may have been faster: look again under the lock.
      for (const migration of pendingMigrations(MIGRATIONS, versionOf(connection), where)) {
        if (migration.version === 1) createLedger(connection);
        connection
          .sql(
            "INSERT INTO holdfast_migrations (version, name, applied_at) VALUES (?, ?, datetime('now'))",
          )
          .run(migration.version, migration.name);
        connection.exec(migration.sql);
      }
    });
  }
  const hasOfficial = tables.has("checkpoints") && tables.has("writes");
  return { officialTables: hasOfficial ? where : undefined };
}

/** The schema version of an open database; 0 without tables. */
export function versionOf(connection: Connection, tables = tablesOf(connection)): number {
  if (!tables.has("holdfast_migrations")) return 0;
  const row = connection.sql("SELECT max(version) AS version FROM holdfast_migrations").get();
  return (row as { version: number | null }).version ?? 0;
}

function createLedger(connection: Connection): void {
  connection.exec(
    "CREATE TABLE holdfast_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL)",
  );
}

/** Which of the tables are there that tell whose file it is. */
function tablesOf(connection: Connection): ReadonlySet<string> {
  const rows = connection
    .sql(
      `SELECT name FROM sqlite_master
       WHERE type = 'table' AND name IN ('holdfast_migrations', 'checkpoints', 'writes')`,
    )
    .all();
  return new Set(rows.map((row) => (row as { name: string }).name));
}
