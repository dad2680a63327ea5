/** Bytes on disk, as a user would find them: no VACUUM, the write-ahead log folded in. */

import { statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { Client } from "pg";
import type { StoredPlace } from "./place.ts";

/** Only when no other process has the place open. */
export async function bytesOnDisk(place: StoredPlace): Promise<number> {
  return place.dialect === "sqlite" ? sqliteBytes(place.path) : postgresBytes(place);
}

function sqliteBytes(path: string): number {
  const db = new DatabaseSync(path);
  db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  db.close();
  return statSync(path).size;
}

async function postgresBytes(place: { url: string; schema: string }): Promise<number> {
  const client = new Client({ connectionString: place.url });
  await client.connect();
  try {
    const found = await client.query<{ bytes: string | null; unlogged: string }>(
      `select sum(pg_total_relation_size(c.oid)) as bytes,
              count(*) filter (where c.relpersistence <> 'p') as unlogged
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $1 and c.relkind in ('r', 'm')`,
      [place.schema],
    );
    const row = found.rows[0];
    if (row?.bytes === null || row?.bytes === undefined) throw new Error("The schema is empty.");
    if (row.unlogged !== "0") throw new Error("A table is not logged: the pair is not comparable.");
    return Number(row.bytes);
  } finally {
    await client.end();
  }
}
