/** Small shared states: each changed in one transaction that holds its row's lock. */

import type { StateKind } from "../../src/step-store.ts";
import type { StatePlace, StateRows } from "../steps/states-rows.ts";
import { NOW, array, cellOf, type Connection, type Query, type SqlValue } from "./connection.ts";

const MAX_TRIES = 100;

export function stateRows(connection: Connection): StateRows {
  return {
    async read(kind, places) {
      // Row by row by the key, whatever the planner thinks of the table's size.
      const rows = await connection.query(
        `SELECT s.state, coalesce($3::bigint, ${NOW}) AS now
         FROM unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS w (thread_key, key, position)
         LEFT JOIN LATERAL (
           SELECT state FROM ${connection.name(kind)}
           WHERE thread_key = w.thread_key AND key = w.key OFFSET 0
         ) s ON true
         ORDER BY w.position`,
        [
          array.bytes(places.map(({ thread }) => thread)),
          array.bytes(places.map(({ key }) => key)),
          connection.givenNow,
        ],
      );
      return rows.map((row) => ({
        state: (row["state"] as string | null) ?? undefined,
        now: row["now"] as number,
      }));
    },
    change: (kind, place, decide) =>
      connection.transaction(async (query, _client, noteId) => {
        const table = connection.name(kind);
        const found = await lock(connection, query, kind, place);
        const state = decide(found.state, found.now);
        const isThere = found.state !== undefined;
        if (state === undefined && isThere) return;
        const where =
          "WHERE thread_key = $1 AND key = $2 RETURNING pg_current_xact_id()::text AS id";
        const [changed] =
          typeof state === "string"
            ? await query(`UPDATE ${table} SET state = $3, updated_at = $4::bigint ${where}`, [
                place.thread,
                place.key,
                state,
                found.now,
              ])
            : await query(`DELETE FROM ${table} ${where}`, [place.thread, place.key]);
        noteId(changed?.["id"] as string);
      }),
    async list(kind, { prefix, thread }) {
      const where: string[] = ["true"];
      const values: SqlValue[] = [];
      if (thread !== undefined) {
        values.push(thread);
        where.push(`s.thread_key = $${values.length}`);
      }
      if (prefix.length > 0) {
        // Within a key, 0xff stands at most once.
        values.push(prefix, Buffer.concat([prefix, Buffer.of(0xff, 0xff)]));
        where.push(`s.key >= $${values.length - 1}::bytea AND s.key < $${values.length}::bytea`);
      }
      const rows = await connection.query(
        `SELECT s.name, s.thread_key, t.name AS thread_name, t.name_bytes, s.state, s.updated_at
         FROM ${connection.name(kind)} s LEFT JOIN ${connection.name("threads")} t ON t.key = s.thread_key
         WHERE ${where.join(" AND ")}`,
        values,
      );
      return rows.map((row) => ({
        name: row["name"] as string,
        thread: row["thread_key"] as Uint8Array,
        threadName: cellOf(row["thread_name"], row["name_bytes"]),
        state: row["state"] as string,
        updatedAt: row["updated_at"] as number,
      }));
    },
  };
}

/**
 * Locks the row, and tells the time since when it is locked. Where there is none yet, one is made
 * that only this transaction sees, whose key holds up whoever else wants to make it.
 */
async function lock(
  connection: Connection,
  query: Query,
  kind: StateKind,
  place: StatePlace,
): Promise<{ state: string | undefined; now: number }> {
  const table = connection.name(kind);
  const { givenNow } = connection;
  for (let tries = 1; ; tries += 1) {
    // In a list of its own: beside FOR UPDATE it would tell the time before the wait for the lock.
    const [found] = await query(
      `WITH locked AS MATERIALIZED (
         SELECT state FROM ${table} WHERE thread_key = $1 AND key = $2 FOR UPDATE
       )
       SELECT state, coalesce($3::bigint, ${NOW}) AS now FROM locked`,
      [place.thread, place.key, givenNow],
    );
    if (found !== undefined) return found as { state: string; now: number };
    const [made] = await query(
      `INSERT INTO ${table} (thread_key, key, name, state, updated_at) VALUES ($1, $2, $3, '', 0)
       ON CONFLICT DO NOTHING RETURNING coalesce($4::bigint, ${NOW}) AS now`,
      [place.thread, place.key, place.name, givenNow],
    );
    if (made !== undefined) return { state: undefined, now: made["now"] as number };
    // Made and removed again by others, in turns: it cannot go on for ever.
    if (tries === MAX_TRIES) throw new Error(`The row of "${place.name}" comes and goes.`);
  }
}
