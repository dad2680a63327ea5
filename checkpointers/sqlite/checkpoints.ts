/** Checkpoints, their channel versions, payloads and pending writes: written and read. */

import {
  UNLEASED,
  type Ancestor,
  type Batch,
  type CheckpointQuery,
  type CheckpointRow,
  type FoundCheckpoint,
  type FoundWrite,
  type PayloadRow,
  type ThreadRow,
  type VersionRow,
  type WriteRow,
} from "../dialect.ts";
import { insertEvent } from "./events.ts";
import type { Connection, SqlRow, SqlValue } from "./connection.ts";

const CHECKPOINT_COLUMNS =
  "thread_id, checkpoint_ns, checkpoint_id, parent_id, manifest, consumed, run_id, created_at, header";
const WRITE_COLUMNS = "task_id, idx, branch, channel, base_id, data";

export function commitBatch(connection: Connection, batch: Batch): Promise<ReadonlySet<number>> {
  return connection.write(() => {
    const left = new Set<number>();
    const touch = connection.sql(TOUCH_THREAD);
    const now = connection.now();
    for (const { updatedAt, metadata, id, generation, token } of batch.threads) {
      const { changes } = touch.run(updatedAt, metadata, id, generation, token, now);
      if (Number(changes) === 0) left.add(id);
    }
    const isWritten = (row: { thread: number }): boolean =>
      left.size === 0 || !left.has(row.thread);
    const payload = connection.sql(INSERT_PAYLOAD);
    for (const row of batch.payloads)
      if (isWritten(row)) payload.run(row.thread, row.hash, row.kind, row.data);
    const version = connection.sql(INSERT_VERSION);
    for (const row of batch.versions)
      if (isWritten(row)) version.run(row.id, row.thread, row.channel, row.base, row.data);
    for (const row of batch.writes) if (isWritten(row)) insertWrite(connection, row);
    for (const row of batch.checkpoints) if (isWritten(row)) insertCheckpoint(connection, row);
    for (const row of batch.events)
      if (isWritten({ thread: row.threadId })) insertEvent(connection, row);
    return left;
  });
}

const TOUCH_THREAD = `UPDATE holdfast_threads
  SET updated_at = max(updated_at, ?), revision = revision + 1, metadata = coalesce(?, metadata)
  WHERE id = ? AND generation = ?
    AND CASE coalesce(?, 'none')
      WHEN 'none' THEN lease_owner IS NULL OR lease_expires_at <= ?
      WHEN ${UNLEASED} THEN true
      WHEN lease_token THEN true
      ELSE false
    END`;

const INSERT_PAYLOAD =
  "INSERT INTO holdfast_payloads (thread_id, hash, kind, data) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";

const INSERT_VERSION = `INSERT INTO holdfast_channel_versions (id, thread_id, channel, base_id, data)
  VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`;

const INSERT_WRITE = `INSERT INTO holdfast_pending_writes
    (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, branch, channel, base_id, data)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, branch)`;

const KEEP_WRITE = `${INSERT_WRITE} DO NOTHING`;

const REPLACE_WRITE = `${INSERT_WRITE}
  DO UPDATE SET channel = excluded.channel, base_id = excluded.base_id, data = excluded.data`;

const INSERT_CHECKPOINT = `INSERT INTO holdfast_checkpoints (${CHECKPOINT_COLUMNS})
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id) DO UPDATE SET
    parent_id = coalesce(excluded.parent_id, holdfast_checkpoints.parent_id), manifest = excluded.manifest,
    consumed = coalesce(excluded.consumed, holdfast_checkpoints.consumed),
    run_id = excluded.run_id, created_at = excluded.created_at, header = excluded.header`;

function insertWrite(connection: Connection, row: WriteRow): void {
  const { thread, ns, checkpoint, task, idx, branch, channel, base, replace, data } = row;
  connection
    .sql(replace ? REPLACE_WRITE : KEEP_WRITE)
    .run(thread, ns, checkpoint, task, idx, branch, channel, base, data);
}

function insertCheckpoint(connection: Connection, row: CheckpointRow): void {
  connection
    .sql(INSERT_CHECKPOINT)
    .run(
      row.thread,
      row.ns,
      row.id,
      row.parent,
      JSON.stringify(row.manifest),
      row.consumed === null ? null : JSON.stringify(row.consumed),
      row.runId,
      row.createdAt,
      row.header,
    );
}

export function findCheckpoint(
  connection: Connection,
  key: Uint8Array,
  ns: Uint8Array,
  id: Uint8Array | undefined,
): Promise<FoundCheckpoint | undefined> {
  return connection.read(() => {
    const thread = findThreadRow(connection, key);
    if (thread === undefined) return undefined;
    const where = "FROM holdfast_checkpoints WHERE thread_id = ? AND checkpoint_ns = ?";
    const row =
      id === undefined
        ? connection
            .sql(`SELECT ${CHECKPOINT_COLUMNS} ${where} ORDER BY checkpoint_id DESC LIMIT 1`)
            .get(thread.id, ns)
        : connection
            .sql(`SELECT ${CHECKPOINT_COLUMNS} ${where} AND checkpoint_id = ?`)
            .get(thread.id, ns, id);
    if (row === undefined) return undefined;
    const checkpoint = checkpointRow(row as SqlRow);
    const writes = connection
      .sql(
        `SELECT ${WRITE_COLUMNS} FROM holdfast_pending_writes
         WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ? ORDER BY task_id, idx, branch`,
      )
      .all(thread.id, ns, checkpoint.id)
      .map((write) => writeRow(write as SqlRow));
    return { thread, checkpoint, writes };
  });
}

export function findThreadRow(connection: Connection, key: Uint8Array): ThreadRow | undefined {
  const row = connection
    .sql("SELECT id, generation, hash_key, metadata FROM holdfast_threads WHERE key = ?")
    .get(key) as SqlRow | undefined;
  if (row === undefined) return undefined;
  return {
    id: row["id"] as number,
    generation: row["generation"] as number,
    hashKey: row["hash_key"] as Uint8Array,
    metadata: row["metadata"] as string | Uint8Array | null,
  };
}

export function findVersions(
  connection: Connection,
  ids: readonly number[],
): Promise<Omit<VersionRow, "thread">[]> {
  return connection.read(() =>
    connection
      .sql(
        `WITH RECURSIVE chain (id) AS (
           SELECT value FROM json_each(?)
           UNION
           SELECT v.base_id FROM chain JOIN holdfast_channel_versions v ON v.id = chain.id
           WHERE v.base_id IS NOT NULL
         )
         SELECT v.id, v.channel, v.base_id, v.data
         FROM chain JOIN holdfast_channel_versions v ON v.id = chain.id`,
      )
      .all(JSON.stringify(ids))
      .map((row) => {
        const { id, channel, base_id, data } = row as SqlRow;
        return {
          id: id as number,
          channel: channel as Uint8Array,
          base: base_id as number | null,
          data: data as string | Uint8Array,
        };
      }),
  );
}

export function findVersionsOfChannels(
  connection: Connection,
  thread: number,
  channels: readonly Uint8Array[],
): Promise<{ id: number; channel: Uint8Array }[]> {
  return connection.read(
    () =>
      connection
        .sql(
          `SELECT id, channel FROM holdfast_channel_versions
           WHERE thread_id = ? AND hex(channel) IN (SELECT value FROM json_each(?))`,
        )
        .all(
          thread,
          JSON.stringify(
            channels.map((channel) => Buffer.from(channel).toString("hex").toUpperCase()),
          ),
        ) as { id: number; channel: Uint8Array }[],
  );
}

export function findPayloads(
  connection: Connection,
  thread: number,
  hashes: readonly string[],
): Promise<Omit<PayloadRow, "thread">[]> {
  return connection.read(
    () =>
      connection
        // A join would be free to scan all payloads of the thread for each of the hashes.
        .sql(
          `SELECT hash, kind, data FROM holdfast_payloads
           WHERE thread_id = ? AND hash IN (SELECT value FROM json_each(?))`,
        )
        .all(thread, JSON.stringify(hashes)) as Omit<PayloadRow, "thread">[],
  );
}

export function listRows(connection: Connection, query: CheckpointQuery): Promise<CheckpointRow[]> {
  const where: string[] = ["1 = 1"];
  const values: SqlValue[] = [];
  const add = (condition: string, ...parameters: SqlValue[]): void => {
    where.push(condition);
    values.push(...parameters);
  };
  if (query.thread !== undefined) add("thread_id = ?", query.thread);
  if (query.ns !== undefined) add("checkpoint_ns = ?", query.ns);
  if (query.id !== undefined) add("checkpoint_id = ?", query.id);
  if (query.before !== undefined) add("checkpoint_id < ?", query.before);
  if (query.after !== undefined) {
    const { thread, ns, id } = query.after;
    add(
      `(thread_id > ? OR (thread_id = ? AND (checkpoint_ns > ? OR (checkpoint_ns = ? AND checkpoint_id < ?))))`,
      thread,
      thread,
      ns,
      ns,
      id,
    );
  }
  return connection.read(() =>
    connection
      .sql(
        `SELECT ${CHECKPOINT_COLUMNS} FROM holdfast_checkpoints WHERE ${where.join(" AND ")}
         ORDER BY thread_id, checkpoint_ns, checkpoint_id DESC LIMIT ?`,
      )
      .all(...values, query.limit)
      .map((row) => checkpointRow(row as SqlRow)),
  );
}

export function findWrites(
  connection: Connection,
  thread: number,
  ns: Uint8Array,
  checkpoints: readonly Uint8Array[],
  channels: readonly Uint8Array[] | undefined,
): Promise<(FoundWrite & { checkpoint: Uint8Array })[]> {
  return connection.read(() => {
    // All between the first and the last: one statement takes less than one for each.
    const wanted = new Map(checkpoints.map((id) => [latin1(id), id]));
    const [first, last] = extent(checkpoints);
    const ofChannels = channels && new Set(channels.map(latin1));
    const found: (FoundWrite & { checkpoint: Uint8Array })[] = [];
    if (first === undefined || last === undefined) return found;
    const rows = connection
      .sql(
        `SELECT checkpoint_id, ${WRITE_COLUMNS} FROM holdfast_pending_writes
         WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id BETWEEN ? AND ?
         ORDER BY checkpoint_id, task_id, idx, branch`,
      )
      .all(thread, ns, first, last) as SqlRow[];
    for (const row of rows) {
      const checkpoint = wanted.get(latin1(row["checkpoint_id"] as Uint8Array));
      if (checkpoint === undefined) continue;
      if (ofChannels?.has(latin1(row["channel"] as Uint8Array)) === false) continue;
      found.push({ ...writeRow(row), checkpoint });
    }
    return found;
  });
}

function extent(ids: readonly Uint8Array[]): [first?: Uint8Array, last?: Uint8Array] {
  let [first, last] = [ids[0], ids[0]];
  for (const id of ids) {
    if (Buffer.compare(id, first as Uint8Array) < 0) first = id;
    if (Buffer.compare(id, last as Uint8Array) > 0) last = id;
  }
  return first === undefined || last === undefined ? [] : [first, last];
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

export function findAncestors(
  connection: Connection,
  thread: number,
  ns: Uint8Array,
  id: Uint8Array,
  limit: number,
): Promise<Ancestor[]> {
  return connection.read(() =>
    connection
      .sql(
        `WITH RECURSIVE
         target (thread, ns, id, most) AS (SELECT ?, ?, ?, ?),
         line (depth, id, consumed) AS (
           SELECT 1, c.parent_id, c.consumed
           FROM target t JOIN holdfast_checkpoints c
             ON c.thread_id = t.thread AND c.checkpoint_ns = t.ns AND c.checkpoint_id = t.id
           WHERE c.parent_id IS NOT NULL
           UNION ALL
           SELECT depth + 1, c.parent_id, c.consumed
           FROM line JOIN target t JOIN holdfast_checkpoints c
             ON c.thread_id = t.thread AND c.checkpoint_ns = t.ns AND c.checkpoint_id = line.id
           WHERE c.parent_id IS NOT NULL AND depth < t.most
         )
         SELECT c.checkpoint_id, c.manifest, line.consumed
         FROM line JOIN target t JOIN holdfast_checkpoints c
           ON c.thread_id = t.thread AND c.checkpoint_ns = t.ns AND c.checkpoint_id = line.id
         ORDER BY depth`,
      )
      .all(thread, ns, id, limit)
      .map((row) => {
        const found = row as SqlRow;
        return {
          id: found["checkpoint_id"] as Uint8Array,
          manifest: JSON.parse(found["manifest"] as string) as number[],
          consumed: numbersOrNull(found["consumed"]),
        };
      }),
  );
}

export function checkpointRow(row: SqlRow): CheckpointRow {
  return {
    thread: row["thread_id"] as number,
    ns: row["checkpoint_ns"] as Uint8Array,
    id: row["checkpoint_id"] as Uint8Array,
    parent: row["parent_id"] as Uint8Array | null,
    manifest: JSON.parse(row["manifest"] as string) as number[],
    consumed: numbersOrNull(row["consumed"]),
    runId: row["run_id"] as Uint8Array | null,
    createdAt: row["created_at"] as number,
    header: row["header"] as string | Uint8Array,
  };
}

function writeRow(row: SqlRow): FoundWrite {
  return {
    task: row["task_id"] as Uint8Array,
    idx: row["idx"] as number,
    branch: row["branch"] as number,
    channel: row["channel"] as Uint8Array,
    base: row["base_id"] as number | null,
    data: row["data"] as string | Uint8Array,
  };
}

function numbersOrNull(text: unknown): number[] | null {
  return typeof text === "string" ? (JSON.parse(text) as number[]) : null;
}
