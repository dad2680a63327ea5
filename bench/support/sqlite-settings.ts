/** The settings that each SQLite saver really runs under, read back from its own connection. */

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { openOfficialSqlite } from "./official-sqlite.ts";
import type { Maker } from "./place.ts";

const SYNCHRONOUS = ["OFF", "NORMAL", "FULL", "EXTRA"];

export async function sqliteSettings(folder: string, maker: Maker): Promise<string> {
  const path = join(folder, `settings-${maker}.db`);
  const read = maker === "official" ? await official(path) : await ours(path, maker);
  const synchronous = SYNCHRONOUS[Number(read("PRAGMA synchronous"))];
  return (
    `${maker}: SQLite ${read("SELECT sqlite_version()")}, ` +
    `journal_mode=${read("PRAGMA journal_mode")}, synchronous=${synchronous}`
  );
}

/** The one value that a query answers. */
type Read = (sql: string) => string;

async function official(path: string): Promise<Read> {
  const { saver, db } = openOfficialSqlite(path);
  await saver.getTuple({ configurable: { thread_id: "none" } });
  return (sql) => String(db.prepare(sql).pluck().get());
}

async function ours(path: string, maker: Maker): Promise<Read> {
  const { SqliteSaver } = await import("holdfast/sqlite");
  const db = new DatabaseSync(path);
  const synchronous = maker === "holdfast-full" ? "full" : "normal";
  await new SqliteSaver(db, undefined, { synchronous }).setup();
  return (sql) => String(Object.values(db.prepare(sql).get() ?? {})[0]);
}
