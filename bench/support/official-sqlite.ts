/** The official SQLite saver, made as safe as the one it is compared with. */

import { SqliteSaver } from "@langchain/langgraph-checkpoint-sqlite";

/** What the bench needs of the saver's better-sqlite3 handle, which comes without types. */
export interface BetterSqlite {
  pragma(source: string, options?: { simple: boolean }): unknown;
  prepare(sql: string): { pluck(): { get(): unknown } };
  close(): void;
}

export function openOfficialSqlite(path: string): { saver: SqliteSaver; db: BetterSqlite } {
  const saver = SqliteSaver.fromConnString(path);
  const db: BetterSqlite = saver.db;
  // WAL it sets by itself, on first use.
  db.pragma("synchronous = NORMAL");
  return { saver, db };
}
