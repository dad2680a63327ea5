/** How a database is named on the command line. */

import { homedir } from "node:os";
import { resolve } from "node:path";
import { InvalidInputError } from "../errors.ts";
import { harmless } from "./text.ts";

export type DatabaseUrl =
  { kind: "sqlite"; path: string } | { kind: "postgres"; url: string; schema: string | undefined };

const SQLITE_FILE = /\.(db|sqlite3?)$/;

/**
 * Reads `sqlite:./agents.db`, `sqlite:///var/agents.db`, a path that ends in .db or .sqlite, or
 * `postgres://user@host/database?schema=name`.
 * @param folder what a relative path is relative to
 */
export function parseDatabaseUrl(text: string, option: string, folder: string): DatabaseUrl {
  if (/^postgres(ql)?:/i.test(text)) return parsePostgres(text, option);
  const path = /^sqlite:/i.test(text)
    ? text.slice("sqlite:".length).replace(/^\/\/(?=.)/, "")
    : SQLITE_FILE.test(text) && !/^[a-z][a-z0-9+.-]+:/i.test(text)
      ? text
      : undefined;
  if (path === undefined) {
    throw new InvalidInputError(
      `${option}: "${withoutPassword(text)}" is no database that holdfast knows; give sqlite:./agents.db or postgres://user@host/database.`,
    );
  }
  if (path === "" || path === ":memory:") {
    throw new InvalidInputError(
      `${option}: the command line needs a database that outlives it, such as sqlite:./agents.db.`,
    );
  }
  return { kind: "sqlite", path: resolve(folder, path.replace(/^~(?=\/)/, homedir())) };
}

function parsePostgres(text: string, option: string): DatabaseUrl {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new InvalidInputError(`${option}: "${withoutPassword(text)}" is not a valid URL.`);
  }
  // Ours, not the driver's: the schema that holds the tables.
  const schema = url.searchParams.get("schema") ?? undefined;
  url.searchParams.delete("schema");
  return { kind: "postgres", url: url.href, schema };
}

/** For people: a path, or a URL without its password. */
export function describeDatabase(database: DatabaseUrl): string {
  if (database.kind === "sqlite") return harmless(database.path);
  return (
    withoutPassword(database.url) + (database.schema === undefined ? "" : ` (${database.schema})`)
  );
}

function withoutPassword(url: string): string {
  return harmless(url.replace(/^(\w+:\/\/[^:@/?#]*):[^@/]*@/, "$1:***@"));
}
