/** Checkpoints, their channel versions, payloads and pending writes: written and read. */

import { NULL_TASK_ID } from "../found-writes.ts";
import { isHoldfastError } from "../../src/errors.ts";
import type { Cell } from "../encoding/cells.ts";
import { HASH_LENGTH, REFERENCE } from "../encoding/payloads.ts";
import {
  UNLEASED,
  type Ancestor,
  type Batch,
  type CheckpointQuery,
  type CheckpointRow,
  type FoundCheckpoint,
  type FoundWrite,
  type PayloadRow,
  type SetUp,
  type ThreadRow,
  type VersionRow,
  type WholeCheckpoint,
} from "../dialect.ts";
import {
  NOW,
  array,
  cellOf,
  quoted,
  type Connection,
  type SqlRow,
  type SqlValue,
} from "./connection.ts";
import { eventValues } from "./events.ts";
import { PREFIX, SCHEMA_VERSION, schemaNamed } from "./schema.ts";

const CHECKPOINT_COLUMNS =
  "thread_id, checkpoint_ns, checkpoint_id, parent_id, manifest, consumed, run_id, created_at, header, header_bytes";
const WRITE_COLUMNS = "task_id, idx, branch, channel, base_id, data, data_bytes";

/**
 * One statement for the whole batch. It locks the threads in the order of their ids, compares each
 * generation with the locked row (not with an older snapshot of it), and writes the rows of those
 * that are as their writer knew them.
 */
export async function commitBatch(
  connection: Connection,
  batch: Batch,
): Promise<ReadonlySet<number>> {
  const { threads, payloads, versions, writes, checkpoints, events } = batch;
  const rows = await connection.query(commitText(connection, events.length > 0), [
    array.bigints(threads.map((row) => row.id)),
    array.bigints(threads.map((row) => row.generation)),
    array.bigints(threads.map((row) => row.updatedAt)),
    ...array.cells(threads.map((row) => row.metadata)),

    array.bigints(payloads.map((row) => row.thread)),
    array.texts(payloads.map((row) => row.hash)),
    array.integers(payloads.map((row) => row.kind)),
    ...array.cells(payloads.map((row) => row.data)),

    array.bigints(versions.map((row) => row.id)),
    array.bigints(versions.map((row) => row.thread)),
    array.bytes(versions.map((row) => row.channel)),
    array.bigints(versions.map((row) => row.base)),
    ...array.cells(versions.map((row) => row.data)),

    array.bigints(writes.map((row) => row.thread)),
    array.bytes(writes.map((row) => row.ns)),
    array.bytes(writes.map((row) => row.checkpoint)),
    array.bytes(writes.map((row) => row.task)),
    array.integers(writes.map((row) => row.idx)),
    array.bigints(writes.map((row) => row.branch)),
    array.bytes(writes.map((row) => row.channel)),
    array.bigints(writes.map((row) => row.base)),
    ...array.cells(writes.map((row) => row.data)),

    array.bigints(checkpoints.map((row) => row.thread)),
    array.bytes(checkpoints.map((row) => row.ns)),
    array.bytes(checkpoints.map((row) => row.id)),
    array.bytes(checkpoints.map((row) => row.parent)),
    array.texts(checkpoints.map((row) => JSON.stringify(row.manifest))),
    array.texts(
      checkpoints.map((row) => (row.consumed === null ? null : JSON.stringify(row.consumed))),
    ),
    array.bytes(checkpoints.map((row) => row.runId)),
    array.bigints(checkpoints.map((row) => row.createdAt)),
    ...array.cells(checkpoints.map((row) => row.header)),

    array.bigints(threads.map((row) => row.token)),
    connection.givenNow,

    ...(events.length === 0
      ? []
      : [
          array.bigints(events.map((row) => row.threadId)),
          ...eventValues(events),
          connection.givenNow,
        ]),
  ]);
  const written = new Set(rows.map((row) => row["id"] as number));
  return new Set(threads.map((row) => row.id).filter((id) => !written.has(id)));
}

const commitTexts = { plain: new WeakMap<Connection, string>(), events: new WeakMap() };

/** @param withEvents few commits have any, and the others shall not pay for it */
function commitText(connection: Connection, withEvents: boolean): string {
  const texts: WeakMap<Connection, string> = commitTexts[withEvents ? "events" : "plain"];
  const known = texts.get(connection);
  if (known !== undefined) return known;
  const table = (name: string): string => connection.name(name);
  const text = `
    WITH wanted AS (
      SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bytea[], $37::bigint[])
        AS w (id, generation, updated_at, metadata, metadata_bytes, token)
    ), locked AS (
      SELECT t.id, t.generation, t.lease_token, t.lease_owner, t.lease_expires_at FROM ${table("threads")} t
      WHERE t.id = ANY ($1::bigint[]) ORDER BY t.id FOR NO KEY UPDATE
    ), current AS MATERIALIZED (
      SELECT w.* FROM wanted w JOIN locked l ON l.id = w.id AND l.generation = w.generation
        AND CASE
          WHEN w.token IS NULL THEN l.lease_owner IS NULL OR l.lease_expires_at <= coalesce($38::bigint, ${NOW})
          ELSE w.token IN (l.lease_token, ${UNLEASED})
        END
    ), touched AS (
      UPDATE ${table("threads")} t
      SET updated_at = greatest(t.updated_at, c.updated_at), revision = t.revision + 1,
        metadata = CASE WHEN c.metadata IS NULL AND c.metadata_bytes IS NULL THEN t.metadata ELSE c.metadata END,
        metadata_bytes =
          CASE WHEN c.metadata IS NULL AND c.metadata_bytes IS NULL THEN t.metadata_bytes ELSE c.metadata_bytes END
      FROM current c WHERE t.id = c.id
    ), new_payloads AS (
      INSERT INTO ${table("payloads")} (thread_id, hash, kind, data, data_bytes)
      SELECT r.* FROM unnest($6::bigint[], $7::text[], $8::integer[], $9::text[], $10::bytea[])
        AS r (thread_id, hash, kind, data, data_bytes) JOIN current c ON c.id = r.thread_id
      ON CONFLICT DO NOTHING
    ), new_versions AS (
      INSERT INTO ${table("channel_versions")} (id, thread_id, channel, base_id, data, data_bytes)
      SELECT r.* FROM unnest($11::bigint[], $12::bigint[], $13::bytea[], $14::bigint[], $15::text[], $16::bytea[])
        AS r (id, thread_id, channel, base_id, data, data_bytes) JOIN current c ON c.id = r.thread_id
      ON CONFLICT DO NOTHING
    ), new_writes AS (
      INSERT INTO ${table("pending_writes")}
        (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, branch, channel, base_id, data, data_bytes)
      SELECT r.* FROM unnest($17::bigint[], $18::bytea[], $19::bytea[], $20::bytea[], $21::integer[],
          $22::bigint[], $23::bytea[], $24::bigint[], $25::text[], $26::bytea[])
        AS r (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, branch, channel, base_id, data, data_bytes)
        JOIN current c ON c.id = r.thread_id
      ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, branch) DO UPDATE SET
        channel = excluded.channel, base_id = excluded.base_id,
        data = excluded.data, data_bytes = excluded.data_bytes
      WHERE excluded.idx < 0 OR excluded.task_id = '${NULL_TASK_ID}'::bytea
    ), new_checkpoints AS (
      INSERT INTO ${table("checkpoints")} AS own (${CHECKPOINT_COLUMNS})
      SELECT r.* FROM unnest($27::bigint[], $28::bytea[], $29::bytea[], $30::bytea[], $31::text[],
          $32::text[], $33::bytea[], $34::bigint[], $35::text[], $36::bytea[])
        AS r (${CHECKPOINT_COLUMNS}) JOIN current c ON c.id = r.thread_id
      ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id) DO UPDATE SET
        parent_id = coalesce(excluded.parent_id, own.parent_id), manifest = excluded.manifest,
         consumed = coalesce(excluded.consumed, own.consumed),
        run_id = excluded.run_id, created_at = excluded.created_at,
        header = excluded.header, header_bytes = excluded.header_bytes
    )${withEvents ? newEvents(connection) : ""}
    SELECT id FROM current`;
  texts.set(connection, text);
  return text;
}

function newEvents(connection: Connection): string {
  return `, new_events AS (
      INSERT INTO ${connection.name("events")} (id, name, thread_key, run_id, created_at, data, data_bytes)
      SELECT r.id, r.name, r.thread_key, r.run_id, coalesce($46::bigint, ${NOW}), r.data, r.data_bytes
      FROM unnest($39::bigint[], $40::text[], $41::text[], $42::bytea[], $43::text[], $44::text[], $45::bytea[])
        AS r (thread_id, id, name, thread_key, run_id, data, data_bytes) JOIN current c ON c.id = r.thread_id
      ON CONFLICT DO NOTHING
    )`;
}

/** The checkpoint and its pending writes in one round trip: one row for it, then one for each write. */
export async function findCheckpoint(
  connection: Connection,
  key: Uint8Array,
  ns: Uint8Array,
  id: Uint8Array | undefined,
): Promise<FoundCheckpoint | undefined> {
  const [first, ...rest] = await connection.query(
    `WITH t AS (
       SELECT id, generation, hash_key, metadata, metadata_bytes
       FROM ${connection.name("threads")} WHERE key = $1
     ), c AS (
       SELECT c.* FROM t CROSS JOIN LATERAL (
         SELECT * FROM ${connection.name("checkpoints")}
         WHERE thread_id = t.id AND checkpoint_ns = $2 ${id === undefined ? "" : "AND checkpoint_id = $3"}
         ORDER BY checkpoint_id DESC LIMIT 1
       ) c
     )
     SELECT 0 AS part, t.generation, t.hash_key, t.metadata, t.metadata_bytes, ${prefixed("c", CHECKPOINT_COLUMNS)},
       NULL::bytea AS task_id, NULL::integer AS idx, NULL::bigint AS branch, NULL::bytea AS channel,
       NULL::bigint AS base_id, NULL::text AS data, NULL::bytea AS data_bytes
     FROM t, c
     UNION ALL
     SELECT 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       ${prefixed("w", WRITE_COLUMNS)}
     FROM c JOIN ${connection.name("pending_writes")} w
       ON w.thread_id = c.thread_id AND w.checkpoint_ns = c.checkpoint_ns AND w.checkpoint_id = c.checkpoint_id
     ORDER BY part, task_id, idx, branch`,
    id === undefined ? [key, ns] : [key, ns, id],
  );
  if (first === undefined) return undefined;
  return {
    thread: {
      id: first["thread_id"] as number,
      generation: first["generation"] as number,
      hashKey: first["hash_key"] as Uint8Array,
      metadata: cellOf(first["metadata"], first["metadata_bytes"]),
    },
    checkpoint: checkpointRow(first),
    writes: rest.map(writeRow),
  };
}

function prefixed(table: string, columns: string): string {
  return columns
    .split(", ")
    .map((column) => `${table}.${column}`)
    .join(", ");
}

export async function findThreadRow(
  connection: Connection,
  key: Uint8Array,
): Promise<ThreadRow | undefined> {
  const [row] = await connection.query(
    `SELECT id, generation, hash_key, metadata, metadata_bytes FROM ${connection.name("threads")} WHERE key = $1`,
    [key],
  );
  return row === undefined ? undefined : threadRow(row);
}

export function threadRow(row: SqlRow): ThreadRow {
  return {
    id: row["id"] as number,
    generation: row["generation"] as number,
    hashKey: row["hash_key"] as Uint8Array,
    metadata: cellOf(row["metadata"], row["metadata_bytes"]),
  };
}

export async function findVersions(
  connection: Connection,
  ids: readonly number[],
): Promise<Omit<VersionRow, "thread">[]> {
  const versions = connection.name("channel_versions");
  // Written so that the planner can only look up one row by its key at a time: without statistics, as
  // on a new table, it would read the whole table for each link of the chain.
  const rows = await connection.query(
    `WITH RECURSIVE chain AS (
       SELECT id, base_id FROM ${versions} WHERE id = ANY ($1::bigint[])
       UNION
       SELECT v.id, v.base_id FROM chain CROSS JOIN LATERAL (
         SELECT id, base_id FROM ${versions} WHERE id = chain.base_id OFFSET 0
       ) v
     )
     SELECT v.* FROM chain CROSS JOIN LATERAL (
       SELECT id, channel, base_id, data, data_bytes FROM ${versions} WHERE id = chain.id OFFSET 0
     ) v`,
    [array.bigints(ids)],
  );
  return rows.map((row) => ({
    id: row["id"] as number,
    channel: row["channel"] as Uint8Array,
    base: row["base_id"] as number | null,
    data: cellOf(row["data"], row["data_bytes"]),
  }));
}

export async function findVersionsOfChannels(
  connection: Connection,
  thread: number,
  channels: readonly Uint8Array[],
): Promise<{ id: number; channel: Uint8Array }[]> {
  const rows = await connection.query(
    `SELECT id, channel FROM ${connection.name("channel_versions")}
     WHERE thread_id = $1 AND channel = ANY ($2::bytea[])`,
    [thread, array.bytes(channels)],
  );
  return rows as { id: number; channel: Uint8Array }[];
}

export async function findPayloads(
  connection: Connection,
  thread: number,
  hashes: readonly string[],
): Promise<Omit<PayloadRow, "thread">[]> {
  const rows = await connection.query(
    `SELECT hash, kind, data, data_bytes FROM ${connection.name("payloads")}
     WHERE thread_id = $1 AND hash = ANY ($2::text[])`,
    [thread, array.texts(hashes)],
  );
  return rows.map((row) => ({
    hash: row["hash"] as string,
    kind: row["kind"] as number,
    data: cellOf(row["data"], row["data_bytes"]),
  }));
}

export async function listRows(
  connection: Connection,
  query: CheckpointQuery,
): Promise<CheckpointRow[]> {
  const where: string[] = ["true"];
  const values: SqlValue[] = [];
  const add = (condition: (...places: string[]) => string, ...parameters: SqlValue[]): void => {
    where.push(condition(...parameters.map((_, i) => `$${values.length + i + 1}`)));
    values.push(...parameters);
  };
  if (query.thread !== undefined) add((thread) => `thread_id = ${thread}`, query.thread);
  if (query.ns !== undefined) add((ns) => `checkpoint_ns = ${ns}`, query.ns);
  if (query.id !== undefined) add((id) => `checkpoint_id = ${id}`, query.id);
  if (query.before !== undefined) add((id) => `checkpoint_id < ${id}`, query.before);
  if (query.after !== undefined) {
    add(
      (thread, ns, id) =>
        `(thread_id > ${thread}::bigint OR (thread_id = ${thread}::bigint AND (checkpoint_ns > ${ns}::bytea
          OR (checkpoint_ns = ${ns}::bytea AND checkpoint_id < ${id}::bytea))))`,
      query.after.thread,
      query.after.ns,
      query.after.id,
    );
  }
  values.push(query.limit);
  const rows = await connection.query(
    `SELECT ${CHECKPOINT_COLUMNS} FROM ${connection.name("checkpoints")} WHERE ${where.join(" AND ")}
     ORDER BY thread_id, checkpoint_ns, checkpoint_id DESC LIMIT $${values.length}`,
    values,
  );
  return rows.map(checkpointRow);
}

export async function findWrites(
  connection: Connection,
  thread: number,
  ns: Uint8Array,
  checkpoints: readonly Uint8Array[],
  channels: readonly Uint8Array[] | undefined,
): Promise<(FoundWrite & { checkpoint: Uint8Array })[]> {
  if (checkpoints.length === 0) return [];
  const rows = await connection.query(
    `SELECT checkpoint_id, ${WRITE_COLUMNS} FROM ${connection.name("pending_writes")}
     WHERE thread_id = $1 AND checkpoint_ns = $2 AND checkpoint_id = ANY ($3::bytea[])
       ${channels === undefined ? "" : "AND channel = ANY ($4::bytea[])"}
     ORDER BY checkpoint_id, task_id, idx, branch`,
    [
      thread,
      ns,
      array.bytes(checkpoints),
      ...(channels === undefined ? [] : [array.bytes(channels)]),
    ],
  );
  return rows.map((row) => ({ ...writeRow(row), checkpoint: row["checkpoint_id"] as Uint8Array }));
}

export async function findAncestors(
  connection: Connection,
  thread: number,
  ns: Uint8Array,
  id: Uint8Array,
  limit: number,
): Promise<Ancestor[]> {
  const checkpoints = connection.name("checkpoints");
  const rows = await connection.query(
    `WITH RECURSIVE line (depth, id, consumed) AS (
       SELECT 1, parent_id, consumed FROM ${checkpoints}
       WHERE thread_id = $1 AND checkpoint_ns = $2 AND checkpoint_id = $3 AND parent_id IS NOT NULL
       UNION ALL
       SELECT depth + 1, c.parent_id, c.consumed
       FROM line JOIN ${checkpoints} c
         ON c.thread_id = $1 AND c.checkpoint_ns = $2 AND c.checkpoint_id = line.id
       WHERE c.parent_id IS NOT NULL AND depth < $4::integer
     )
     SELECT c.checkpoint_id, c.manifest, line.consumed
     FROM line JOIN ${checkpoints} c
       ON c.thread_id = $1 AND c.checkpoint_ns = $2 AND c.checkpoint_id = line.id
     ORDER BY depth`,
    [thread, ns, id, limit],
  );
  return rows.map((row) => ({
    id: row["checkpoint_id"] as Uint8Array,
    manifest: JSON.parse(row["manifest"] as string) as number[],
    consumed: numbersOrNull(row["consumed"]),
  }));
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
    header: cellOf(row["header"], row["header_bytes"]),
  };
}

function writeRow(row: SqlRow): FoundWrite {
  return {
    task: row["task_id"] as Uint8Array,
    idx: row["idx"] as number,
    branch: row["branch"] as number,
    channel: row["channel"] as Uint8Array,
    base: row["base_id"] as number | null,
    data: cellOf(row["data"], row["data_bytes"]),
  };
}

function numbersOrNull(text: unknown): number[] | null {
  return typeof text === "string" ? (JSON.parse(text) as number[]) : null;
}

/** More is read in parts: a string has an end, in Postgres as in JavaScript. */
const MOST_BYTES = 64 * 1024 * 1024;

/** Rows as JSON: values that are bytes in Postgres's hex. */
type VersionJson = [
  id: number,
  channel: string,
  base: number | null,
  data: string | null,
  bytes: string | null,
];
type PayloadJson = [hash: string, kind: number, data: string | null, bytes: string | null];
type WriteJson = [
  task: string,
  idx: number,
  branch: number,
  channel: string,
  base: number | null,
  data: string | null,
  bytes: string | null,
];

/**
 * A checkpoint with all that it consists of in one statement: a connection's first statements take
 * longer than what they fetch.
 * @returns undefined where the tables are not as this code knows them, or the rows too large for one
 */
export async function findAtOnce(
  connection: Connection,
  key: Uint8Array,
  ns: Uint8Array,
  id: Uint8Array | undefined,
): Promise<(SetUp & { found: WholeCheckpoint | undefined }) | undefined> {
  let row: SqlRow | undefined;
  try {
    [row] = await connection.query(
      wholeText(connection, id !== undefined),
      id === undefined ? [key, ns] : [key, ns, id],
    );
  } catch (error) {
    // Above all: there is no such table yet.
    if (isHoldfastError(error)) throw error;
    return undefined;
  }
  if (
    row === undefined ||
    row["version"] !== SCHEMA_VERSION ||
    row["is_ambiguous"] === true ||
    row["is_large"] === true
  ) {
    return undefined;
  }
  const official = row["official"];
  return {
    officialTables: official === null ? undefined : schemaNamed(official),
    found: row["checkpoint_id"] === null ? undefined : wholeCheckpoint(row),
  };
}

function wholeText(connection: Connection, withId: boolean): string {
  const table = (name: string): string => connection.name(name);
  const otherTables = `${quoted(connection.schema)}.${PREFIX}migrations`;
  // Functions, rather than joins, take lists apart: the planner takes them for short, and does not
  // think of compiling anything.
  return `WITH RECURSIVE t AS (
      SELECT id, generation, hash_key, metadata, metadata_bytes
      FROM ${table("threads")} WHERE key = $1
    ), c AS MATERIALIZED (
      SELECT c.* FROM t CROSS JOIN LATERAL (
        SELECT ${CHECKPOINT_COLUMNS} FROM ${table("checkpoints")}
        WHERE thread_id = t.id AND checkpoint_ns = $2 ${withId ? "AND checkpoint_id = $3" : ""}
        ORDER BY checkpoint_id DESC LIMIT 1
      ) c
    ), w AS MATERIALIZED (
      SELECT w.* FROM c CROSS JOIN LATERAL (
        SELECT * FROM ${table("pending_writes")} WHERE thread_id = c.thread_id
          AND checkpoint_ns = c.checkpoint_ns AND checkpoint_id = c.checkpoint_id OFFSET 0
      ) w
    ), chain (id, base_id) AS (
      SELECT v.id, v.base_id FROM (
        SELECT unnest(string_to_array(btrim(manifest, '[]'), ',')::bigint[]) AS id FROM c
        UNION SELECT base_id FROM w
      ) wanted CROSS JOIN LATERAL (
        SELECT id, base_id FROM ${table("channel_versions")} WHERE id = wanted.id OFFSET 0
      ) v
      UNION
      SELECT v.id, v.base_id FROM chain CROSS JOIN LATERAL (
        SELECT id, base_id FROM ${table("channel_versions")} WHERE id = chain.base_id OFFSET 0
      ) v
    ), versions AS MATERIALIZED (
      SELECT v.* FROM chain CROSS JOIN LATERAL (
        SELECT id, channel, base_id, data, data_bytes
        FROM ${table("channel_versions")} WHERE id = chain.id OFFSET 0
      ) v
    ), pieces (list) AS (
      SELECT string_to_array(string_agg(data, ''), '${REFERENCE}')
      FROM (SELECT data FROM versions UNION ALL SELECT data FROM w) texts
    ), p AS MATERIALIZED (
      SELECT p.* FROM c CROSS JOIN LATERAL (
        SELECT hash, kind, data, data_bytes FROM ${table("payloads")}
        WHERE thread_id = c.thread_id AND hash = ANY ((
          SELECT array_agg(left(piece, ${HASH_LENGTH})) FROM pieces, unnest(list[2:]) piece
        )::text[]) OFFSET 0
      ) p
    )
    SELECT t.generation, t.hash_key, t.metadata, t.metadata_bytes, c.*,
      size.bytes > ${MOST_BYTES} AS is_large,
      CASE WHEN size.bytes <= ${MOST_BYTES} THEN
        (SELECT json_agg(json_build_array(id, channel, base_id, data, data_bytes)) FROM versions)
      END AS versions,
      CASE WHEN size.bytes <= ${MOST_BYTES} THEN
        (SELECT json_agg(json_build_array(hash, kind, data, data_bytes)) FROM p)
      END AS payloads,
      CASE WHEN size.bytes <= ${MOST_BYTES} THEN
        (SELECT json_agg(json_build_array(task_id, idx, branch, channel, base_id, data, data_bytes)
           ORDER BY task_id, idx, branch) FROM w)
      END AS writes,
      (SELECT max(version) FROM ${table("migrations")}) AS version,
      ${connection.prefix === "" ? `to_regclass('${otherTables.replaceAll("'", "''")}') IS NOT NULL` : "false"} AS is_ambiguous,
      (SELECT n.nspname FROM pg_class o JOIN pg_namespace n ON n.oid = o.relnamespace
       WHERE o.relname = 'checkpoint_migrations' AND o.relkind IN ('r', 'p') LIMIT 1) AS official
    FROM (
      SELECT coalesce(sum(coalesce(octet_length(data), octet_length(data_bytes))), 0) AS bytes FROM (
        SELECT data, data_bytes FROM versions
        UNION ALL SELECT data, data_bytes FROM p
        UNION ALL SELECT data, data_bytes FROM w
      ) sizes
    ) size LEFT JOIN t ON true LEFT JOIN c ON true`;
}

function wholeCheckpoint(row: SqlRow): WholeCheckpoint {
  const checkpoint = checkpointRow(row);
  return {
    thread: {
      id: checkpoint.thread,
      generation: row["generation"] as number,
      hashKey: row["hash_key"] as Uint8Array,
      metadata: cellOf(row["metadata"], row["metadata_bytes"]),
    },
    checkpoint,
    writes: list<WriteJson>(row["writes"]).map(
      ([task, idx, branch, channel, base, data, bytes]) => ({
        task: unhexed(task),
        idx,
        branch,
        channel: unhexed(channel),
        base,
        data: cellOfJson(data, bytes),
      }),
    ),
    versions: list<VersionJson>(row["versions"]).map(([id, channel, base, data, bytes]) => ({
      id,
      channel: unhexed(channel),
      base,
      data: cellOfJson(data, bytes),
    })),
    payloads: list<PayloadJson>(row["payloads"]).map(([hash, kind, data, bytes]) => ({
      hash,
      kind,
      data: cellOfJson(data, bytes),
    })),
  };
}

function list<T>(json: unknown): T[] {
  return json === null ? [] : (JSON.parse(json as string) as T[]);
}

function cellOfJson(text: string | null, bytes: string | null): Cell {
  return text ?? unhexed(bytes as string);
}

/** Bytes as they stand in JSON. */
function unhexed(text: string): Uint8Array {
  return Buffer.from(text.slice(2), "hex");
}
