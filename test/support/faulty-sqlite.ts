/**
 * An SQLite database that fails on demand, and counts. It stands where a saver expects Node's own, so
 * that all of the saver is tested, and nothing of it replaced.
 */

import { DatabaseSync } from "node:sqlite";
import type { SqliteDatabase } from "../../checkpointers/sqlite/index.ts";

type Parameter = string | number | null | Uint8Array;

export interface FaultySqlite extends SqliteDatabase {
  /** Called before each COMMIT; what it throws is thrown in its place. */
  onCommit: (count: number) => void;
  /** Called before each INSERT, UPDATE or DELETE; what it throws is thrown in its place. */
  onWrite: (sql: string, parameters: readonly Parameter[]) => void;
  /** Called before each SELECT (WITH ...). */
  onRead: (sql: string) => void;
  commits: number;
}

export function faultySqlite(file: string): FaultySqlite {
  const db = new DatabaseSync(file);
  const faulty: FaultySqlite = {
    onCommit: () => undefined,
    onWrite: () => undefined,
    onRead: () => undefined,
    commits: 0,
    exec(sql) {
      if (sql === "COMMIT") {
        faulty.onCommit(faulty.commits + 1);
        faulty.commits += 1;
      }
      db.exec(sql);
    },
    prepare(sql) {
      const statement = db.prepare(sql);
      const isRead = /^\s*(SELECT|WITH)\b/.test(sql);
      const before = (parameters: readonly Parameter[]): void => {
        if (isRead) faulty.onRead(sql);
        else faulty.onWrite(sql, parameters);
      };
      return {
        run: (...parameters) => (before(parameters), statement.run(...parameters)),
        get: (...parameters) => (before(parameters), statement.get(...parameters)),
        all: (...parameters) => (before(parameters), statement.all(...parameters)),
      };
    },
    close: () => db.close(),
    get isTransaction() {
      return db.isTransaction;
    },
  };
  return faulty;
}

/** As Node's driver reports it: 10 is SQLITE_IOERR, 5 SQLITE_BUSY. */
export function sqliteError(errcode: number, message: string): Error {
  return Object.assign(new Error(message), { code: "ERR_SQLITE_ERROR", errcode });
}
