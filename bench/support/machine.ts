/** What the figures depend on, read from the machine and the databases themselves. */

import { availableParallelism, cpus, release, totalmem, type as system } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Client } from "pg";
import { ms } from "./format.ts";
import type { Dialect } from "./place.ts";
import { sqliteSettings } from "./sqlite-settings.ts";
import { median } from "./stats.ts";

const COMMITS = 100;

const POSTGRES_SETTINGS = [
  "fsync",
  "synchronous_commit",
  "full_page_writes",
  "wal_sync_method",
  "shared_buffers",
  "max_wal_size",
  "autovacuum",
];

export async function describeMachine(
  dialects: readonly Dialect[],
  folder: string,
  postgresUrl: string | undefined,
): Promise<string[]> {
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  const gib = (totalmem() / 2 ** 30).toFixed(0);
  const lines = [
    `${availableParallelism()} cores (${model}), ${gib} GiB of memory, ${system()} ${release()}`,
    `Node ${process.version}`,
  ];
  if (dialects.includes("sqlite")) lines.push(...(await describeSqlite(folder)));
  if (postgresUrl !== undefined) lines.push(...(await describePostgres(postgresUrl)));
  return lines;
}

async function describeSqlite(folder: string): Promise<string[]> {
  const savers: string[] = [];
  for (const maker of ["official", "holdfast", "holdfast-full"] as const) {
    savers.push(await sqliteSettings(folder, maker));
  }
  const db = new DatabaseSync(join(folder, "machine.db"));
  db.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (v)");
  const insert = db.prepare("INSERT INTO t VALUES (1)");
  const commit = (synchronous: string) => {
    db.exec(`PRAGMA synchronous = ${synchronous}`);
    const times = Array.from({ length: COMMITS }, () => {
      const start = performance.now();
      insert.run();
      return performance.now() - start;
    });
    return ms(median(times));
  };
  savers.push(`SQLite, one insert and commit: NORMAL ${commit("NORMAL")}, FULL ${commit("FULL")}`);
  db.close();
  return savers;
}

async function describePostgres(url: string): Promise<string[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const version = await client.query<{ server_version: string }>("show server_version");
    const settings = await client.query<{ name: string; value: string }>(
      "select name, current_setting(name) as value from pg_settings where name = any($1)",
      [POSTGRES_SETTINGS],
    );
    const pairs = settings.rows.map(({ name, value }) => `${name}=${value}`);
    await client.query("create table public.machine (v integer)");
    const times: number[] = [];
    for (let commit = 0; commit < COMMITS; commit++) {
      const start = performance.now();
      await client.query("insert into public.machine values (1)");
      times.push(performance.now() - start);
    }
    await client.query("drop table public.machine");
    return [
      `Postgres ${version.rows[0]?.server_version}, embedded, over loopback TCP; all tables logged (checked)`,
      `Postgres settings: ${pairs.join(", ")}`,
      `Postgres, one insert and commit: ${ms(median(times))}`,
    ];
  } finally {
    await client.end();
  }
}
