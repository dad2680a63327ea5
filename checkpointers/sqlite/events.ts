/** Events. */

import type { EventRow, EventRows, FoundEvent } from "../steps/event-rows.ts";
import type { Connection, SqlRow, SqlValue } from "./connection.ts";

const INSERT = `INSERT INTO holdfast_events (id, name, thread_key, run_id, created_at, data)
  VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`;

const BEHIND = `SELECT e.*, t.name AS thread_name FROM holdfast_event_listeners l
  JOIN holdfast_events e ON e.name = l.event AND e.seq > l.seq
  LEFT JOIN holdfast_threads t ON t.key = e.thread_key
  WHERE l.name = ? AND l.event = ? ORDER BY e.seq LIMIT ?`;

const LISTEN = `INSERT INTO holdfast_event_listeners AS l (name, event, graph, seq, seen_at)
  VALUES (?, ?, ?, (SELECT coalesce(max(seq), 0) FROM holdfast_events), ?)
  ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at, graph = excluded.graph, event = excluded.event,
    seq = CASE WHEN l.event = excluded.event THEN l.seq ELSE excluded.seq END`;

const TOUCH = `INSERT INTO holdfast_event_listeners AS l (name, event, graph, seq, seen_at)
  VALUES (?, ?, ?, (SELECT coalesce(max(seq), 0) FROM holdfast_events), ?)
  ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at WHERE l.event = excluded.event`;

const SWEEP_EVENTS = `DELETE FROM holdfast_events WHERE seq IN (
    SELECT e.seq FROM holdfast_events e WHERE e.created_at < ?1 AND NOT e.pending AND NOT EXISTS (
      SELECT 1 FROM holdfast_event_listeners l
      WHERE l.event = e.name AND l.seq < e.seq AND l.seen_at >= ?2
    ) LIMIT ?3
  )`;

/** Any other run may be retried, and goes on with its waits; those of a whole thread stay with it. */
const SWEEP_WAITS = `DELETE FROM holdfast_event_waits WHERE seq IN (
    SELECT w.seq FROM holdfast_runs r JOIN holdfast_event_waits w
      ON w.thread_key = r.thread_key AND w.run_id = r.run_id
    WHERE r.ended_at < ? AND r.status = 'completed' AND w.task_id <> x'' LIMIT ?
  )`;

export function eventRows(connection: Connection): EventRows {
  return {
    insert: (row) => connection.write(() => insertEvent(connection, row)),
    list: ({ name, since, limit }) => {
      const where: string[] = ["1 = 1"];
      const values: SqlValue[] = [];
      const add = (condition: string, value: SqlValue | undefined): void => {
        if (value === undefined) return;
        where.push(condition);
        values.push(value);
      };
      add("e.name = ?", name);
      add("e.created_at >= ?", since);
      return connection.read(() =>
        connection
          .sql(
            `SELECT e.*, t.name AS thread_name FROM holdfast_events e
             LEFT JOIN holdfast_threads t ON t.key = e.thread_key
             WHERE ${where.join(" AND ")} ORDER BY e.created_at DESC, e.seq DESC LIMIT ?`,
          )
          .all(...values, limit)
          .map((row) => foundEvent(row as SqlRow)),
      );
    },
    read: (seqs) =>
      connection.read(() =>
        connection
          .sql(
            `SELECT e.*, t.name AS thread_name FROM holdfast_events e
             LEFT JOIN holdfast_threads t ON t.key = e.thread_key
             WHERE e.seq IN (SELECT value FROM json_each(?)) ORDER BY e.seq`,
          )
          .all(JSON.stringify(seqs))
          .map((row) => foundEvent(row as SqlRow)),
      ),
    undelivered: (limit) =>
      connection.read(
        () =>
          connection
            .sql("SELECT seq, name FROM holdfast_events WHERE pending ORDER BY seq LIMIT ?")
            .all(limit) as { seq: number; name: string }[],
      ),
    listen: ({ name, event, graph }) =>
      connection.write(() => {
        connection.sql(LISTEN).run(name, event, graph, connection.now());
      }),
    touch: ({ name, event, graph }) =>
      connection.write(() => {
        connection.sql(TOUCH).run(name, event, graph, connection.now());
      }),
    behind: (listener, event, limit) =>
      connection.read(() =>
        connection
          .sql(BEHIND)
          .all(listener, event, limit)
          .map((row) => foundEvent(row as SqlRow)),
      ),
    advance: (listener, place) =>
      connection.write(() => {
        connection
          .sql("UPDATE holdfast_event_listeners SET seq = max(seq, ?) WHERE name = ?")
          .run(Number(place), listener);
      }),
    sweep: (before, forgotten, limit) =>
      connection.write(() => {
        const counts = [
          connection.sql(SWEEP_EVENTS).run(before, forgotten, limit),
          connection.sql(SWEEP_WAITS).run(before, limit),
          connection.sql("DELETE FROM holdfast_event_listeners WHERE seen_at < ?").run(forgotten),
        ];
        return Math.max(...counts.map(({ changes }) => Number(changes)));
      }),
    delivered: (seqs) =>
      connection.write(() => {
        connection
          .sql(
            "UPDATE holdfast_events SET pending = 0 WHERE seq IN (SELECT value FROM json_each(?))",
          )
          .run(JSON.stringify(seqs));
      }),
  };
}

/** Within a transaction. @returns false where one with this id is there */
export function insertEvent(connection: Connection, row: EventRow): boolean {
  const { changes } = connection
    .sql(INSERT)
    .run(row.id, row.name, row.thread, row.runId, connection.now(), row.data);
  return Number(changes) > 0;
}

export function foundEvent(row: SqlRow): FoundEvent {
  return {
    seq: row["seq"] as number,
    place: String(row["seq"]),
    id: row["id"] as string,
    name: row["name"] as string,
    thread: row["thread_key"] as Uint8Array | null,
    threadName: row["thread_name"] as string | Uint8Array | null,
    runId: row["run_id"] as string | null,
    createdAt: row["created_at"] as number,
    data: row["data"] as string | Uint8Array,
  };
}
