/** Events. */

import type { EventRow, EventRows, FoundEvent } from "../steps/event-rows.ts";
import type { Connection, SqlRow, SqlValue } from "./connection.ts";

const INSERT = `INSERT INTO holdfast_events (id, name, thread_key, run_id, created_at, data)
  VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`;

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
    id: row["id"] as string,
    name: row["name"] as string,
    thread: row["thread_key"] as Uint8Array | null,
    threadName: row["thread_name"] as string | Uint8Array | null,
    runId: row["run_id"] as string | null,
    createdAt: row["created_at"] as number,
    data: row["data"] as string | Uint8Array,
  };
}
