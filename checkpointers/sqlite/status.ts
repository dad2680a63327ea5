/** What each thread is doing. */

import {
  NOTED,
  bitOf,
  type FoundStatus,
  type NotedColumn,
  type NotedStatus,
  type StatusRows,
} from "../steps/status-rows.ts";
import type { Connection, SqlValue } from "./connection.ts";

const COLUMNS = `thread_key AS key, thread_id AS threadId, thread_name AS threadName, run_id AS runId,
  workflow_name AS workflowName, current_step AS currentStep, attempt, started_at AS startedAt,
  last_heartbeat AS lastHeartbeat, progress_percent AS progressPercent,
  progress_note AS progressNote, status, error_message AS errorMessage, waited, lease_owner AS worker`;

const STATUS = "holdfast_thread_status LEFT JOIN holdfast_threads ON key = thread_key";

const UPSERT = `INSERT INTO holdfast_thread_status
    (thread_key, thread_id, thread_name, last_heartbeat, noted, ${NOTED.join(", ")})
  VALUES (?, ?, ?, ?, ?, ${NOTED.map(() => "?").join(", ")})
  ON CONFLICT (thread_key) DO UPDATE SET last_heartbeat = excluded.last_heartbeat, noted = excluded.noted,
    ${NOTED.map((column) => `${column} = CASE WHEN excluded.noted & ${bitOf(column)} THEN excluded.${column} ELSE holdfast_thread_status.${column} END`).join(", ")}`;

export function statusRows(connection: Connection): StatusRows {
  return {
    write: (rows) =>
      connection.write(() => {
        const now = connection.now();
        for (const row of rows) {
          const values = valuesOf(row, now);
          connection
            .sql(UPSERT)
            .run(
              row.key,
              row.threadId,
              row.threadName,
              now,
              row.noted,
              ...NOTED.map((column) => values[column]),
            );
        }
      }),
    read: (key) =>
      connection.read(
        () =>
          connection.sql(`SELECT ${COLUMNS} FROM ${STATUS} WHERE thread_key = ?`).get(key) as
            FoundStatus | undefined,
      ),
    list: ({ status, limit }) =>
      connection.read(
        () =>
          connection
            .sql(
              `SELECT ${COLUMNS} FROM ${STATUS} ${status === undefined ? "" : "WHERE status = ?"}
               ORDER BY last_heartbeat DESC LIMIT ?`,
            )
            .all(...(status === undefined ? [] : [status]), limit) as FoundStatus[],
      ),
  };
}

/** What a new row gets; of an older row only what was noted is replaced. */
function valuesOf(row: NotedStatus, now: number): Record<NotedColumn, SqlValue> {
  return {
    run_id: row.runId,
    workflow_name: row.workflowName,
    current_step: row.currentStep,
    attempt: row.attempt,
    started_at: row.startedAt ?? now,
    progress_percent: row.progressPercent,
    progress_note: row.progressNote,
    status: row.status ?? "running",
    error_message: row.errorMessage,
    waited: row.waited ?? 0,
  };
}
