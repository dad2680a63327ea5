/**
 * Numbered migrations: `migrations/0001_name.sql` and so on beside each dialect, each run once, in
 * order, and never edited after a release. The number of the last one is the schema's version.
 */

import { readFileSync, readdirSync } from "node:fs";
import { SchemaTooNewError } from "../src/errors.ts";

export interface Migration {
  version: number;
  name: string;
  sql: string;
}

/** The migrations in a folder, in order. */
export function readMigrations(folder: URL): Migration[] {
  return readdirSync(folder)
    .filter((file) => /^\d{4}_\w+\.sql$/.test(file))
    .toSorted()
    .map((file) => ({
      version: Number(file.slice(0, 4)),
      name: file.slice(5, -4),
      sql: readFileSync(new URL(file, folder), "utf8"),
    }));
}

/**
 * Those still to run on a database at this version.
 * @throws {SchemaTooNewError} the database is newer than this code
 */
export function pendingMigrations(
  all: readonly Migration[],
  found: number,
  where: string,
): Migration[] {
  const newest = all.at(-1)?.version ?? 0;
  if (found > newest) throw new SchemaTooNewError(found, newest, where);
  return all.filter((migration) => migration.version > found);
}
