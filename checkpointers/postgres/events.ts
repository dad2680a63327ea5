/** Events. */

import type { EventRow, EventRows, FoundEvent } from "../steps/event-rows.ts";
import {
  NOW,
  array,
  cellOf,
  type Connection,
  type Query,
  type SqlRow,
  type SqlValue,
} from "./connection.ts";

/**
 * Below it, all transactions that can have events are over, and what they stored is to be seen. A
 * transaction of another database is known by its backend, or as a prepared one; what is neither counts.
 */
const HORIZON = `(
  SELECT coalesce(
    (SELECT min(xid::text::bigint) FROM pg_snapshot_xip(now.snapshot) AS xid
     WHERE NOT EXISTS (
       SELECT FROM pg_stat_activity a WHERE a.backend_xid = xid::xid AND a.datname <> current_database()
     ) AND NOT EXISTS (
       SELECT FROM pg_prepared_xacts p WHERE p.transaction = xid::xid AND p.database <> current_database()
     ))::text::xid8,
    pg_snapshot_xmax(now.snapshot)
  ) FROM pg_current_snapshot() AS now (snapshot)
)`;

export function eventRows(connection: Connection): EventRows {
  const events = connection.name("events");
  const threads = connection.name("threads");
  const listeners = connection.name("event_listeners");
  return {
    async insert(row) {
      const inserted = await insertEvents(
        connection,
        (text, values) => connection.query(text, values),
        [row],
      );
      return inserted.length > 0;
    },
    async list({ name, since, limit }) {
      const where: string[] = ["true"];
      const values: SqlValue[] = [];
      const add = (condition: (place: string) => string, value: SqlValue | undefined): void => {
        if (value === undefined) return;
        values.push(value);
        where.push(condition(`$${values.length}`));
      };
      add((at) => `e.name = ${at}`, name);
      add((at) => `e.created_at >= ${at}::bigint`, since);
      const rows = await connection.query(
        `SELECT e.*, t.name AS thread_name, t.name_bytes FROM ${events} e
         LEFT JOIN ${threads} t ON t.key = e.thread_key
         WHERE ${where.join(" AND ")} ORDER BY e.created_at DESC, e.seq DESC LIMIT $${values.length + 1}`,
        [...values, limit],
      );
      return rows.map(foundEvent);
    },
    async read(seqs) {
      const rows = await connection.query(
        `SELECT e.*, t.name AS thread_name, t.name_bytes FROM ${events} e
         LEFT JOIN ${threads} t ON t.key = e.thread_key
         WHERE e.seq = ANY ($1::bigint[]) ORDER BY e.seq`,
        [array.bigints(seqs)],
      );
      return rows.map(foundEvent);
    },
    async undelivered(limit) {
      const rows = await connection.query(
        `SELECT seq, name FROM ${events} WHERE pending ORDER BY seq LIMIT $1`,
        [limit],
      );
      return rows as { seq: number; name: string }[];
    },
    async listen({ name, event, graph }) {
      await connection.query(
        `INSERT INTO ${listeners} AS l (name, event, graph, xid, seq, seen_at)
         VALUES ($1, $2, $3, ${HORIZON}, 0, coalesce($4::bigint, ${NOW}))
         ON CONFLICT (name) DO UPDATE SET
           seen_at = excluded.seen_at, graph = excluded.graph, event = excluded.event,
           xid = CASE WHEN l.event = excluded.event THEN l.xid ELSE excluded.xid END,
           seq = CASE WHEN l.event = excluded.event THEN l.seq ELSE excluded.seq END`,
        [name, event, graph, connection.givenNow],
      );
    },
    async touch({ name, event, graph }) {
      await connection.query(
        `INSERT INTO ${listeners} AS l (name, event, graph, xid, seq, seen_at)
         VALUES ($1, $2, $3, ${HORIZON}, 0, coalesce($4::bigint, ${NOW}))
         ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at WHERE l.event = excluded.event`,
        [name, event, graph, connection.givenNow],
      );
    },
    async behind(listener, event, limit) {
      // No event can come before these any more.
      const rows = await connection.query(
        `SELECT e.*, t.name AS thread_name, t.name_bytes
         FROM ${listeners} l JOIN ${events} e ON e.name = l.event AND (e.xid, e.seq) > (l.xid, l.seq)
           AND e.xid < ${HORIZON}
         LEFT JOIN ${threads} t ON t.key = e.thread_key
         WHERE l.name = $1 AND l.event = $2 ORDER BY e.xid, e.seq LIMIT $3`,
        [listener, event, limit],
      );
      return rows.map(foundEvent);
    },
    async advance(listener, place) {
      const [xid = "", seq = ""] = place.split(":");
      await connection.query(
        `UPDATE ${listeners} SET xid = $2::xid8, seq = $3::bigint
         WHERE name = $1 AND (xid, seq) < ($2::xid8, $3::bigint)`,
        [listener, xid, seq],
      );
    },
    async sweep(before, forgotten, limit) {
      // Any other run may be retried, and goes on with its waits; those of a whole thread stay with it.
      const gone = await connection.query(
        `WITH gone AS (
           DELETE FROM ${events} WHERE seq IN (
             SELECT e.seq FROM ${events} e WHERE e.created_at < $1::bigint AND NOT e.pending
               AND NOT EXISTS (
                 SELECT FROM ${listeners} l
                 WHERE l.event = e.name AND (l.xid, l.seq) < (e.xid, e.seq) AND l.seen_at >= $2::bigint
               ) ORDER BY e.created_at LIMIT $3
           ) RETURNING 1
         ), waits AS (
           DELETE FROM ${connection.name("event_waits")} WHERE seq IN (
             SELECT w.seq FROM ${connection.name("runs")} r
             JOIN ${connection.name("event_waits")} w
               ON w.thread_key = r.thread_key AND w.run_id = r.run_id
             WHERE r.ended_at < $1::bigint AND r.status = 'completed' AND w.task_id <> ''::bytea LIMIT $3
           ) RETURNING 1
         ), unheard AS (
           DELETE FROM ${listeners} WHERE seen_at < $2::bigint RETURNING 1
         )
         SELECT greatest((SELECT count(*) FROM gone), (SELECT count(*) FROM waits)) AS count`,
        [before, forgotten, limit],
      );
      return gone[0]?.["count"] as number;
    },
    async delivered(seqs) {
      await connection.query(
        `UPDATE ${events} SET pending = false WHERE seq = ANY ($1::bigint[])`,
        [array.bigints(seqs)],
      );
    },
  };
}

/** @returns a row for each that was not there */
export function insertEvents(
  connection: Connection,
  query: Query,
  rows: readonly EventRow[],
): Promise<SqlRow[]> {
  return query(
    `INSERT INTO ${connection.name("events")} (id, name, thread_key, run_id, created_at, data, data_bytes)
     SELECT e.id, e.name, e.thread_key, e.run_id, coalesce($7::bigint, ${NOW}), e.data, e.data_bytes
     FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::text[], $6::bytea[])
       AS e (id, name, thread_key, run_id, data, data_bytes)
     ON CONFLICT DO NOTHING RETURNING seq`,
    [...eventValues(rows), connection.givenNow],
  );
}

export function eventValues(rows: readonly EventRow[]): SqlValue[] {
  return [
    array.texts(rows.map((row) => row.id)),
    array.texts(rows.map((row) => row.name)),
    array.bytes(rows.map((row) => row.thread)),
    array.texts(rows.map((row) => row.runId)),
    ...array.cells(rows.map((row) => row.data)),
  ];
}

export function foundEvent(row: SqlRow): FoundEvent {
  return {
    seq: row["seq"] as number,
    place: `${String(row["xid"])}:${String(row["seq"])}`,
    id: row["id"] as string,
    name: row["name"] as string,
    thread: row["thread_key"] as Uint8Array | null,
    threadName: cellOf(row["thread_name"], row["name_bytes"]),
    runId: row["run_id"] as string | null,
    createdAt: row["created_at"] as number,
    data: cellOf(row["data"], row["data_bytes"]),
  };
}
