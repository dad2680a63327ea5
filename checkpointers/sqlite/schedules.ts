/** Schedules: each change is made only where the one before it is still there. */

import {
  REPLACED_COLUMNS,
  SCHEDULE_COLUMNS,
  scheduleRow,
  scheduleValues,
  type ScheduleMoveRow,
  type ScheduleRows,
} from "../steps/schedule-rows.ts";
import type { Connection, SqlRow } from "./connection.ts";

const COLUMNS = SCHEDULE_COLUMNS.join(", ");

const REPLACED = SCHEDULE_COLUMNS.slice(0, REPLACED_COLUMNS);

export function scheduleRows(connection: Connection): ScheduleRows {
  return {
    insert: (row, details) =>
      connection.write(() => {
        const { changes } = connection
          .sql(
            `INSERT INTO holdfast_schedules (${COLUMNS}, details)
             VALUES (${SCHEDULE_COLUMNS.map(() => "?").join(", ")}, ?) ON CONFLICT DO NOTHING`,
          )
          .run(...scheduleValues(row, Number), details);
        return Number(changes) > 0;
      }),
    replace: (row, from, details) =>
      connection.write(() => {
        const { changes } = connection
          .sql(
            `UPDATE holdfast_schedules SET ${REPLACED.map((column) => `${column} = ?`).join(", ")},
               details = coalesce(?, details) WHERE key = ? AND revision = ?`,
          )
          .run(
            ...scheduleValues(row, Number).slice(0, REPLACED_COLUMNS),
            ...[details, row.key, from],
          );
        return Number(changes) > 0;
      }),
    move: (move) => connection.write(() => moveSchedule(connection, move)),
    remove: (key) =>
      connection.write(() => {
        const { changes } = connection.sql("DELETE FROM holdfast_schedules WHERE key = ?").run(key);
        return Number(changes) > 0;
      }),
    read: (key) =>
      connection.read(() => {
        const row = connection
          .sql(`SELECT ${COLUMNS}, details FROM holdfast_schedules WHERE key = ?`)
          .get(key) as SqlRow | undefined;
        if (row === undefined) return undefined;
        return { ...scheduleRow(row), details: row["details"] as string | Uint8Array };
      }),
    list: () =>
      connection.read(() =>
        connection
          .sql(`SELECT ${COLUMNS} FROM holdfast_schedules`)
          .all()
          .map((row) => scheduleRow(row as SqlRow)),
      ),
    next: (graphs, limit) =>
      connection.read(() =>
        connection
          .sql(
            `SELECT ${COLUMNS} FROM holdfast_schedules
             WHERE paused = 0 AND next_at IS NOT NULL AND graph IN (SELECT value FROM json_each(?))
             ORDER BY next_at, key LIMIT ?`,
          )
          .all(JSON.stringify(graphs), limit)
          .map((row) => scheduleRow(row as SqlRow)),
      ),
  };
}

/** In the transaction that is under way. @returns false where the schedule has another revision */
export function moveSchedule(connection: Connection, move: ScheduleMoveRow): boolean {
  const { key, from, to, nextAt, lastAt, lastRun } = move;
  const { changes } = connection
    .sql(
      `UPDATE holdfast_schedules SET revision = ?, next_at = ?, last_at = coalesce(?, last_at),
         last_run = coalesce(?, last_run)
       WHERE key = ? AND revision = ?`,
    )
    .run(to, nextAt, lastAt, lastRun, key, from);
  return Number(changes) > 0;
}
