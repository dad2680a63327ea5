/** Small shared states: each changed in one immediate transaction. */

import type { StateKind } from "../../src/step-store.ts";
import type { StatePlace, StateRow, StateRows } from "../steps/states-rows.ts";
import type { Connection, SqlValue } from "./connection.ts";

const TABLES: Record<StateKind, string> = {
  breakers: "holdfast_breakers",
  limits: "holdfast_limits",
  budgets: "holdfast_budgets",
};

export function stateRows(connection: Connection): StateRows {
  return {
    read: (kind, places) =>
      connection.read(() => {
        const now = connection.now();
        return places.map((place) => ({ state: find(connection, kind, place), now }));
      }),
    change: (kind, place, decide) =>
      connection.write(() => {
        const now = connection.now();
        const state = decide(find(connection, kind, place), now);
        if (state === undefined) return;
        if (state === null) remove(connection, kind, place);
        else store(connection, kind, place, state, now);
      }),
    list: (kind, { prefix, thread }) => {
      const where: string[] = ["1 = 1"];
      const values: SqlValue[] = [];
      if (thread !== undefined) {
        where.push("s.thread_key = ?");
        values.push(thread);
      }
      if (prefix.length > 0) {
        // Within a key, 0xff stands at most once.
        where.push("s.key >= ? AND s.key < ?");
        values.push(prefix, Buffer.concat([prefix, Buffer.of(0xff, 0xff)]));
      }
      return connection.read(
        () =>
          connection
            .sql(
              `SELECT s.name, s.thread_key AS thread, t.name AS threadName, s.state,
                 s.updated_at AS updatedAt
               FROM ${TABLES[kind]} s LEFT JOIN holdfast_threads t ON t.key = s.thread_key
               WHERE ${where.join(" AND ")}`,
            )
            .all(...values) as StateRow[],
      );
    },
  };
}

function find(connection: Connection, kind: StateKind, place: StatePlace): string | undefined {
  const row = connection
    .sql(`SELECT state FROM ${TABLES[kind]} WHERE thread_key = ? AND key = ?`)
    .get(place.thread, place.key) as { state: string } | undefined;
  return row?.state;
}

function store(
  connection: Connection,
  kind: StateKind,
  place: StatePlace,
  state: string,
  now: number,
): void {
  connection
    .sql(
      `INSERT INTO ${TABLES[kind]} (thread_key, key, name, state, updated_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (thread_key, key) DO UPDATE SET
         state = excluded.state, updated_at = excluded.updated_at`,
    )
    .run(place.thread, place.key, place.name, state, now);
}

function remove(connection: Connection, kind: StateKind, place: StatePlace): void {
  connection
    .sql(`DELETE FROM ${TABLES[kind]} WHERE thread_key = ? AND key = ?`)
    .run(place.thread, place.key);
}
