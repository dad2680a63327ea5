/**
 * Counts a database's commits of changes: what a disk has to be waited for.
 *
 * Postgres numbers its writing transactions itself. On SQLite the statements of this process are
 * watched, which is the only one that writes.
 */

import type { DatabaseSync as Database, StatementSync } from "node:sqlite";
import type { StoredPlace } from "./place.ts";

export interface CommitCounter {
  /** Commits so far. */
  count(): Promise<number>;
  end(): Promise<void>;
}

export async function countCommits(place: StoredPlace): Promise<CommitCounter> {
  return place.dialect === "sqlite" ? watchSqlite() : askPostgres(place.url);
}

type Run = (this: StatementSync, ...parameters: unknown[]) => unknown;

async function watchSqlite(): Promise<CommitCounter> {
  const { DatabaseSync } = await import("node:sqlite");
  let commits = 0;
  const prototype = DatabaseSync.prototype as unknown as {
    exec: (this: Database, sql: string) => void;
    prepare: (this: Database, sql: string, ...rest: unknown[]) => StatementSync;
  };
  const { exec, prepare } = prototype;
  prototype.exec = function (sql) {
    exec.call(this, sql);
    if (isCommit(sql)) commits += 1;
  };
  prototype.prepare = function (sql, ...rest) {
    const statement = prepare.call(this, sql, ...rest);
    const { run } = statement as unknown as { run: Run };
    const isAlone = /^\s*(?:INSERT|UPDATE|DELETE|REPLACE|WITH)\b/i.test(sql);
    const watched = (...parameters: unknown[]): unknown => {
      const counts = isCommit(sql) || (isAlone && !this.isTransaction);
      const result = run.call(statement, ...parameters);
      if (counts) commits += 1;
      return result;
    };
    Object.defineProperty(statement, "run", { value: watched });
    return statement;
  };
  return {
    count: () => Promise.resolve(commits),
    end: () => {
      Object.assign(prototype, { exec, prepare });
      return Promise.resolve();
    },
  };
}

function isCommit(sql: string): boolean {
  return /^\s*(?:COMMIT|END)\b/i.test(sql);
}

async function askPostgres(url: string): Promise<CommitCounter> {
  const { default: pg } = await import("pg");
  const client = new pg.Client(url);
  await client.connect();
  return {
    count: async () => {
      // The next one's number: asking takes none.
      const { rows } = await client.query<{ next: string }>(
        "SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next",
      );
      return Number(rows[0]?.next);
    },
    end: () => client.end(),
  };
}
