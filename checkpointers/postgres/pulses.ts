/** What is heard of threads: a few rows of indexes, and those that they lead to. */

import { pulseRow, type PulseRows } from "../steps/pulse-rows.ts";
import { RUN_COLUMNS, isBefore, runRow } from "../steps/run-queue-rows.ts";
import { cellOf, type Connection } from "./connection.ts";

export function pulseRows(connection: Connection): PulseRows {
  return {
    async atWork({ thread, heardBefore, leaseEndedBefore, limit }) {
      const [runs, threads, status] = tablesOf(connection);
      const rows = await connection.query(
        `WITH working AS (
           SELECT thread_key, run_id, graph, status, started_at FROM ${runs}
           WHERE status IN ('running', 'compensating')
           UNION ALL
           SELECT s.thread_key, NULL, s.workflow_name, s.status, s.started_at FROM ${status} s
             LEFT JOIN ${threads} l ON l.key = s.thread_key
           WHERE s.status IN ('running', 'compensating') AND NOT EXISTS (
             SELECT 1 FROM ${runs} r WHERE r.thread_key = s.thread_key
               AND (l.lease_owner IS NULL OR r.status IN ('running', 'compensating'))
           )
         ), heard AS (
           SELECT w.*, t.name AS thread_name, coalesce(t.name_bytes, s.thread_name) AS name_bytes,
             s.thread_id, s.current_step, t.lease_owner, t.lease_expires_at,
             greatest(w.started_at, t.updated_at, s.last_heartbeat) AS heard_at
           FROM working w LEFT JOIN ${threads} t ON t.key = w.thread_key
             LEFT JOIN ${status} s ON s.thread_key = w.thread_key
           WHERE $1::bytea IS NULL OR w.thread_key = $1
         )
         SELECT * FROM heard
         WHERE ($2::bigint IS NULL AND $3::bigint IS NULL)
           OR heard_at <= $2::bigint OR lease_expires_at <= $3::bigint
         ORDER BY heard_at DESC LIMIT $4`,
        [thread, heardBefore, leaseEndedBefore, limit],
      );
      return rows.map((row) => ({
        ...pulseRow(row),
        threadName: cellOf(row["thread_name"], row["name_bytes"]),
      }));
    },
    async overdue({ thread, before, limit }) {
      const [runs, threads] = tablesOf(connection);
      const rows = await connection.query(
        `WITH free AS (
           SELECT ${["seq", ...RUN_COLUMNS].map((column) => `r.${column}`).join(", ")},
             t.name AS thread_name, t.name_bytes,
             greatest(r.start_at, t.lease_expires_at, (
               SELECT max(greatest(o.ended_at, o.waiting_since)) FROM ${runs} o
               WHERE o.thread_key = r.thread_key AND o.seq <> r.seq
             )) AS since
           FROM ${runs} r LEFT JOIN ${threads} t ON t.key = r.thread_key
           WHERE r.status IN ('queued', 'parked', 'interrupted') AND r.start_at <= $2::bigint
             AND ($1::bytea IS NULL OR r.thread_key = $1)
             AND NOT EXISTS (
               SELECT 1 FROM ${runs} o WHERE o.thread_key = r.thread_key AND o.seq <> r.seq
                 AND ${isBefore("o", "r", "$2::bigint")}
             )
         )
         SELECT * FROM free WHERE since <= $2::bigint ORDER BY since DESC, seq DESC LIMIT $3`,
        [thread, before, limit],
      );
      return rows.map((row) => ({
        run: { ...runRow(row), threadName: cellOf(row["thread_name"], row["name_bytes"]) },
        since: row["since"] as number,
      }));
    },
  };
}

function tablesOf(connection: Connection): [runs: string, threads: string, status: string] {
  return [connection.name("runs"), connection.name("threads"), connection.name("thread_status")];
}
