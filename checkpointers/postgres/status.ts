/** What each thread is doing. */

import {
  NOTED,
  bitOf,
  type FoundStatus,
  type NotedColumn,
  type StatusRows,
} from "../steps/status-rows.ts";
import { NOW, array, cellOf, type Connection, type SqlRow } from "./connection.ts";

/** Columns that are noted together: the text, and the bytes of a custom serde. */
const SEALED: readonly NotedColumn[] = ["progress_note", "error_message"];

const columnsOf = (column: NotedColumn): string[] =>
  SEALED.includes(column) ? [column, `${column}_bytes`] : [column];

const NOTED_COLUMNS = NOTED.flatMap(columnsOf);

const REPLACE = NOTED.flatMap((column) =>
  columnsOf(column).map(
    (name) =>
      `${name} = CASE WHEN excluded.noted & ${bitOf(column)} <> 0 THEN excluded.${name} ELSE own.${name} END`,
  ),
).join(", ");

export function statusRows(connection: Connection): StatusRows {
  const found = `SELECT s.*, t.lease_owner FROM ${connection.name("thread_status")} s
    LEFT JOIN ${connection.name("threads")} t ON t.key = s.thread_key`;
  return {
    async write(rows) {
      await connection.query(
        `INSERT INTO ${connection.name("thread_status")} AS own
           (thread_key, thread_id, thread_name, last_heartbeat, noted, ${NOTED_COLUMNS.join(", ")})
         SELECT n.thread_key, n.thread_id, n.thread_name, clock.now, n.noted, n.run_id, n.workflow_name,
           n.current_step, n.attempt, coalesce(n.started_at, clock.now), n.progress_percent,
           n.progress_note, n.progress_note_bytes, coalesce(n.status, 'running'), n.error_message,
           n.error_message_bytes, coalesce(n.waited, 0)
         FROM unnest($2::bytea[], $3::text[], $4::bytea[], $5::integer[], $6::text[], $7::text[],
             $8::text[], $9::integer[], $10::bigint[], $11::double precision[], $12::text[], $13::bytea[],
             $14::text[], $15::text[], $16::bytea[], $17::bigint[])
           AS n (thread_key, thread_id, thread_name, noted, ${NOTED_COLUMNS.join(", ")}),
           (SELECT coalesce($1::bigint, ${NOW}) AS now) clock
         ON CONFLICT (thread_key) DO UPDATE SET
           last_heartbeat = excluded.last_heartbeat, noted = excluded.noted, ${REPLACE}`,
        [
          connection.givenNow,
          array.bytes(rows.map((row) => row.key)),
          array.texts(rows.map((row) => row.threadId)),
          array.bytes(rows.map((row) => row.threadName as Uint8Array | null)),
          array.integers(rows.map((row) => row.noted)),
          array.texts(rows.map((row) => row.runId)),
          array.texts(rows.map((row) => row.workflowName)),
          array.texts(rows.map((row) => row.currentStep)),
          array.integers(rows.map((row) => row.attempt)),
          array.bigints(rows.map((row) => row.startedAt)),
          array.doubles(rows.map((row) => row.progressPercent)),
          ...array.cells(rows.map((row) => row.progressNote)),
          array.texts(rows.map((row) => row.status)),
          ...array.cells(rows.map((row) => row.errorMessage)),
          array.bigints(rows.map((row) => row.waited)),
        ],
      );
    },
    async read(key) {
      const [row] = await connection.query(`${found} WHERE s.thread_key = $1`, [key]);
      return row === undefined ? undefined : statusRow(row);
    },
    async list({ status, limit }) {
      const rows = await connection.query(
        `${found} ${status === undefined ? "" : "WHERE s.status = $2"}
         ORDER BY s.last_heartbeat DESC LIMIT $1`,
        status === undefined ? [limit] : [limit, status],
      );
      return rows.map(statusRow);
    },
  };
}

function statusRow(row: SqlRow): FoundStatus {
  return {
    key: row["thread_key"] as Uint8Array,
    threadId: row["thread_id"] as string,
    threadName: row["thread_name"] as Uint8Array | null,
    runId: row["run_id"] as string | null,
    workflowName: row["workflow_name"] as string | null,
    currentStep: row["current_step"] as string | null,
    attempt: row["attempt"] as number | null,
    startedAt: row["started_at"] as number,
    lastHeartbeat: row["last_heartbeat"] as number,
    progressPercent: row["progress_percent"] as number | null,
    progressNote: cellOf(row["progress_note"], row["progress_note_bytes"]),
    status: row["status"] as string,
    errorMessage: cellOf(row["error_message"], row["error_message_bytes"]),
    waited: row["waited"] as number,
    worker: row["lease_owner"] as string | null,
  };
}
