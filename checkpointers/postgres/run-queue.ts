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
import type { Cell } from "../encoding/cells.ts";
import { NOW, array, cellOf, type Connection, type SqlRow, type SqlValue } from "./connection.ts";
import { channelOf, runTurns } from "./turns.ts";

const SETTLED_LIST = SETTLED.map((status) => `'${status}'`).join(", ");

const ALL_COLUMNS = ["seq", ...RUN_COLUMNS].join(", ");

export function runQueueRows(connection: Connection): RunQueueRows {
  // Their prefix is known once the tables were looked for.
  const runs = (): string => connection.name("runs");
  const threads = (): string => connection.name("threads");
  return {
    turn: runTurns(connection),
    server: {
      execute: (text, values) => connection.execute(text, values),
      listen: (ear) => connection.listen(channelOf(connection), ear),
    },
    async due(graphs, limit) {
      const rows = await connection.query(
        `WITH clock AS MATERIALIZED (SELECT coalesce($3::bigint, ${NOW}) AS now)
         SELECT r.thread_key, t.name AS thread_name, t.name_bytes
         FROM clock, ${runs()} r JOIN ${threads()} t ON t.key = r.thread_key
         WHERE (
             (r.status IN ('queued', 'parked', 'interrupted') AND r.start_at <= clock.now)
             OR r.status IN ('running', 'compensating')
           )
           AND EXISTS (
             SELECT 1 FROM unnest($1::text[], $4::text[]) AS g (name, fingerprint)
             WHERE g.name = r.graph
               AND (g.fingerprint IS NULL OR r.fingerprint IS NULL OR g.fingerprint = r.fingerprint
                 OR r.stop IS NOT NULL)
           )
           AND (t.lease_owner IS NULL OR t.lease_expires_at <= clock.now)
           AND NOT EXISTS (
             SELECT 1 FROM ${runs()} o WHERE o.thread_key = r.thread_key AND o.seq <> r.seq
               AND ${isBefore("o", "r", "clock.now")}
           )
         GROUP BY r.thread_key, t.name, t.name_bytes
         ORDER BY max(r.priority) DESC, min(r.start_at), min(r.seq) LIMIT $2`,
        [
          array.texts(graphs.map(({ name }) => name)),
          limit,
          connection.givenNow,
          array.texts(graphs.map(({ fingerprint }) => fingerprint ?? null)),
        ],
      );
      return rows.map(threadRow);
    },
    async working() {
      const rows = await connection.query(
        `SELECT r.thread_key, t.name AS thread_name, t.name_bytes, t.lease_owner
         FROM ${runs()} r JOIN ${threads()} t ON t.key = r.thread_key
         WHERE r.status IN ('running', 'compensating') AND t.lease_owner IS NOT NULL`,
      );
      return rows.map((row) => ({ ...threadRow(row), owner: row["lease_owner"] as string }));
    },
    async nextAt(graphs) {
      const [row] = await connection.query(
        `WITH clock AS MATERIALIZED (SELECT coalesce($2::bigint, ${NOW}) AS now)
         SELECT now, (
           SELECT min(start_at) FROM ${runs()}
           WHERE status IN ('queued', 'parked', 'interrupted') AND start_at > now
             AND graph = ANY ($1::text[])
         ) AS at FROM clock`,
        [array.texts(graphs), connection.givenNow],
      );
      return { at: row?.["at"] as number | null, now: row?.["now"] as number };
    },
    async stopping(runIds) {
      const rows = await connection.query(
        `SELECT run_id FROM ${runs()} WHERE run_id = ANY ($1::text[]) AND stop IS NOT NULL`,
        [array.texts(runIds)],
      );
      return rows.map((row) => row["run_id"] as string);
    },
    async settled(runIds) {
      const rows = await connection.query(
        `SELECT run_id FROM ${runs()} WHERE run_id = ANY ($1::text[]) AND status IN (${SETTLED_LIST})`,
        [array.texts(runIds)],
      );
      return rows.map((row) => row["run_id"] as string);
    },
    async hasBegun(thread, run) {
      const rows = await connection.query(
        `SELECT 1 FROM ${connection.name("checkpoints")} c JOIN ${threads()} t ON t.id = c.thread_id
         WHERE c.run_id = $1 AND t.key = $2 LIMIT 1`,
        [run, thread],
      );
      return rows.length > 0;
    },
    async read(runId) {
      const [row] = await connection.query(
        `SELECT r.*, t.name AS thread_name, t.name_bytes FROM ${runs()} r
         LEFT JOIN ${threads()} t ON t.key = r.thread_key WHERE r.run_id = $1`,
        [runId],
      );
      if (row === undefined) return undefined;
      return {
        ...foundRun(row),
        details: cellOf(row["details"], row["details_bytes"]),
        end: cellOf(row["outcome"], row["outcome_bytes"]) as Cell | null,
      };
    },
    async list({ runId, status, graph, thread, schedule, since, prefix, limit }) {
      const where: string[] = ["true"];
      const values: SqlValue[] = [];
      const add = (condition: (place: string) => string, value: SqlValue | undefined): void => {
        if (value === undefined) return;
        values.push(value);
        where.push(condition(`$${values.length}`));
      };
      add((at) => `r.run_id = ${at}`, runId);
      add((at) => `r.status = ${at}`, status);
      add((at) => `r.graph = ${at}`, graph);
      add((at) => `r.thread_key = ${at}`, thread);
      add((at) => `r.schedule = ${at}`, schedule);
      add((at) => `r.enqueued_at >= ${at}::bigint`, since);
      add((at) => `starts_with(r.run_id, ${at})`, prefix);
      const rows = await connection.query(
        `SELECT ${ALL_COLUMNS}, t.name AS thread_name, t.name_bytes FROM ${runs()} r
         LEFT JOIN ${threads()} t ON t.key = r.thread_key
         WHERE ${where.join(" AND ")} ORDER BY r.seq DESC LIMIT $${values.length + 1}`,
        [...values, limit],
      );
      return rows.map(foundRun);
    },
  };
}

function threadRow(row: SqlRow): FoundThread {
  return {
    thread: row["thread_key"] as Uint8Array,
    threadName: cellOf(row["thread_name"], row["name_bytes"]),
  };
}

function foundRun(row: SqlRow): FoundRun {
  return { ...runRow(row), threadName: threadRow(row).threadName };
}
