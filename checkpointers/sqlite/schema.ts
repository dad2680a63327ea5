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
  const found = await connection.read(() => versionOf(connection));
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
  const hasOfficial = await connection.read(
    () => hasTable(connection, "checkpoints") && hasTable(connection, "writes"),
  );
  return { officialTables: hasOfficial ? where : undefined };
}

/** The schema version of an open database; 0 without tables. */
export function versionOf(connection: Connection): number {
  if (!hasTable(connection, "holdfast_migrations")) return 0;
  const row = connection.sql("SELECT max(version) AS version FROM holdfast_migrations").get();
  return (row as { version: number | null }).version ?? 0;
}

function createLedger(connection: Connection): void {
  connection.exec(
    "CREATE TABLE holdfast_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL)",
  );
}

function hasTable(connection: Connection, name: string): boolean {
  const row = connection
    .sql("SELECT 1 AS found FROM sqlite_master WHERE type = 'table' AND name = ?")
    .get(name);
  return row !== undefined;
}
