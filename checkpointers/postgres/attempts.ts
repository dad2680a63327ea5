/** Attempts of tasks. */

import type { Cell } from "../encoding/cells.ts";
import type { AttemptRows, TaskKey } from "../steps/attempts-rows.ts";
import { array, cellOf, type Connection } from "./connection.ts";

const TASK = "thread_key, checkpoint_ns, checkpoint_id, task_id";

export function attemptRows(connection: Connection): AttemptRows {
  return {
    async read(tasks) {
      // Row by row by the key, whatever the planner thinks of the table's size.
      const rows = await connection.query(
        `SELECT w.position, a.data, a.data_bytes
         FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[])
           WITH ORDINALITY AS w (${TASK}, position)
         CROSS JOIN LATERAL (
           SELECT data, data_bytes FROM ${connection.name("attempts")}
           WHERE thread_key = w.thread_key AND checkpoint_ns = w.checkpoint_ns
             AND checkpoint_id = w.checkpoint_id AND task_id = w.task_id OFFSET 0
         ) a`,
        keysOf(tasks),
      );
      const found = tasks.map((): Cell | null => null);
      for (const row of rows) {
        found[(row["position"] as number) - 1] = cellOf(row["data"], row["data_bytes"]);
      }
      return found;
    },
    async write(rows) {
      const table = connection.name("attempts");
      await connection.query(
        `WITH noted AS (
           SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bytea[], $5::integer[],
             $6::bigint[], $7::text[], $8::bytea[]) AS n (${TASK}, failed, next_attempt_at, data, data_bytes)
         ), removed AS (
           DELETE FROM ${table} a USING noted n
           WHERE n.data IS NULL AND n.data_bytes IS NULL
             AND a.thread_key = n.thread_key AND a.checkpoint_ns = n.checkpoint_ns
             AND a.checkpoint_id = n.checkpoint_id AND a.task_id = n.task_id
         )
         INSERT INTO ${table} (${TASK}, failed, next_attempt_at, data, data_bytes)
         SELECT * FROM noted n WHERE n.data IS NOT NULL OR n.data_bytes IS NOT NULL
         ON CONFLICT (${TASK}) DO UPDATE SET
           failed = excluded.failed, next_attempt_at = excluded.next_attempt_at,
           data = excluded.data, data_bytes = excluded.data_bytes`,
        [
          ...keysOf(rows),
          array.integers(rows.map((row) => row.failed)),
          array.bigints(rows.map((row) => row.nextAttemptAt)),
          ...array.cells(rows.map((row) => row.data)),
        ],
      );
    },
  };
}

function keysOf(tasks: readonly TaskKey[]): Buffer[] {
  return [
    array.bytes(tasks.map(({ thread }) => thread)),
    array.bytes(tasks.map(({ ns }) => ns)),
    array.bytes(tasks.map(({ checkpoint }) => checkpoint)),
    array.bytes(tasks.map(({ task }) => task)),
  ];
}
