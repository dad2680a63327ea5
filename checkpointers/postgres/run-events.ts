/** What runs stream. */

import type { RunEventFence, RunEventRow, RunEventRows } from "../steps/run-events-rows.ts";
import { NOW, array, cellOf, type Connection, type SqlRow } from "./connection.ts";

const expired = (at: string): string => `(r.seq IS NULL OR r.ended_at <= ${at}::bigint)`;

export function runEventRows(connection: Connection): RunEventRows {
  const events = (): string => connection.name("run_events");
  const runs = (): string => connection.name("runs");
  return {
    append: (fence, rows) => append(connection, fence, rows),
    async read(run, { attempt, n }, limit) {
      const rows = await connection.query(
        `SELECT attempt, n, event, path, created_at, data, data_bytes FROM ${events()}
         WHERE run_seq = $1 AND (attempt, n) > ($2::integer, $3::integer) ORDER BY attempt, n LIMIT $4`,
        [run, attempt, n, limit],
      );
      return rows.map(eventRow);
    },
    async paths(run) {
      const rows = await connection.query(
        `SELECT DISTINCT path FROM ${events()} WHERE run_seq = $1 AND path IS NOT NULL`,
        [run],
      );
      return rows.map((row) => row["path"] as string);
    },
    async runs(from, endedBefore, limit) {
      const rows = await connection.query(
        // From run to run by the key, whatever their events are.
        `WITH RECURSIVE kept (run, depth) AS (
           SELECT min(run_seq), 1 FROM ${events()} WHERE run_seq >= $1::bigint
           UNION ALL
           SELECT (SELECT min(run_seq) FROM ${events()} WHERE run_seq > kept.run), depth + 1
           FROM kept WHERE kept.run IS NOT NULL AND depth < $2::integer
         )
         SELECT run, coalesce(${expired("$3")}, false) AS over
         FROM kept LEFT JOIN ${runs()} r ON r.seq = run WHERE run IS NOT NULL ORDER BY run`,
        [from, limit, endedBefore],
      );
      return rows.map((row) => ({ run: row["run"] as number, isOver: row["over"] === true }));
    },
    async remove(seqs, endedBefore, limit) {
      const rows = await connection.query(
        `WITH gone AS (
           DELETE FROM ${events()} WHERE (run_seq, attempt, n) IN (
             SELECT e.run_seq, e.attempt, e.n FROM ${events()} e LEFT JOIN ${runs()} r ON r.seq = e.run_seq
             WHERE e.run_seq = ANY ($1::bigint[]) AND ${expired("$2")} LIMIT $3
           ) RETURNING 1
         )
         SELECT count(*) AS count FROM gone`,
        [array.bigints(seqs), endedBefore, limit],
      );
      return rows[0]?.["count"] as number;
    },
    async removeOfThread(thread, endedBefore) {
      await connection.query(
        `DELETE FROM ${events()} WHERE run_seq IN (
           SELECT r.seq FROM ${runs()} r JOIN ${connection.name("threads")} t ON t.key = r.thread_key
           WHERE t.id = $1 AND r.ended_at <= $2::bigint
         )`,
        [thread, endedBefore],
      );
    },
    async removeOfRuns(runIds) {
      await connection.query(
        `DELETE FROM ${events()} WHERE run_seq IN (
           SELECT seq FROM ${runs()} WHERE run_id = ANY ($1::text[])
         )`,
        [array.texts(runIds)],
      );
    },
  };
}

/** The lease is compared with the thread's locked row: nothing is written after a takeover. */
async function append(
  connection: Connection,
  { thread, token, run, attempt }: RunEventFence,
  rows: readonly RunEventRow[],
): Promise<boolean> {
  const [text, bytes] = array.cells(rows.map(({ data }) => data));
  const [found] = await connection.query(
    `WITH held AS MATERIALIZED (
       SELECT t.key FROM ${connection.name("threads")} t
       WHERE t.key = $1 AND t.lease_token = $2 AND t.lease_owner IS NOT NULL FOR SHARE
     ), mine AS MATERIALIZED (
       SELECT r.seq FROM ${connection.name("runs")} r JOIN held ON held.key = r.thread_key
       WHERE r.seq = $3 AND r.attempt = $4
     ), stored AS (
       INSERT INTO ${connection.name("run_events")}
         (run_seq, attempt, n, event, path, data, data_bytes, created_at)
       SELECT mine.seq, $4::integer, e.n, e.event, e.path, e.data, e.data_bytes, coalesce($10::bigint, ${NOW})
       FROM mine, unnest($5::integer[], $6::text[], $7::text[], $8::text[], $9::bytea[])
         AS e (n, event, path, data, data_bytes)
       ON CONFLICT DO NOTHING
     )
     SELECT count(*) AS held FROM mine`,
    [
      ...[thread, token, run, attempt],
      array.integers(rows.map(({ n }) => n)),
      array.texts(rows.map(({ event }) => event)),
      array.texts(rows.map(({ path }) => path)),
      ...[text, bytes, connection.givenNow],
    ],
  );
  return (found?.["held"] as number) > 0;
}

function eventRow(row: SqlRow): RunEventRow & { createdAt: number } {
  return {
    attempt: row["attempt"] as number,
    n: row["n"] as number,
    event: row["event"] as string,
    path: row["path"] as string | null,
    createdAt: row["created_at"] as number,
    data: cellOf(row["data"], row["data_bytes"]),
  };
}
