/** Accepted runs: found, read and listed. How they change is in turns.ts. */

import {
  RUN_COLUMNS,
  SETTLED,
  isBefore,
  runRow,
  type FoundRun,
  type FoundThread,
  type RunQueueRows,
} from "../steps/run-queue-rows.ts";
import type { Connection, SqlRow, SqlValue } from "./connection.ts";
import { runTurns } from "./turns.ts";

const SETTLED_LIST = SETTLED.map((status) => `'${status}'`).join(", ");

const COLUMNS = ["seq", ...RUN_COLUMNS].join(", ");

/** Runs that a worker may take now, or whose worker is gone; nothing that has to wait for another run of its thread. */
const DUE = `WITH clock (now) AS (SELECT ?)
  SELECT r.thread_key, t.name AS thread_name
  FROM clock JOIN holdfast_runs r JOIN holdfast_threads t ON t.key = r.thread_key
  WHERE (
      (r.status IN ('queued', 'parked', 'interrupted') AND r.start_at <= clock.now)
      OR r.status IN ('running', 'compensating')
    )
    AND EXISTS (
      SELECT 1 FROM json_each(?) g WHERE g.value ->> 'name' = r.graph
        AND (g.value ->> 'fingerprint' IS NULL OR r.fingerprint IS NULL
          OR g.value ->> 'fingerprint' = r.fingerprint OR r.stop IS NOT NULL)
    )
    AND (t.lease_owner IS NULL OR t.lease_expires_at <= clock.now)
    AND NOT EXISTS (
      SELECT 1 FROM holdfast_runs o WHERE o.thread_key = r.thread_key AND o.seq <> r.seq
        AND ${isBefore("o", "r", "clock.now")}
    )
  GROUP BY r.thread_key ORDER BY max(r.priority) DESC, min(r.start_at), min(r.seq) LIMIT ?`;

export function runQueueRows(connection: Connection): RunQueueRows {
  return {
    turn: runTurns(connection),
    due: (graphs, limit) =>
      connection.read(() =>
        connection
          .sql(DUE)
          .all(connection.now(), JSON.stringify(graphs), limit)
          .map((row) => threadRow(row as SqlRow)),
      ),
    working: () =>
      connection.read(() =>
        connection
          .sql(
            `SELECT r.thread_key, t.name AS thread_name, t.lease_owner FROM holdfast_runs r
             JOIN holdfast_threads t ON t.key = r.thread_key
             WHERE r.status IN ('running', 'compensating') AND t.lease_owner IS NOT NULL`,
          )
          .all()
          .map((row) => ({
            ...threadRow(row as SqlRow),
            owner: (row as SqlRow)["lease_owner"] as string,
          })),
      ),
    nextAt: (graphs) =>
      connection.read(() => {
        const now = connection.now();
        const { at } = connection
          .sql(
            `SELECT min(start_at) AS at FROM holdfast_runs
             WHERE status IN ('queued', 'parked', 'interrupted') AND start_at > ?
               AND graph IN (SELECT value FROM json_each(?))`,
          )
          .get(now, JSON.stringify(graphs)) as { at: number | null };
        return { at, now };
      }),
    stopping: (runIds) =>
      connection.read(() =>
        connection
          .sql(
            `SELECT run_id FROM holdfast_runs
             WHERE run_id IN (SELECT value FROM json_each(?)) AND stop IS NOT NULL`,
          )
          .all(JSON.stringify(runIds))
          .map((row) => (row as SqlRow)["run_id"] as string),
      ),
    settled: (runIds) =>
      connection.read(() =>
        connection
          .sql(
            `SELECT run_id FROM holdfast_runs
             WHERE run_id IN (SELECT value FROM json_each(?)) AND status IN (${SETTLED_LIST})`,
          )
          .all(JSON.stringify(runIds))
          .map((row) => (row as SqlRow)["run_id"] as string),
      ),
    hasBegun: (thread, run) =>
      connection.read(
        () =>
          connection
            .sql(
              `SELECT 1 FROM holdfast_checkpoints c JOIN holdfast_threads t ON t.id = c.thread_id
               WHERE c.run_id = ? AND t.key = ? LIMIT 1`,
            )
            .get(run, thread) !== undefined,
      ),
    read: (runId) =>
      connection.read(() => {
        const row = connection
          .sql(
            `SELECT r.*, t.name AS thread_name FROM holdfast_runs r
             LEFT JOIN holdfast_threads t ON t.key = r.thread_key WHERE r.run_id = ?`,
          )
          .get(runId) as SqlRow | undefined;
        if (row === undefined) return undefined;
        return {
          ...foundRun(row),
          details: row["details"] as string | Uint8Array,
          end: row["outcome"] as string | Uint8Array | null,
        };
      }),
    list: ({ runId, status, graph, thread, schedule, since, prefix, limit }) => {
      const where: string[] = ["1 = 1"];
      const values: SqlValue[] = [];
      const add = (condition: string, value: SqlValue | undefined): void => {
        if (value === undefined) return;
        where.push(condition);
        values.push(value);
      };
      add("r.run_id = ?", runId);
      add("r.status = ?", status);
      add("r.graph = ?", graph);
      add("r.thread_key = ?", thread);
      add("r.schedule = ?", schedule);
      add("r.enqueued_at >= ?", since);
      add("instr(r.run_id, ?) = 1", prefix);
      return connection.read(() =>
        connection
          .sql(
            `SELECT ${COLUMNS}, t.name AS thread_name FROM holdfast_runs r
             LEFT JOIN holdfast_threads t ON t.key = r.thread_key
             WHERE ${where.join(" AND ")} ORDER BY r.seq DESC LIMIT ?`,
          )
          .all(...values, limit)
          .map((row) => foundRun(row as SqlRow)),
      );
    },
  };
}

function threadRow(row: SqlRow): FoundThread {
  return {
    thread: row["thread_key"] as Uint8Array,
    threadName: row["thread_name"] as string | Uint8Array | null,
  };
}

function foundRun(row: SqlRow): FoundRun {
  return { ...runRow(row), threadName: threadRow(row).threadName };
}
