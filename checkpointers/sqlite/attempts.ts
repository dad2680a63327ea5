/** Attempts of tasks. */

import type { Cell } from "../encoding/cells.ts";
import type { AttemptRow, AttemptRows } from "../steps/attempts-rows.ts";
import type { Connection } from "./connection.ts";

const TASK = "thread_key = ? AND checkpoint_ns = ? AND checkpoint_id = ? AND task_id = ?";

export function attemptRows(connection: Connection): AttemptRows {
  return {
    read: (tasks) =>
      connection.read(() => {
        const find = connection.sql(`SELECT data FROM holdfast_attempts WHERE ${TASK}`);
        return tasks.map(({ thread, ns, checkpoint, task }) => {
          const row = find.get(thread, ns, checkpoint, task) as { data: Cell } | undefined;
          return row?.data ?? null;
        });
      }),
    write: (rows) =>
      connection.write(() => {
        for (const row of rows) {
          if (row.data === null) remove(connection, row);
          else store(connection, row, row.data);
        }
      }),
  };
}

function store(connection: Connection, row: AttemptRow, data: Cell): void {
  connection
    .sql(
      `INSERT INTO holdfast_attempts
         (thread_key, checkpoint_ns, checkpoint_id, task_id, failed, next_attempt_at, data)
       VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (thread_key, checkpoint_ns, checkpoint_id, task_id) DO UPDATE SET
         failed = excluded.failed, next_attempt_at = excluded.next_attempt_at, data = excluded.data`,
    )
    .run(row.thread, row.ns, row.checkpoint, row.task, row.failed, row.nextAttemptAt, data);
}

function remove(connection: Connection, { thread, ns, checkpoint, task }: AttemptRow): void {
  connection.sql(`DELETE FROM holdfast_attempts WHERE ${TASK}`).run(thread, ns, checkpoint, task);
}
