/** What runs stream. */

import type { RunEventFence, RunEventRow, RunEventRows } from "../steps/run-events-rows.ts";
import type { Connection, SqlRow } from "./connection.ts";

const EXPIRED = "(r.seq IS NULL OR r.ended_at <= ?)";

export function runEventRows(connection: Connection): RunEventRows {
  return {
    append: (fence, rows) => append(connection, fence, rows),
    read: (run, { attempt, n }, limit) =>
      connection.read(() =>
        connection
          .sql(
            `SELECT attempt, n, event, path, created_at, data FROM holdfast_run_events
             WHERE run_seq = ? AND (attempt, n) > (?, ?) ORDER BY attempt, n LIMIT ?`,
          )
          .all(run, attempt, n, limit)
          .map((row) => eventRow(row as SqlRow)),
      ),
    paths: (run) =>
      connection.read(() =>
        connection
          .sql(
            "SELECT DISTINCT path FROM holdfast_run_events WHERE run_seq = ? AND path IS NOT NULL",
          )
          .all(run)
          .map((row) => (row as SqlRow)["path"] as string),
      ),
    runs: (from, endedBefore, limit) =>
      connection.read(() =>
        connection
          .sql(
            // From run to run by the key, whatever their events are.
            `WITH RECURSIVE kept (run, depth) AS (
               SELECT min(run_seq), 1 FROM holdfast_run_events WHERE run_seq >= ?
               UNION ALL
               SELECT (SELECT min(run_seq) FROM holdfast_run_events WHERE run_seq > kept.run), depth + 1
               FROM kept WHERE kept.run IS NOT NULL AND depth < ?
             )
             SELECT run, ${EXPIRED} AS over FROM kept LEFT JOIN holdfast_runs r ON r.seq = run
             WHERE run IS NOT NULL ORDER BY run`,
          )
          .all(from, limit, endedBefore)
          .map((row) => ({
            run: (row as SqlRow)["run"] as number,
            isOver: (row as SqlRow)["over"] === 1,
          })),
      ),
    remove: (runs, endedBefore, limit) =>
      connection.write(() => {
        const { changes } = connection
          .sql(
            `DELETE FROM holdfast_run_events WHERE (run_seq, attempt, n) IN (
               SELECT e.run_seq, e.attempt, e.n FROM holdfast_run_events e
               LEFT JOIN holdfast_runs r ON r.seq = e.run_seq
               WHERE e.run_seq IN (SELECT value FROM json_each(?)) AND ${EXPIRED} LIMIT ?
             )`,
          )
          .run(JSON.stringify(runs), endedBefore, limit);
        return Number(changes);
      }),
    removeOfThread: (thread, endedBefore) =>
      connection.write(() => {
        connection
          .sql(
            `DELETE FROM holdfast_run_events WHERE run_seq IN (
               SELECT r.seq FROM holdfast_runs r JOIN holdfast_threads t ON t.key = r.thread_key
               WHERE t.id = ? AND r.ended_at <= ?
             )`,
          )
          .run(thread, endedBefore);
      }),
    removeOfRuns: (runIds) =>
      connection.write(() => {
        connection
          .sql(
            `DELETE FROM holdfast_run_events WHERE run_seq IN (
               SELECT seq FROM holdfast_runs WHERE run_id IN (SELECT value FROM json_each(?))
             )`,
          )
          .run(JSON.stringify(runIds));
      }),
  };
}

function append(
  connection: Connection,
  { thread, token, run, attempt }: RunEventFence,
  rows: readonly RunEventRow[],
): Promise<boolean> {
  return connection.write(() => {
    const held = connection
      .sql(
        `SELECT 1 FROM holdfast_threads t JOIN holdfast_runs r ON r.thread_key = t.key
         WHERE t.key = ? AND t.lease_token = ? AND t.lease_owner IS NOT NULL AND r.seq = ? AND r.attempt = ?`,
      )
      .get(thread, token, run, attempt);
    if (held === undefined) return false;
    const now = connection.now();
    const insert = connection.sql(
      `INSERT INTO holdfast_run_events (run_seq, attempt, n, event, path, created_at, data)
       VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    );
    for (const { n, event, path, data } of rows)
      insert.run(run, attempt, n, event, path, now, data);
    return true;
  });
}

function eventRow(row: SqlRow): RunEventRow & { createdAt: number } {
  return {
    attempt: row["attempt"] as number,
    n: row["n"] as number,
    event: row["event"] as string,
    path: row["path"] as string | null,
    createdAt: row["created_at"] as number,
    data: row["data"] as string | Uint8Array,
  };
}
