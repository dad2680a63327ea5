/** What is heard of threads: a few rows of indexes, and those that they lead to. */

import type { Cell } from "../encoding/cells.ts";
import { pulseRow, type PulseRows } from "../steps/pulse-rows.ts";
import { RUN_COLUMNS, isBefore, runRow } from "../steps/run-queue-rows.ts";
import type { Connection, SqlRow } from "./connection.ts";

const AT_WORK = `WITH asked (thread, heard, leased) AS (SELECT ?, ?, ?), working AS (
    SELECT thread_key, run_id, graph, status, started_at FROM holdfast_runs
    WHERE status IN ('running', 'compensating')
    UNION ALL
    SELECT s.thread_key, NULL, s.workflow_name, s.status, s.started_at FROM holdfast_thread_status s
      LEFT JOIN holdfast_threads l ON l.key = s.thread_key
    WHERE s.status IN ('running', 'compensating') AND NOT EXISTS (
      SELECT 1 FROM holdfast_runs r WHERE r.thread_key = s.thread_key
        AND (l.lease_owner IS NULL OR r.status IN ('running', 'compensating'))
    )
  ), heard AS (
    SELECT w.*, coalesce(t.name, s.thread_name) AS thread_name, s.thread_id, s.current_step,
      t.lease_owner, t.lease_expires_at,
      max(coalesce(w.started_at, 0), coalesce(t.updated_at, 0), coalesce(s.last_heartbeat, 0)) AS heard_at
    FROM asked JOIN working w LEFT JOIN holdfast_threads t ON t.key = w.thread_key
      LEFT JOIN holdfast_thread_status s ON s.thread_key = w.thread_key
    WHERE asked.thread IS NULL OR w.thread_key = asked.thread
  )
  SELECT heard.* FROM asked JOIN heard
  WHERE (asked.heard IS NULL AND asked.leased IS NULL)
    OR heard_at <= asked.heard OR lease_expires_at <= asked.leased
  ORDER BY heard_at DESC LIMIT ?`;

const OVERDUE = `WITH asked (thread, before) AS (SELECT ?, ?), free AS (
    SELECT ${["seq", ...RUN_COLUMNS].map((column) => `r.${column}`).join(", ")}, t.name AS thread_name,
      max(r.start_at, coalesce(t.lease_expires_at, 0), coalesce((
        SELECT max(max(coalesce(o.ended_at, 0), coalesce(o.waiting_since, 0))) FROM holdfast_runs o
        WHERE o.thread_key = r.thread_key AND o.seq <> r.seq
      ), 0)) AS since
    FROM asked JOIN holdfast_runs r LEFT JOIN holdfast_threads t ON t.key = r.thread_key
    WHERE r.status IN ('queued', 'parked', 'interrupted') AND r.start_at <= asked.before
      AND (asked.thread IS NULL OR r.thread_key = asked.thread)
      AND NOT EXISTS (
        SELECT 1 FROM holdfast_runs o WHERE o.thread_key = r.thread_key AND o.seq <> r.seq
          AND ${isBefore("o", "r", "asked.before")}
      )
  )
  SELECT free.* FROM asked JOIN free WHERE since <= asked.before
  ORDER BY since DESC, seq DESC LIMIT ?`;

export function pulseRows(connection: Connection): PulseRows {
  return {
    atWork: ({ thread, heardBefore, leaseEndedBefore, limit }) =>
      connection.read(() =>
        connection
          .sql(AT_WORK)
          .all(thread, heardBefore, leaseEndedBefore, limit)
          .map((row) => ({ ...pulseRow(row as SqlRow), threadName: nameOf(row as SqlRow) })),
      ),
    overdue: ({ thread, before, limit }) =>
      connection.read(() =>
        connection
          .sql(OVERDUE)
          .all(thread, before, limit)
          .map((row) => ({
            run: { ...runRow(row as SqlRow), threadName: nameOf(row as SqlRow) },
            since: (row as SqlRow)["since"] as number,
          })),
      ),
  };
}

function nameOf(row: SqlRow): Cell | null {
  return row["thread_name"] as Cell | null;
}
