/** Waits for events. */

import {
  WAIT_COLUMNS,
  waitValues,
  type EventWaitRows,
  type WaitRow,
} from "../steps/event-wait-rows.ts";
import { NOW, array, cellOf, type Connection, type SqlRow } from "./connection.ts";
import { foundEvent } from "./events.ts";

const SET_EVENT = `event_seq = e.seq, event_id = e.id, event_at = e.created_at,
  event_data = e.data, event_data_bytes = e.data_bytes`;

export function eventWaitRows(connection: Connection): EventWaitRows {
  const waits = connection.name("event_waits");
  const events = connection.name("events");
  const threads = connection.name("threads");
  /** Of an event (e), by a wait (w). */
  const mayTake = `e.created_at >= w.since AND (w.deadline_at IS NULL OR e.created_at <= w.deadline_at)
    AND e.id IS DISTINCT FROM w.except_id AND NOT EXISTS (
      SELECT FROM ${waits} o
      WHERE o.thread_key = w.thread_key AND o.event_id = e.id AND o.taken_before < w.seq
    )`;
  return {
    async insert(row) {
      const at = WAIT_COLUMNS.length;
      await connection.query(
        `INSERT INTO ${waits} (${WAIT_COLUMNS.join(", ")}, created_at, deadline_at)
         SELECT ${WAIT_COLUMNS.map(valueOf).join(", ")}, now, now + $${at + 1}::bigint
         FROM (SELECT coalesce($${at + 2}::bigint, ${NOW}) AS now) clock
         ON CONFLICT DO NOTHING`,
        [...waitValues(row), row.timeout, connection.givenNow],
      );
    },
    async read(id) {
      const [row] = await connection.query(`SELECT * FROM ${waits} WHERE id = $1`, [id]);
      return row === undefined ? undefined : waitRow(row);
    },
    async candidates(id, after, limit) {
      const rows = await connection.query(
        `SELECT e.*, NULL AS thread_name, NULL AS name_bytes
         FROM ${waits} w JOIN ${events} e ON e.name = w.name
         WHERE w.id = $1 AND (e.created_at, e.seq) > ($2::bigint, $3::bigint) AND ${mayTake}
         ORDER BY e.created_at, e.seq LIMIT $4`,
        [id, after?.at ?? -1, after?.seq ?? -1, limit],
      );
      return rows.map(foundEvent);
    },
    async offer(id, seq) {
      await connection.query(
        `UPDATE ${waits} w SET ${SET_EVENT} FROM ${events} e
         WHERE e.seq = $2 AND w.id = $1 AND w.is_open
           AND (w.event_seq IS NULL OR (w.event_at, w.event_seq) > (e.created_at, e.seq))`,
        [id, seq],
      );
    },
    async looked(id) {
      await connection.query(`UPDATE ${waits} SET is_looked = true WHERE id = $1`, [id]);
    },
    async settle(id, isTimeUp) {
      await connection.query(
        `UPDATE ${waits} w SET is_open = false,
           taken_before = (SELECT max(o.seq) FROM ${waits} o WHERE o.thread_key = w.thread_key)
         WHERE w.id = $1 AND w.is_open AND (w.event_seq IS NOT NULL OR $2::boolean)`,
        [id, String(isTimeUp)],
      );
    },
    async countIdle(ids) {
      const [row] = await connection.query(
        `SELECT count(*) AS count FROM ${waits}
         WHERE id = ANY ($1::text[]) AND is_open AND event_seq IS NULL`,
        [array.texts(ids)],
      );
      return row?.["count"] as number;
    },
    async pathsOf(name) {
      // One look-up for each different value: a group by would read every wait.
      const rows = await connection.query(
        `WITH RECURSIVE found (paths) AS (
           SELECT (SELECT min(paths) FROM ${waits} WHERE name = $1 AND is_open)
           UNION ALL
           SELECT (SELECT min(w.paths) FROM ${waits} w
                   WHERE w.name = $1 AND w.is_open AND w.paths > found.paths)
           FROM found WHERE found.paths IS NOT NULL
         )
         SELECT paths FROM found WHERE paths IS NOT NULL`,
        [name],
      );
      return rows.map((row) => row["paths"] as string);
    },
    async give(seq, matches) {
      const rows = await connection.query(
        `WITH given AS (
           UPDATE ${waits} w SET ${SET_EVENT}
           FROM ${events} e, unnest($2::text[], $3::text[]) AS m (paths, hash)
           WHERE e.seq = $1 AND w.name = e.name AND w.paths = m.paths AND w.match_hash = m.hash
             AND w.is_open AND ${mayTake}
             AND (w.event_seq IS NULL OR (w.event_at, w.event_seq) >= (e.created_at, e.seq))
           RETURNING w.thread_key
         )
         SELECT DISTINCT g.thread_key, t.name AS thread_name, t.name_bytes
         FROM given g LEFT JOIN ${threads} t ON t.key = g.thread_key`,
        [
          seq,
          array.texts(matches.map(({ paths }) => paths)),
          array.texts(matches.map(({ hash }) => hash)),
        ],
      );
      return rows.map((row) => ({
        thread: row["thread_key"] as Uint8Array,
        threadName: cellOf(row["thread_name"], row["name_bytes"]),
      }));
    },
  };
}

/** Of a run that no runtime accepted, `since` is by its process's clock, which may be ahead. */
function valueOf(column: string, i: number): string {
  return column === "since" ? `least($${i + 1}::bigint, now)` : `$${i + 1}`;
}

function waitRow(row: SqlRow): WaitRow {
  return {
    id: row["id"] as string,
    name: row["name"] as string,
    isOpen: row["is_open"] as boolean,
    isLooked: row["is_looked"] as boolean,
    deadlineAt: row["deadline_at"] as number | null,
    eventSeq: row["event_seq"] as number | null,
    eventId: row["event_id"] as string | null,
    eventAt: row["event_at"] as number | null,
    eventData: cellOf(row["event_data"], row["event_data_bytes"]),
  };
}
