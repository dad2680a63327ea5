/** Whole threads: found, listed, copied, deleted, thinned out, counted. */

import type { Cell } from "../encoding/cells.ts";
import type {
  NewThread,
  Removal,
  StatsRows,
  ThreadListing,
  ThreadOutline,
  ThreadQuery,
  ThreadRow,
} from "../dialect.ts";
import { checkpointRow, findThreadRow } from "./checkpoints.ts";
import type { Connection, SqlRow, SqlValue } from "./connection.ts";

const TABLES_BY_THREAD = ["checkpoints", "channel_versions", "payloads", "pending_writes"] as const;

/** What may be there of a thread that has no row. */
const TABLES_BY_KEY = [
  "approvals",
  "attempts",
  "event_waits",
  "thread_status",
  "runs",
  "breakers",
  "limits",
  "budgets",
  "usage",
  "effect_forks",
] as const;

/** What is about tasks of a checkpoint. */
const TABLES_BY_TASK = ["attempts", "event_waits"] as const;

export function findThread(
  connection: Connection,
  key: Uint8Array,
): Promise<ThreadRow | undefined> {
  return connection.read(() => findThreadRow(connection, key));
}

export async function createThreads(
  connection: Connection,
  threads: readonly NewThread[],
  now: number,
): Promise<ThreadRow[]> {
  const find = ({ key }: NewThread): ThreadRow | undefined => findThreadRow(connection, key);
  // One that is there is found without the lock for writing.
  const found = await connection.read(() => threads.map(find));
  if (found.every((row) => row !== undefined)) return found;
  return connection.write(() => {
    for (const { key, name, hashKey } of threads) insertThread(connection, key, name, hashKey, now);
    return threads.map(find) as ThreadRow[];
  });
}

/**
 * Tokens of leases begin at the instant: those of an earlier thread with the same id, which was deleted
 * while it was run, are none of this one's.
 */
export function insertThread(
  connection: Connection,
  key: Uint8Array,
  name: Cell | null,
  hashKey: Uint8Array,
  now: number,
): boolean {
  const { changes } = connection
    .sql(
      `INSERT INTO holdfast_threads (key, name, hash_key, created_at, updated_at, lease_token)
       VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    )
    .run(key, name, hashKey, now, now, now);
  return Number(changes) > 0;
}

export function reserveVersions(connection: Connection, count: number): Promise<number> {
  return connection.write(() => {
    const row = connection
      .sql(
        "UPDATE holdfast_sequences SET next = next + ? WHERE name = 'channel_versions' RETURNING next",
      )
      .get(count) as { next: number };
    return row.next - count;
  });
}

export function listThreadRows(
  connection: Connection,
  query: ThreadQuery,
): Promise<ThreadListing[]> {
  const where: string[] = ["1 = 1"];
  const values: SqlValue[] = [];
  const add = (condition: string, ...parameters: SqlValue[]): void => {
    where.push(condition);
    values.push(...parameters);
  };
  if (query.prefix !== undefined) {
    // Within a key, 0xff stands at most once.
    add("key >= ? AND key < ?", query.prefix, Buffer.concat([query.prefix, Buffer.of(0xff, 0xff)]));
  }
  if (query.createdAfter !== undefined) add("created_at > ?", query.createdAfter);
  if (query.createdBefore !== undefined) add("created_at < ?", query.createdBefore);
  if (query.updatedAfter !== undefined) add("updated_at > ?", query.updatedAfter);
  if (query.updatedBefore !== undefined) add("updated_at < ?", query.updatedBefore);
  if (query.after !== undefined)
    add("(updated_at, id) < (?, ?)", query.after.updatedAt, query.after.id);
  return connection.read(() =>
    connection
      .sql(
        `SELECT id, key, name, created_at, updated_at, metadata,
           (SELECT count(*) FROM holdfast_checkpoints c WHERE c.thread_id = t.id) AS checkpoints
         FROM holdfast_threads t WHERE ${where.join(" AND ")}
         ORDER BY updated_at DESC, id DESC LIMIT ?`,
      )
      .all(...values, query.limit)
      .map((row) => {
        const found = row as SqlRow;
        return {
          id: found["id"] as number,
          key: found["key"] as Uint8Array,
          name: found["name"] as Cell | null,
          createdAt: found["created_at"] as number,
          updatedAt: found["updated_at"] as number,
          metadata: found["metadata"] as Cell | null,
          checkpoints: found["checkpoints"] as number,
        };
      }),
  );
}

export function findThreadsById(
  connection: Connection,
  ids: readonly number[],
): Promise<(ThreadRow & { key: Uint8Array; name: Cell | null })[]> {
  return connection.read(() =>
    connection
      .sql(
        `SELECT id, key, name, generation, hash_key, metadata FROM holdfast_threads
         WHERE id IN (SELECT value FROM json_each(?))`,
      )
      .all(JSON.stringify(ids))
      .map((row) => {
        const found = row as SqlRow;
        return {
          id: found["id"] as number,
          key: found["key"] as Uint8Array,
          name: found["name"] as Cell | null,
          generation: found["generation"] as number,
          hashKey: found["hash_key"] as Uint8Array,
          metadata: found["metadata"] as Cell | null,
        };
      }),
  );
}

/** Deletes, and lets the file shrink where it can. */
async function erase<T>(connection: Connection, work: () => T): Promise<T> {
  const result = await connection.write(work);
  await connection.read(() => {
    connection.exec("PRAGMA incremental_vacuum");
    connection.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  });
  return result;
}

export function deleteThreadRows(connection: Connection, key: Uint8Array): Promise<void> {
  return erase(connection, () => {
    connection
      .sql(
        `DELETE FROM holdfast_run_events
         WHERE run_seq IN (SELECT seq FROM holdfast_runs WHERE thread_key = ?)`,
      )
      .run(key);
    for (const table of TABLES_BY_KEY) {
      connection.sql(`DELETE FROM holdfast_${table} WHERE thread_key = ?`).run(key);
    }
    // What counts once ever outlives the thread.
    connection
      .sql("DELETE FROM holdfast_effects WHERE thread_key = ? AND scope = 'thread'")
      .run(key);
    const thread = findThreadRow(connection, key);
    if (thread === undefined) return;
    for (const table of TABLES_BY_THREAD) {
      connection.sql(`DELETE FROM holdfast_${table} WHERE thread_id = ?`).run(thread.id);
    }
    connection.sql("DELETE FROM holdfast_threads WHERE id = ?").run(thread.id);
  });
}

export function copyThreadRows(
  connection: Connection,
  from: ThreadRow,
  key: Uint8Array,
  name: Cell | null,
  now: number,
): Promise<boolean> {
  return connection.write(() => {
    if (!insertThread(connection, key, name, from.hashKey, now)) return false;
    const to = (findThreadRow(connection, key) as ThreadRow).id;
    connection
      .sql(
        "UPDATE holdfast_threads SET metadata = (SELECT metadata FROM holdfast_threads WHERE id = ?) WHERE id = ?",
      )
      .run(from.id, to);
    // New version ids keep the order of the old ones, so one offset serves every reference.
    const { low, high } = connection
      .sql(
        "SELECT min(id) AS low, max(id) AS high FROM holdfast_channel_versions WHERE thread_id = ?",
      )
      .get(from.id) as { low: number | null; high: number | null };
    const span = low === null || high === null ? 0 : high - low + 1;
    const { next } = connection
      .sql(
        "UPDATE holdfast_sequences SET next = next + ? WHERE name = 'channel_versions' RETURNING next",
      )
      .get(span) as { next: number };
    const offset = next - span - (low ?? 0);
    connection
      .sql(
        `INSERT INTO holdfast_channel_versions (id, thread_id, channel, base_id, data)
         SELECT id + ?, ?, channel, base_id + ?, data FROM holdfast_channel_versions WHERE thread_id = ?`,
      )
      .run(offset, to, offset, from.id);
    connection
      .sql(
        `INSERT INTO holdfast_payloads (thread_id, hash, kind, data)
         SELECT ?, hash, kind, data FROM holdfast_payloads WHERE thread_id = ?`,
      )
      .run(to, from.id);
    connection
      .sql(
        `INSERT INTO holdfast_pending_writes
           (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, branch, channel, base_id, data)
         SELECT ?, checkpoint_ns, checkpoint_id, task_id, idx, branch, channel, base_id + ?, data
         FROM holdfast_pending_writes WHERE thread_id = ?`,
      )
      .run(to, offset, from.id);
    connection
      .sql(
        `INSERT INTO holdfast_checkpoints
           (thread_id, checkpoint_ns, checkpoint_id, parent_id, manifest, consumed, run_id, created_at, header)
         SELECT ?, checkpoint_ns, checkpoint_id, parent_id,
           (SELECT json_group_array(value + ?) FROM json_each(manifest)), consumed, run_id, created_at, header
         FROM holdfast_checkpoints WHERE thread_id = ?`,
      )
      .run(to, offset, from.id);
    return true;
  });
}

export function outline(
  connection: Connection,
  thread: number,
): Promise<ThreadOutline | undefined> {
  return connection.read(() => {
    const found = connection
      .sql("SELECT revision FROM holdfast_threads WHERE id = ?")
      .get(thread) as { revision: number } | undefined;
    if (found === undefined) return undefined;
    return {
      revision: found.revision,
      checkpoints: connection
        .sql("SELECT * FROM holdfast_checkpoints WHERE thread_id = ?")
        .all(thread)
        .map((row) => checkpointRow(row as SqlRow)),
      versions: connection
        .sql(
          `SELECT id, channel, base_id AS base, length(CAST(data AS BLOB)) AS bytes
           FROM holdfast_channel_versions WHERE thread_id = ?`,
        )
        .all(thread) as ThreadOutline["versions"],
      writes: connection
        .sql(
          `SELECT checkpoint_ns AS ns, checkpoint_id AS checkpoint, channel, idx,
             length(CAST(data AS BLOB)) AS bytes
           FROM holdfast_pending_writes WHERE thread_id = ?`,
        )
        .all(thread) as ThreadOutline["writes"],
      payloads: connection
        .sql(
          "SELECT hash, length(CAST(data AS BLOB)) AS bytes FROM holdfast_payloads WHERE thread_id = ?",
        )
        .all(thread) as ThreadOutline["payloads"],
    };
  });
}

export function removeThreadRows(
  connection: Connection,
  thread: number,
  revision: number,
  removal: Removal,
): Promise<boolean> {
  return erase(connection, () => {
    const { changes } = connection
      .sql(
        `UPDATE holdfast_threads SET generation = generation + 1, revision = revision + 1
         WHERE id = ? AND revision = ?`,
      )
      .run(thread, revision);
    if (Number(changes) === 0) return false;
    for (const { ns, id } of removal.checkpoints) {
      connection
        .sql(
          "DELETE FROM holdfast_checkpoints WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?",
        )
        .run(thread, ns, id);
      connection
        .sql(
          "DELETE FROM holdfast_pending_writes WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?",
        )
        .run(thread, ns, id);
      // Without a key it belongs to a task that can't run again; but what can be undone may have to be.
      connection
        .sql(
          `DELETE FROM holdfast_effects
           WHERE thread_key = (SELECT key FROM holdfast_threads WHERE id = ?) AND root_checkpoint = ?
             AND task_id IS NOT NULL AND ? = x'' AND (NOT undoable OR state = 'closed')`,
        )
        .run(thread, id, ns);
      for (const table of TABLES_BY_TASK) {
        connection
          .sql(
            `DELETE FROM holdfast_${table}
             WHERE thread_key = (SELECT key FROM holdfast_threads WHERE id = ?)
               AND checkpoint_ns = ? AND checkpoint_id = ?`,
          )
          .run(thread, ns, id);
      }
    }
    connection
      .sql("DELETE FROM holdfast_channel_versions WHERE id IN (SELECT value FROM json_each(?))")
      .run(JSON.stringify(removal.versions));
    connection
      .sql(
        "DELETE FROM holdfast_payloads WHERE thread_id = ? AND hash IN (SELECT value FROM json_each(?))",
      )
      .run(thread, JSON.stringify(removal.payloads));
    return true;
  });
}

export function findThreadsOfRuns(
  connection: Connection,
  runIds: readonly Uint8Array[],
): Promise<number[]> {
  return connection.read(() => {
    const threads = new Set<number>();
    for (const runId of runIds) {
      const rows = connection
        .sql("SELECT DISTINCT thread_id AS thread FROM holdfast_checkpoints WHERE run_id = ?")
        .all(runId);
      for (const row of rows) threads.add((row as { thread: number }).thread);
    }
    return [...threads];
  });
}

export function countRows(connection: Connection, thread: number | undefined): Promise<StatsRows> {
  const where = thread === undefined ? "" : "WHERE thread_id = ?";
  const values = thread === undefined ? [] : [thread];
  const count = (table: string, column: string): { count: number; bytes: number } =>
    connection
      .sql(
        `SELECT count(*) AS count, coalesce(sum(length(CAST(${column} AS BLOB))), 0) AS bytes
         FROM holdfast_${table} ${where}`,
      )
      .get(...values) as { count: number; bytes: number };
  return connection.read(() => {
    const checkpoints = count("checkpoints", "header");
    const writes = count("pending_writes", "data");
    const payloads = count("payloads", "data");
    const threads = connection.sql("SELECT count(*) AS count FROM holdfast_threads").get() as {
      count: number;
    };
    return {
      threads: thread === undefined ? threads.count : 1,
      checkpoints: checkpoints.count,
      checkpointBytes: checkpoints.bytes,
      pendingWrites: writes.count,
      pendingWriteBytes: writes.bytes,
      payloads: payloads.count,
      payloadBytes: payloads.bytes,
      channels: connection
        .sql(
          `SELECT channel, count(*) AS versions, sum(base_id IS NULL) AS keyframes,
             sum(length(CAST(data AS BLOB))) AS bytes
           FROM holdfast_channel_versions ${where} GROUP BY channel ORDER BY bytes DESC`,
        )
        .all(...values) as StatsRows["channels"],
    };
  });
}
