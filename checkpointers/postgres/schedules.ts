/**
 * Schedules: each change is made only where the one before it is still there. A change that is sent
 * again after a lost connection finds its own revision, and takes itself for done.
 */

import {
  REPLACED_COLUMNS,
  SCHEDULE_COLUMNS,
  scheduleRow,
  scheduleValues,
  type ScheduleMoveRow,
  type ScheduleRows,
} from "../steps/schedule-rows.ts";
import type { Cell } from "../encoding/cells.ts";
import { array, cellOf, type Connection, type Query } from "./connection.ts";

const COLUMNS = SCHEDULE_COLUMNS.join(", ");

const REPLACED = SCHEDULE_COLUMNS.slice(0, REPLACED_COLUMNS);

export function scheduleRows(connection: Connection): ScheduleRows {
  // Its prefix is known once the tables were looked for.
  const schedules = (): string => connection.name("schedules");
  return {
    async insert(row, details) {
      const count = SCHEDULE_COLUMNS.length + 2;
      const rows = await connection.query(
        `INSERT INTO ${schedules()} AS s (${COLUMNS}, details, details_bytes)
         VALUES (${Array.from({ length: count }, (_, i) => `$${i + 1}`).join(", ")})
         ON CONFLICT (key) DO UPDATE SET revision = s.revision WHERE s.revision = excluded.revision
         RETURNING 1`,
        [...scheduleValues(row, String), ...columnsOf(details)],
      );
      return rows.length > 0;
    },
    async replace(row, from, details) {
      const at = REPLACED_COLUMNS;
      const set = REPLACED.map((column, i) => `${column} = $${i + 1}`);
      const [text, bytes] = columnsOf(details);
      // Both columns of the cell change together, or neither.
      const cell = ["details", "details_bytes"].map(
        (column, i) =>
          `${column} = CASE WHEN $${at + 1}::text IS NULL AND $${at + 2}::bytea IS NULL THEN ${column} ELSE $${at + 1 + i} END`,
      );
      const rows = await connection.query(
        `UPDATE ${schedules()} SET ${[...set, ...cell].join(", ")}
         WHERE key = $1 AND revision IN ($${at + 3}, $3) RETURNING 1`,
        [...scheduleValues(row, String).slice(0, at), text, bytes, from],
      );
      return rows.length > 0;
    },
    move: (move) =>
      moveSchedule(connection, move, (text, values) => connection.query(text, values)),
    async remove(key) {
      const rows = await connection.query(`DELETE FROM ${schedules()} WHERE key = $1 RETURNING 1`, [
        key,
      ]);
      return rows.length > 0;
    },
    async read(key) {
      const [row] = await connection.query(
        `SELECT ${COLUMNS}, details, details_bytes FROM ${schedules()} WHERE key = $1`,
        [key],
      );
      if (row === undefined) return undefined;
      return { ...scheduleRow(row), details: cellOf(row["details"], row["details_bytes"]) };
    },
    async list() {
      return (await connection.query(`SELECT ${COLUMNS} FROM ${schedules()}`)).map(scheduleRow);
    },
    async next(graphs, limit) {
      const rows = await connection.query(
        `SELECT ${COLUMNS} FROM ${schedules()}
         WHERE NOT paused AND next_at IS NOT NULL AND graph = ANY ($1::text[])
         ORDER BY next_at, key LIMIT $2`,
        [array.texts(graphs), limit],
      );
      return rows.map(scheduleRow);
    },
  };
}

/** By `query`, which may be a transaction's. @returns false where the schedule has another revision */
export async function moveSchedule(
  connection: Connection,
  { key, from, to, nextAt, lastAt, lastRun }: ScheduleMoveRow,
  query: Query,
): Promise<boolean> {
  const rows = await query(
    `UPDATE ${connection.name("schedules")}
     SET revision = $3, next_at = $4, last_at = coalesce($5::bigint, last_at),
       last_run = coalesce($6::text, last_run)
     WHERE key = $1 AND revision IN ($2, $3) RETURNING 1`,
    [key, from, to, nextAt, lastAt, lastRun],
  );
  return rows.length > 0;
}

function columnsOf(cell: Cell | null): [text: string | null, bytes: Uint8Array | null] {
  return typeof cell === "string" ? [cell, null] : [null, cell];
}
