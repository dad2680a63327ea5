/** Waits for events. */

import {
  WAIT_COLUMNS,
  waitValues,
  type EventWaitRows,
  type WaitRow,
} from "../steps/event-wait-rows.ts";
import type { Connection, SqlRow } from "./connection.ts";
import { foundEvent } from "./events.ts";

/** Events that a wait (w) may take, but for what must match. */
const CANDIDATES = `SELECT e.*, NULL AS thread_name FROM holdfast_event_waits w
  JOIN holdfast_events e ON e.name = w.name AND e.created_at >= w.since
    AND (w.deadline_at IS NULL OR e.created_at <= w.deadline_at) AND e.id IS NOT w.except_id
  WHERE w.id = ? AND (e.created_at, e.seq) > (?, ?) AND NOT EXISTS (
    SELECT 1 FROM holdfast_event_waits o
    WHERE o.thread_key = w.thread_key AND o.event_id = e.id AND o.taken_before < w.seq
  )
  ORDER BY e.created_at, e.seq LIMIT ?`;

const SET_EVENT = `event_seq = e.seq, event_id = e.id, event_at = e.created_at, event_data = e.data`;

const OFFER = `UPDATE holdfast_event_waits SET ${SET_EVENT}
  FROM (SELECT * FROM holdfast_events WHERE seq = ?) e
  WHERE holdfast_event_waits.id = ? AND is_open
    AND (event_seq IS NULL OR (event_at, event_seq) > (e.created_at, e.seq))`;

const GIVE = `UPDATE holdfast_event_waits AS w SET ${SET_EVENT}
  FROM (SELECT * FROM holdfast_events WHERE seq = ?) e
  WHERE w.name = e.name AND w.paths = ? AND w.match_hash = ? AND w.is_open
    AND e.created_at >= w.since AND (w.deadline_at IS NULL OR e.created_at <= w.deadline_at)
    AND e.id IS NOT w.except_id
    AND (w.event_seq IS NULL OR (w.event_at, w.event_seq) >= (e.created_at, e.seq))
    AND NOT EXISTS (
      SELECT 1 FROM holdfast_event_waits o
      WHERE o.thread_key = w.thread_key AND o.event_id = e.id AND o.taken_before < w.seq
    )
  RETURNING thread_key, (SELECT name FROM holdfast_threads t WHERE t.key = thread_key) AS thread_name`;

const SETTLE = `UPDATE holdfast_event_waits SET is_open = 0, taken_before = (
    SELECT max(o.seq) FROM holdfast_event_waits o WHERE o.thread_key = holdfast_event_waits.thread_key
  )
  WHERE id = ? AND is_open AND (event_seq IS NOT NULL OR ?)`;

/** One look-up for each different value: a group by would read every wait. */
const PATHS = `WITH RECURSIVE found (paths) AS (
    SELECT min(paths) FROM holdfast_event_waits WHERE name = ?1 AND is_open
    UNION ALL
    SELECT (SELECT min(w.paths) FROM holdfast_event_waits w
            WHERE w.name = ?1 AND w.is_open AND w.paths > found.paths)
    FROM found WHERE found.paths IS NOT NULL
  )
  SELECT paths FROM found WHERE paths IS NOT NULL`;

export function eventWaitRows(connection: Connection): EventWaitRows {
  return {
    insert: (row) =>
      connection.write(() => {
        const now = connection.now();
        connection
          .sql(
            `INSERT INTO holdfast_event_waits (${WAIT_COLUMNS.join(", ")}, created_at, deadline_at)
             VALUES (${WAIT_COLUMNS.map(() => "?").join(", ")}, ?, ?) ON CONFLICT DO NOTHING`,
          )
          .run(
            ...waitValues({ ...row, since: Math.min(row.since, now) }),
            now,
            row.timeout === null ? null : now + row.timeout,
          );
      }),
    read: (id) =>
      connection.read(() => {
        const row = connection.sql("SELECT * FROM holdfast_event_waits WHERE id = ?").get(id);
        return row === undefined ? undefined : waitRow(row as SqlRow);
      }),
    candidates: (id, after, limit) =>
      connection.read(() =>
        connection
          .sql(CANDIDATES)
          .all(id, after?.at ?? -1, after?.seq ?? -1, limit)
          .map((row) => foundEvent(row as SqlRow)),
      ),
    offer: (id, seq) =>
      connection.write(() => {
        connection.sql(OFFER).run(seq, id);
      }),
    looked: (id) =>
      connection.write(() => {
        connection.sql("UPDATE holdfast_event_waits SET is_looked = 1 WHERE id = ?").run(id);
      }),
    settle: (id, isTimeUp) =>
      connection.write(() => {
        connection.sql(SETTLE).run(id, isTimeUp ? 1 : 0);
      }),
    countIdle: (ids) =>
      connection.read(() => {
        const row = connection
          .sql(
            `SELECT count(*) AS count FROM holdfast_event_waits
             WHERE id IN (SELECT value FROM json_each(?)) AND is_open AND event_seq IS NULL`,
          )
          .get(JSON.stringify(ids)) as { count: number };
        return row.count;
      }),
    pathsOf: (name) =>
      connection.read(() =>
        connection
          .sql(PATHS)
          .all(name)
          .map((row) => (row as { paths: string }).paths),
      ),
    give: (seq, matches) =>
      connection.write(() =>
        matches.flatMap(({ paths, hash }) =>
          connection
            .sql(GIVE)
            .all(seq, paths, hash)
            .map((row) => ({
              thread: (row as SqlRow)["thread_key"] as Uint8Array,
              threadName: (row as SqlRow)["thread_name"] as string | Uint8Array | null,
            })),
        ),
      ),
  };
}

function waitRow(row: SqlRow): WaitRow {
  return {
    id: row["id"] as string,
    name: row["name"] as string,
    isOpen: row["is_open"] === 1,
    isLooked: row["is_looked"] === 1,
    deadlineAt: row["deadline_at"] as number | null,
    eventSeq: row["event_seq"] as number | null,
    eventId: row["event_id"] as string | null,
    eventAt: row["event_at"] as number | null,
    eventData: row["event_data"] as string | Uint8Array | null,
  };
}
