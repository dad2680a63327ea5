/**
 * Accepted runs: a thread's are changed in one transaction, together with its lease.
 *
 * Most turns change one run and are alone with their thread. These look without a lock, and write in one
 * statement, if nobody had a turn since (`threads.turn` tells): two round trips and one commit. All others
 * hold the thread's row while they decide.
 */

import { createHash } from "node:crypto";
import {
  ENDED,
  RUN_COLUMNS,
  SETTLED,
  isBefore,
  WithTurnError,
  runRow,
  valuesOf,
  type FoundRun,
  type FoundThread,
  type RunChange,
  type RunDecision,
  type RunQueueRows,
  type RunTurn,
  type RunTurnOptions,
  type WithTurn,
} from "../steps/run-queue-rows.ts";
import { randomTag } from "../../src/ids.ts";
import type { Cell } from "../encoding/cells.ts";
import type { EventRow } from "../steps/event-rows.ts";
import {
  NOW,
  array,
  cellOf,
  isTransient,
  type Connection,
  type Query,
  type SqlRow,
  type SqlValue,
} from "./connection.ts";
import { insertEvents } from "./events.ts";
import { moveSchedule } from "./schedules.ts";

const ENDED_LIST = ENDED.map((status) => `'${status}'`).join(", ");

const SETTLED_LIST = SETTLED.map((status) => `'${status}'`).join(", ");

const COLUMNS = ["seq", ...RUN_COLUMNS];
const ALL_COLUMNS = COLUMNS.join(", ");

const OUTCOME = ["details", "details_bytes", "outcome", "outcome_bytes"];

/** Of a run's columns. */
const TYPES: Record<string, string> = {
  ...{ run_id: "text", thread_key: "bytea", graph: "text", status: "text", priority: "integer" },
  ...{ start_at: "bigint", deadline_at: "bigint", enqueued_at: "bigint", started_at: "bigint" },
  ...{ ended_at: "bigint", attempt: "integer", crashes: "integer", stop: "text", reason: "text" },
  ...{ fingerprint: "text", waiting_since: "bigint" },
  ...{ details: "text", details_bytes: "bytea", outcome: "text", outcome_bytes: "bytea" },
};

const place = (_: unknown, i: number): string => `$${i + 1}`;

export function runQueueRows(connection: Connection): RunQueueRows {
  // Their prefix is known once the tables were looked for.
  const runs = (): string => connection.name("runs");
  const threads = (): string => connection.name("threads");
  return {
    turn: async (...given) => (await quickTurn(connection, ...given)) ?? turn(connection, ...given),
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
        `SELECT min(start_at) AS at FROM ${runs()}
         WHERE status IN ('queued', 'parked', 'interrupted')
           AND start_at > coalesce($2::bigint, ${NOW}) AND graph = ANY ($1::text[])`,
        [array.texts(graphs), connection.givenNow],
      );
      return row?.["at"] as number | null;
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

/** Where those who share the schema tell each other: names of channels are shared by the database. */
function channelOf({ schema, prefix }: Connection): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([schema, prefix]))
    .digest("hex");
  return `holdfast_runs_${hash.slice(0, 24)}`;
}

/** The longest message that Postgres takes, in bytes. */
const MAX_MESSAGE = 7_999;

/** How often a turn without a lock is tried before it takes one. */
const QUICK_TRIES = 3;

/** @returns undefined, and nothing done, where it takes a lock */
async function quickTurn(
  connection: Connection,
  { thread, runId, skipBusy, move }: RunTurnOptions,
  decide: (turn: RunTurn) => RunDecision,
  withTurn?: WithTurn,
): Promise<boolean | undefined> {
  if (withTurn !== undefined || move !== undefined) return undefined;
  const mine = randomTag();
  for (let tries = 0; ; tries += 1) {
    const rows = await connection.query(
      `SELECT t.lease_owner, t.lease_token, t.lease_expires_at, t.turn,
         coalesce($3::bigint, ${NOW}) AS now, ${COLUMNS.map((column) => `r.${column}`).join(", ")}
       FROM ${connection.name("threads")} t LEFT JOIN ${connection.name("runs")} r
         ON r.thread_key = t.key AND (r.status NOT IN (${ENDED_LIST}) OR r.run_id = $2)
       WHERE t.key = $1 ORDER BY r.seq`,
      [thread, runId ?? "", connection.givenNow],
    );
    const [held] = rows;
    if (held === undefined) return false;
    // The answer to our writing was lost.
    if (held["turn"] === mine) return true;
    if (tries === QUICK_TRIES) return undefined;
    const runs = rows.filter(({ seq }) => seq !== null).map(runRow);
    const decision = decide({ ...turnOf(held), runs });
    if (decision.put.length === 0 && decision.lease === undefined) return true;
    if (decision.put.length > 1) return undefined;
    if (await quickWrite(connection, { thread, skipBusy, held, mine }, decision)) return true;
  }
}

interface QuickTurn {
  thread: Uint8Array;
  skipBusy: boolean;
  /** The thread's row as it was looked at. */
  held: SqlRow;
  /** The name of this turn. */
  mine: string;
}

/** @returns false where somebody has had a turn, or the lease, since, or is about to and is not waited for */
async function quickWrite(
  connection: Connection,
  { thread, skipBusy, held, mine }: QuickTurn,
  { put: [run], events, lease }: RunDecision,
): Promise<boolean> {
  const values: SqlValue[] = [];
  const given = (value: SqlValue, type: string): string => `$${values.push(value)}::${type}`;
  const was = (column: string, type: string): string =>
    `${column} IS NOT DISTINCT FROM ${given(held[column] as SqlValue, type)}`;
  const key = `key = ${given(thread, "bytea")}`;
  const threads = connection.name("threads");
  const seen = [
    // Who holds the row may have vanished: nobody who only looks for work waits for that.
    skipBusy
      ? `key = (SELECT key FROM ${threads} WHERE ${key} FOR NO KEY UPDATE SKIP LOCKED)`
      : key,
    was("turn", "text"),
    was("lease_token", "bigint"),
    was("lease_owner", "text"),
    // Who takes the thread must not do so from one who has just renewed.
    ...(lease === undefined || lease === "released" ? [] : [was("lease_expires_at", "bigint")]),
  ];
  const set = [`turn = ${given(mine, "text")}`];
  if (lease === "released") set.push("lease_owner = NULL", "lease_expires_at = NULL");
  else if (lease !== undefined) {
    set.push(
      `lease_owner = ${given(lease.owner, "text")}`,
      `lease_expires_at = ${given(lease.expiresAt, "bigint")}`,
      "lease_token = lease_token + 1",
    );
  }
  const taken = `UPDATE ${threads} SET ${set.join(", ")}
    WHERE ${seen.join(" AND ")} RETURNING 1`;
  const written = run === undefined ? "" : `, written AS (${writing(connection, run, given)})`;
  const left = events.map((event, i) => `, left_${i} AS (${leaving(connection, event, given)})`);
  const rows = await connection.query(
    `WITH taken AS (${taken})${written}${left.join("")} SELECT count(*)::integer AS taken FROM taken`,
    values,
  );
  return rows[0]?.["taken"] === 1;
}

/** The statement that stores a run, if its turn is taken. */
function writing(
  connection: Connection,
  run: RunChange,
  given: (value: SqlValue, type: string) => string,
): string {
  const columns: string[] = [...RUN_COLUMNS, ...OUTCOME];
  const all = [...valuesOf(run), ...columnsOf(run.details), ...columnsOf(run.end)];
  const valueOf = (column: string): string =>
    given(all[columns.indexOf(column)] ?? null, TYPES[column] ?? "text");
  if (run.seq === 0) {
    return `INSERT INTO ${connection.name("runs")} (${columns.join(", ")})
      SELECT ${columns.map(valueOf).join(", ")} FROM taken ON CONFLICT (run_id) DO NOTHING`;
  }
  const kept = [
    ...(run.details === null ? ["details", "details_bytes"] : []),
    ...(run.end === null ? ["outcome", "outcome_bytes"] : []),
  ];
  const changed = columns
    .filter((column) => !kept.includes(column))
    .map((column) => `${column} = ${valueOf(column)}`);
  return `UPDATE ${connection.name("runs")} SET ${changed.join(", ")}
    FROM taken WHERE seq = ${given(run.seq, "bigint")}`;
}

/** The statement that stores a run's event, if its turn is taken. */
function leaving(
  connection: Connection,
  { id, name, thread, runId, data }: EventRow,
  given: (value: SqlValue, type: string) => string,
): string {
  const [text, bytes] = columnsOf(data);
  const now = `coalesce(${given(connection.givenNow, "bigint")}, ${NOW})`;
  return `INSERT INTO ${connection.name("events")} (id, name, thread_key, run_id, created_at, data, data_bytes)
    SELECT ${given(id, "text")}, ${given(name, "text")}, ${given(thread, "bytea")}, ${given(runId, "text")},
      ${now}, ${given(text, "text")}, ${given(bytes, "bytea")}
    FROM taken ON CONFLICT DO NOTHING`;
}

function turnOf(held: SqlRow): Omit<RunTurn, "runs"> {
  return {
    now: held["now"] as number,
    lease: leaseOf(held),
    token: held["lease_token"] as number,
  };
}

function turn(
  connection: Connection,
  { thread, runId, skipBusy, move }: RunTurnOptions,
  decide: (turn: RunTurn) => RunDecision,
  withTurn?: WithTurn,
): Promise<boolean> {
  return connection.transaction(async (query, client, noteId) => {
    // The time is told once the row is locked, and not before the wait for it.
    const [held] = await query(
      `WITH locked AS MATERIALIZED (
         SELECT lease_owner, lease_token, lease_expires_at FROM ${connection.name("threads")}
         WHERE key = $1 FOR NO KEY UPDATE ${skipBusy ? "SKIP LOCKED" : ""}
       )
       SELECT *, coalesce($2::bigint, ${NOW}) AS now FROM locked`,
      [thread, connection.givenNow],
    );
    if (held === undefined) return false;
    if (move !== undefined && !(await moveSchedule(connection, move, query))) return false;
    const runs = await query(
      `SELECT ${ALL_COLUMNS} FROM ${connection.name("runs")}
       WHERE thread_key = $1 AND (status NOT IN (${ENDED_LIST}) OR run_id = $2) ORDER BY seq`,
      [thread, runId ?? ""],
    );
    const { put, events, lease } = decide({ ...turnOf(held), runs: runs.map(runRow) });
    if (put.length === 0 && lease === undefined && move === undefined) return true;
    for (const run of put) await write(connection, query, run);
    if (events.length > 0) await insertEvents(connection, query, events);
    await withTurn?.({
      execute: (text, values = []) => connection.executeBy(client, text, values),
      tell: async (message) => {
        const short = Buffer.byteLength(message) > MAX_MESSAGE ? "" : message;
        await query("SELECT pg_notify($1, $2)", [channelOf(connection), short]);
      },
    }).catch((cause: unknown) => {
      throw isTransient(cause) ? cause : new WithTurnError("not stored", { cause });
    });
    const [owner, expiresAt, taken] =
      lease === "released"
        ? [null, null, 0]
        : lease === undefined
          ? [held["lease_owner"] as string | null, held["lease_expires_at"] as number | null, 0]
          : [lease.owner, lease.expiresAt, 1];
    const [changed] = await query(
      `UPDATE ${connection.name("threads")}
       SET lease_owner = $2, lease_expires_at = $3, lease_token = lease_token + $4::integer, turn = $5
       WHERE key = $1 RETURNING pg_current_xact_id()::text AS id`,
      [thread, owner, expiresAt, taken, randomTag()],
    );
    noteId(changed?.["id"] as string);
    return true;
  });
}

function leaseOf(row: SqlRow): RunTurn["lease"] {
  if (row["lease_owner"] === null) return undefined;
  return {
    owner: row["lease_owner"] as string,
    expiresAt: row["lease_expires_at"] as number,
  };
}

async function write(connection: Connection, query: Query, run: RunChange): Promise<void> {
  const values = [...valuesOf(run), ...columnsOf(run.details), ...columnsOf(run.end)];
  const columns = [...RUN_COLUMNS, ...OUTCOME];
  if (run.seq === 0) {
    await query(
      `INSERT INTO ${connection.name("runs")} (${columns.join(", ")}) VALUES (${columns.map(place).join(", ")}) ON CONFLICT (run_id) DO NOTHING`,
      values,
    );
    return;
  }
  const set = RUN_COLUMNS.map((column, i) => `${column} = $${i + 1}`);
  const from = RUN_COLUMNS.length + 1;
  // Both columns of a cell change together, or neither.
  const cell = (name: string, at: number): string[] =>
    [name, `${name}_bytes`].map(
      (column, i) =>
        `${column} = CASE WHEN $${at}::text IS NULL AND $${at + 1}::bytea IS NULL THEN ${column} ELSE $${at + i} END`,
    );
  await query(
    `UPDATE ${connection.name("runs")}
     SET ${[...set, ...cell("details", from), ...cell("outcome", from + 2)].join(", ")}
     WHERE seq = $${from + 4}`,
    [...values, run.seq],
  );
}

function columnsOf(cell: Cell | null): [text: string | null, bytes: Uint8Array | null] {
  return typeof cell === "string" ? [cell, null] : [null, cell];
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
