/** Whole threads: found, listed, copied, deleted, thinned out, counted. */

import type { Cell } from "../encoding/cells.ts";
import { MAX_RESERVED } from "../dialect.ts";
import type {
  NewThread,
  Removal,
  StatsRows,
  ThreadListing,
  ThreadOutline,
  ThreadQuery,
  ThreadRow,
} from "../dialect.ts";
import { checkpointRow, findThreadRow, threadRow } from "./checkpoints.ts";
import { array, cellOf, type Connection, type SqlRow, type SqlValue } from "./connection.ts";

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
  return findThreadRow(connection, key);
}

/**
 * Tokens of leases begin at the instant: those of an earlier thread with the same id, which was deleted
 * while it was run, are none of this one's.
 */
export async function createThreads(
  connection: Connection,
  threads: readonly NewThread[],
  now: number,
): Promise<ThreadRow[]> {
  const rows = await connection.query(
    `WITH made AS (
       INSERT INTO ${connection.name("threads")} (key, name, name_bytes, hash_key, created_at, updated_at, lease_token)
       SELECT w.*, $5::bigint, $5::bigint, $5::bigint
       FROM unnest($1::bytea[], $2::text[], $3::bytea[], $4::bytea[]) AS w (key, name, name_bytes, hash_key)
       WHERE NOT EXISTS (SELECT FROM ${connection.name("threads")} t WHERE t.key = w.key)
       ORDER BY w.key ON CONFLICT DO NOTHING
       RETURNING key, id, generation, hash_key, metadata, metadata_bytes
     )
     SELECT * FROM made
     UNION ALL
     SELECT key, id, generation, hash_key, metadata, metadata_bytes
     FROM ${connection.name("threads")} WHERE key = ANY ($1::bytea[])`,
    [
      array.bytes(threads.map((thread) => thread.key)),
      ...array.cells(threads.map((thread) => thread.name)),
      array.bytes(threads.map((thread) => thread.hashKey)),
      now,
    ],
  );
  const found = new Map(rows.map((row) => [hex(row["key"] as Uint8Array), threadRow(row)]));
  // What another process made meanwhile is there now, but this statement did not see it.
  const unseen = threads.filter(({ key }) => !found.has(hex(key)));
  if (unseen.length > 0) {
    const rest = await createThreads(connection, unseen, now);
    unseen.forEach(({ key }, i) => found.set(hex(key), rest[i] as ThreadRow));
  }
  return threads.map(({ key }) => found.get(hex(key)) as ThreadRow);
}

function hex(key: Uint8Array): string {
  return Buffer.from(key).toString("hex");
}

function insertThreadText(connection: Connection): string {
  return `INSERT INTO ${connection.name("threads")} (key, name, name_bytes, hash_key, created_at, updated_at, lease_token)
     VALUES ($1, $2, $3, $4, $5::bigint, $5::bigint, $5::bigint) ON CONFLICT DO NOTHING
     RETURNING id, pg_current_xact_id()::text AS transaction`;
}

function columnsOf(cell: Cell | null): [text: string | null, bytes: Uint8Array | null] {
  return typeof cell === "string" ? [cell, null] : [null, cell];
}

/** Each number of the sequence stands for so many version ids. */
const BLOCK = MAX_RESERVED;

export async function reserveVersions(connection: Connection, count: number): Promise<number> {
  if (count > BLOCK)
    throw new RangeError(`at most ${BLOCK} version ids at once, asked for ${count}`);
  const [row] = await connection.query("SELECT nextval($1::regclass) AS block", [
    connection.name("channel_version_ids"),
  ]);
  return (row?.["block"] as number) * BLOCK;
}

export async function listThreadRows(
  connection: Connection,
  query: ThreadQuery,
): Promise<ThreadListing[]> {
  const where: string[] = ["true"];
  const values: SqlValue[] = [];
  const add = (condition: string, value: SqlValue): void => {
    values.push(value);
    where.push(`${condition} $${values.length}::bigint`);
  };
  if (query.prefix !== undefined) {
    // Within a key, 0xff stands at most once.
    values.push(query.prefix, Buffer.concat([query.prefix, Buffer.of(0xff, 0xff)]));
    where.push(`key >= $${values.length - 1}::bytea AND key < $${values.length}::bytea`);
  }
  if (query.createdAfter !== undefined) add("created_at >", query.createdAfter);
  if (query.createdBefore !== undefined) add("created_at <", query.createdBefore);
  if (query.updatedAfter !== undefined) add("updated_at >", query.updatedAfter);
  if (query.updatedBefore !== undefined) add("updated_at <", query.updatedBefore);
  if (query.after !== undefined) {
    values.push(query.after.updatedAt, query.after.id);
    where.push(`(updated_at, id) < ($${values.length - 1}::bigint, $${values.length}::bigint)`);
  }
  values.push(query.limit);
  const rows = await connection.query(
    `SELECT id, key, name, name_bytes, created_at, updated_at, metadata, metadata_bytes,
       (SELECT count(*) FROM ${connection.name("checkpoints")} c WHERE c.thread_id = t.id) AS checkpoints
     FROM ${connection.name("threads")} t WHERE ${where.join(" AND ")}
     ORDER BY updated_at DESC, id DESC LIMIT $${values.length}`,
    values,
  );
  return rows.map((row) => ({
    id: row["id"] as number,
    key: row["key"] as Uint8Array,
    name: cellOf(row["name"], row["name_bytes"]) as Cell | null,
    createdAt: row["created_at"] as number,
    updatedAt: row["updated_at"] as number,
    metadata: cellOf(row["metadata"], row["metadata_bytes"]) as Cell | null,
    checkpoints: row["checkpoints"] as number,
  }));
}

export async function findThreadsById(
  connection: Connection,
  ids: readonly number[],
): Promise<(ThreadRow & { key: Uint8Array; name: Cell | null })[]> {
  const rows = await connection.query(
    `SELECT id, key, name, name_bytes, generation, hash_key, metadata, metadata_bytes
     FROM ${connection.name("threads")}
     WHERE id = ANY ($1::bigint[])`,
    [array.bigints(ids)],
  );
  return rows.map((row) => ({
    id: row["id"] as number,
    key: row["key"] as Uint8Array,
    name: cellOf(row["name"], row["name_bytes"]) as Cell | null,
    generation: row["generation"] as number,
    hashKey: row["hash_key"] as Uint8Array,
    metadata: cellOf(row["metadata"], row["metadata_bytes"]) as Cell | null,
  }));
}

/** The thread's row goes first: its lock keeps writers out, who then find the thread gone. */
export async function deleteThreadRows(connection: Connection, key: Uint8Array): Promise<void> {
  await connection.transaction(async (query) => {
    const [thread] = await query(
      `DELETE FROM ${connection.name("threads")} WHERE key = $1 RETURNING id`,
      [key],
    );
    await query(
      `DELETE FROM ${connection.name("run_events")}
       WHERE run_seq IN (SELECT seq FROM ${connection.name("runs")} WHERE thread_key = $1)`,
      [key],
    );
    for (const table of TABLES_BY_KEY) {
      await query(`DELETE FROM ${connection.name(table)} WHERE thread_key = $1`, [key]);
    }
    // What counts once ever outlives the thread.
    await query(
      `DELETE FROM ${connection.name("effects")} WHERE thread_key = $1 AND scope = 'thread'`,
      [key],
    );
    if (thread === undefined) return;
    for (const table of TABLES_BY_THREAD) {
      await query(`DELETE FROM ${connection.name(table)} WHERE thread_id = $1`, [
        thread["id"] as number,
      ]);
    }
  });
}

export function copyThreadRows(
  connection: Connection,
  from: ThreadRow,
  key: Uint8Array,
  name: Cell | null,
  now: number,
): Promise<boolean> {
  const table = (which: string): string => connection.name(which);
  return connection.transaction(async (query, _client, noteId) => {
    // Nobody prunes or writes it while it is copied.
    await query(`SELECT 1 FROM ${table("threads")} WHERE id = $1 FOR UPDATE`, [from.id]);
    const [created] = await query(insertThreadText(connection), [
      key,
      ...columnsOf(name),
      from.hashKey,
      now,
    ]);
    if (created === undefined) return false;
    // The second time it would find the copy that the first one made.
    noteId(created["transaction"] as string);
    const to = created["id"] as number;
    await query(
      `UPDATE ${table("threads")} t SET metadata = s.metadata, metadata_bytes = s.metadata_bytes
       FROM ${table("threads")} s WHERE t.id = $1 AND s.id = $2`,
      [to, from.id],
    );
    // The copy's versions get ids of their own: the n-th of the old ones becomes the n-th of new blocks.
    const [count] = await query(
      `SELECT count(*) AS count FROM ${table("channel_versions")} WHERE thread_id = $1`,
      [from.id],
    );
    const blocks: number[] = [];
    for (let drawn = 0; drawn * BLOCK < (count?.["count"] as number); drawn += 1) {
      const [next] = await query("SELECT nextval($1::regclass) AS block", [
        table("channel_version_ids"),
      ]);
      blocks.push(next?.["block"] as number);
    }
    const renumbered = `renumbered AS (
      SELECT id, ($3::bigint[])[n / ${BLOCK} + 1] * ${BLOCK} + n % ${BLOCK} AS new_id
      FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS n
            FROM ${table("channel_versions")} WHERE thread_id = $1::bigint) AS numbered
    )`;
    const places = [from.id, to, array.bigints(blocks)];
    await query(
      `WITH ${renumbered}
       INSERT INTO ${table("channel_versions")} (id, thread_id, channel, base_id, data, data_bytes)
       SELECT r.new_id, $2::bigint, v.channel, b.new_id, v.data, v.data_bytes
       FROM ${table("channel_versions")} v JOIN renumbered r ON r.id = v.id
         LEFT JOIN renumbered b ON b.id = v.base_id
       WHERE v.thread_id = $1::bigint`,
      places,
    );
    await query(
      `INSERT INTO ${table("payloads")} (thread_id, hash, kind, data, data_bytes)
       SELECT $2::bigint, hash, kind, data, data_bytes FROM ${table("payloads")} WHERE thread_id = $1::bigint`,
      [from.id, to],
    );
    await query(
      `WITH ${renumbered}
       INSERT INTO ${table("pending_writes")}
         (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, branch, channel, base_id, data, data_bytes)
       SELECT $2::bigint, w.checkpoint_ns, w.checkpoint_id, w.task_id, w.idx, w.branch, w.channel,
         b.new_id, w.data, w.data_bytes
       FROM ${table("pending_writes")} w LEFT JOIN renumbered b ON b.id = w.base_id
       WHERE w.thread_id = $1::bigint`,
      places,
    );
    await query(
      `WITH ${renumbered}
       INSERT INTO ${table("checkpoints")}
         (thread_id, checkpoint_ns, checkpoint_id, parent_id, manifest, consumed, run_id, created_at, header, header_bytes)
       SELECT $2::bigint, c.checkpoint_ns, c.checkpoint_id, c.parent_id,
         (SELECT coalesce(json_agg(r.new_id ORDER BY v.position), '[]'::json)::text
          FROM json_array_elements_text(c.manifest::json) WITH ORDINALITY AS v (id, position)
            JOIN renumbered r ON r.id = v.id::bigint),
         c.consumed, c.run_id, c.created_at, c.header, c.header_bytes
       FROM ${table("checkpoints")} c WHERE c.thread_id = $1::bigint`,
      places,
    );
    return true;
  });
}

export async function outline(
  connection: Connection,
  thread: number,
): Promise<ThreadOutline | undefined> {
  const table = (which: string): string => connection.name(which);
  // The revision first: whatever is written after it makes the removal start over.
  const [found] = await connection.query(`SELECT revision FROM ${table("threads")} WHERE id = $1`, [
    thread,
  ]);
  if (found === undefined) return undefined;
  const bytes = "coalesce(octet_length(data), octet_length(data_bytes)) AS bytes";
  const checkpoints = await connection.query(
    `SELECT * FROM ${table("checkpoints")} WHERE thread_id = $1`,
    [thread],
  );
  const versions = await connection.query(
    `SELECT id, channel, base_id AS base, ${bytes} FROM ${table("channel_versions")} WHERE thread_id = $1`,
    [thread],
  );
  const writes = await connection.query(
    `SELECT checkpoint_ns AS ns, checkpoint_id AS checkpoint, channel, idx, ${bytes}
     FROM ${table("pending_writes")} WHERE thread_id = $1`,
    [thread],
  );
  const payloads = await connection.query(
    `SELECT hash, ${bytes} FROM ${table("payloads")} WHERE thread_id = $1`,
    [thread],
  );
  return {
    revision: found["revision"] as number,
    checkpoints: checkpoints.map(checkpointRow),
    versions: versions as ThreadOutline["versions"],
    writes: writes as ThreadOutline["writes"],
    payloads: payloads as ThreadOutline["payloads"],
  };
}

export function removeThreadRows(
  connection: Connection,
  thread: number,
  revision: number,
  removal: Removal,
): Promise<boolean> {
  const table = (which: string): string => connection.name(which);
  return connection.transaction(async (query) => {
    const [raised] = await query(
      `UPDATE ${table("threads")} SET generation = generation + 1, revision = revision + 1
       WHERE id = $1 AND revision = $2 RETURNING id`,
      [thread, revision],
    );
    if (raised === undefined) return false;
    const places = [
      array.bytes(removal.checkpoints.map(({ ns }) => ns)),
      array.bytes(removal.checkpoints.map(({ id }) => id)),
    ];
    for (const name of ["checkpoints", "pending_writes"]) {
      await query(
        `DELETE FROM ${table(name)} r USING unnest($2::bytea[], $3::bytea[]) AS gone (ns, id)
         WHERE r.thread_id = $1 AND r.checkpoint_ns = gone.ns AND r.checkpoint_id = gone.id`,
        [thread, ...places],
      );
    }
    for (const name of TABLES_BY_TASK) {
      await query(
        `DELETE FROM ${table(name)} r USING unnest($2::bytea[], $3::bytea[]) AS gone (ns, id)
         WHERE r.thread_key = (SELECT key FROM ${table("threads")} WHERE id = $1)
           AND r.checkpoint_ns = gone.ns AND r.checkpoint_id = gone.id`,
        [thread, ...places],
      );
    }
    // Without a key it belongs to a task that can't run again; but what can be undone may have to be.
    await query(
      `DELETE FROM ${table("effects")} r USING unnest($2::bytea[], $3::bytea[]) AS gone (ns, id)
       WHERE r.thread_key = (SELECT key FROM ${table("threads")} WHERE id = $1)
         AND gone.ns = ''::bytea AND r.root_checkpoint = gone.id AND r.task_id IS NOT NULL
         AND (NOT r.undoable OR r.state = 'closed')`,
      [thread, ...places],
    );
    await query(`DELETE FROM ${table("channel_versions")} WHERE id = ANY ($1::bigint[])`, [
      array.bigints(removal.versions),
    ]);
    await query(
      `DELETE FROM ${table("payloads")} WHERE thread_id = $1 AND hash = ANY ($2::text[])`,
      [thread, array.texts(removal.payloads)],
    );
    return true;
  });
}

export async function findThreadsOfRuns(
  connection: Connection,
  runIds: readonly Uint8Array[],
): Promise<number[]> {
  const rows = await connection.query(
    `SELECT DISTINCT thread_id AS thread FROM ${connection.name("checkpoints")} WHERE run_id = ANY ($1::bytea[])`,
    [array.bytes(runIds)],
  );
  return rows.map((row) => row["thread"] as number);
}

export async function countRows(
  connection: Connection,
  thread: number | undefined,
): Promise<StatsRows> {
  const where = thread === undefined ? "" : "WHERE thread_id = $1";
  const values = thread === undefined ? [] : [thread];
  const count = async (
    table: string,
    column: string,
  ): Promise<{ count: number; bytes: number }> => {
    const [row] = await connection.query(
      `SELECT count(*) AS count,
         coalesce(sum(coalesce(octet_length(${column}), octet_length(${column}_bytes))), 0)::bigint AS bytes
       FROM ${connection.name(table)} ${where}`,
      values,
    );
    return row as { count: number; bytes: number };
  };
  const checkpoints = await count("checkpoints", "header");
  const writes = await count("pending_writes", "data");
  const payloads = await count("payloads", "data");
  const [threads] = await connection.query(
    `SELECT count(*) AS count FROM ${connection.name("threads")}`,
  );
  const channels = await connection.query(
    `SELECT channel, count(*) AS versions, count(*) FILTER (WHERE base_id IS NULL) AS keyframes,
       coalesce(sum(coalesce(octet_length(data), octet_length(data_bytes))), 0)::bigint AS bytes
     FROM ${connection.name("channel_versions")} ${where} GROUP BY channel ORDER BY bytes DESC`,
    values,
  );
  return {
    threads: thread === undefined ? ((threads as SqlRow)["count"] as number) : 1,
    checkpoints: checkpoints.count,
    checkpointBytes: checkpoints.bytes,
    pendingWrites: writes.count,
    pendingWriteBytes: writes.bytes,
    payloads: payloads.count,
    payloadBytes: payloads.bytes,
    channels: channels as unknown as StatsRows["channels"],
  };
}
