/** Events. */

import type { EventRow, EventRows, FoundEvent } from "../steps/event-rows.ts";
import { NOW, array, cellOf, type Connection, type SqlRow, type SqlValue } from "./connection.ts";

export function eventRows(connection: Connection): EventRows {
  const events = connection.name("events");
  const threads = connection.name("threads");
  return {
    async insert(row) {
      const inserted = await connection.query(
        `INSERT INTO ${events} (id, name, thread_key, run_id, created_at, data, data_bytes)
         SELECT e.id, e.name, e.thread_key, e.run_id, coalesce($7::bigint, ${NOW}), e.data, e.data_bytes
         FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::text[], $6::bytea[])
           AS e (id, name, thread_key, run_id, data, data_bytes) ON CONFLICT DO NOTHING RETURNING seq`,
        [...eventValues([row]), connection.givenNow],
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
    async delivered(seqs) {
      await connection.query(
        `UPDATE ${events} SET pending = false WHERE seq = ANY ($1::bigint[])`,
        [array.bigints(seqs)],
      );
    },
  };
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
    id: row["id"] as string,
    name: row["name"] as string,
    thread: row["thread_key"] as Uint8Array | null,
    threadName: cellOf(row["thread_name"], row["name_bytes"]),
    runId: row["run_id"] as string | null,
    createdAt: row["created_at"] as number,
    data: cellOf(row["data"], row["data_bytes"]),
  };
}
