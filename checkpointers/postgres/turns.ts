/**
 * Turns of a thread: its runs and its lease are changed in one transaction.
 *
 * Most turns change one run and are alone with their thread. These look without a lock, and write in one
 * statement, if nobody had a turn since (`threads.turn` tells): two round trips and one commit. Where this
 * process had the last turn, or the thread is new, they do not even look first (steps/last-turns.ts). All
 * others hold the thread's row while they decide.
 */

import { createHash } from "node:crypto";
import { randomTag } from "../../src/ids.ts";
import type { Cell } from "../encoding/cells.ts";
import { ServerTime } from "../server-time.ts";
import type { EventRow } from "../steps/event-rows.ts";
import { LastTurns, type Held } from "../steps/last-turns.ts";
import {
  ENDED,
  RUN_COLUMNS,
  WithTurnError,
  runRow,
  valuesOf,
  type MadeThread,
  type MadeTurn,
  type RunChange,
  type RunDecision,
  type RunQueueRows,
  type RunRow,
  type RunTurn,
  type RunTurnOptions,
  type TakenRow,
  type WithTurn,
} from "../steps/run-queue-rows.ts";
import { threadRow } from "./checkpoints.ts";
import {
  NOW,
  cellOf,
  isTransient,
  type Connection,
  type Query,
  type SqlRow,
  type SqlValue,
} from "./connection.ts";
import { insertEvents } from "./events.ts";
import { moveSchedule } from "./schedules.ts";
import { createThreads } from "./threads.ts";

const ENDED_LIST = ENDED.map((status) => `'${status}'`).join(", ");

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

export function runTurns(connection: Connection): RunQueueRows["turn"] {
  const known: Known = { lastTurns: new LastTurns(), time: new ServerTime() };
  return async (...given) => {
    const made = await quickTurn(connection, known, ...given);
    return made === "locked" ? turn(connection, ...given) : made;
  };
}

/** What is known without asking. */
interface Known {
  lastTurns: LastTurns;
  time: ServerTime;
}

/** Where those who share the schema tell each other: names of channels are shared by the database. */
export function channelOf({ schema, prefix }: Connection): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([schema, prefix]))
    .digest("hex");
  return `holdfast_runs_${hash.slice(0, 24)}`;
}

/** The longest message that Postgres takes, in bytes. */
const MAX_MESSAGE = 7_999;

/** How often a turn without a lock is tried before it takes one. */
const QUICK_TRIES = 3;

/** A thread that is not there yet. */
const NEW: Held = {
  ...{ isThere: false, turn: null, owner: null, expiresAt: null, token: 0, now: 0, runs: [] },
};

/** @returns "locked", and nothing done, where it takes a lock */
async function quickTurn(
  connection: Connection,
  known: Known,
  options: RunTurnOptions,
  decide: (turn: RunTurn) => RunDecision,
  withTurn?: WithTurn,
): Promise<MadeTurn | "locked" | undefined> {
  const { move, make } = options;
  if (withTurn !== undefined || move !== undefined) return "locked";
  const mine = randomTag();
  const quick = { ...options, ...known, mine };
  const guessed = await guessedTurn(connection, quick, decide);
  if (guessed !== undefined) return guessed;
  for (let tries = 0; ; tries += 1) {
    let held = await look(connection, quick);
    if (held === undefined && make !== undefined) {
      await createThreads(connection, [make.row], make.now);
      held = await look(connection, quick);
    }
    if (held === undefined) return undefined;
    // The answer to our writing was lost.
    if (held.turn === mine) return {};
    if (tries === QUICK_TRIES) return "locked";
    const decision = decide(turnOf(held));
    if (decision.put.length === 0 && decision.lease === undefined) return {};
    if (decision.put.length > 1) return "locked";
    const made = await quickWrite(connection, quick, held, decision);
    if (made !== undefined) return made;
  }
}

/** @returns undefined, and nothing done, where it must look first */
async function guessedTurn(
  connection: Connection,
  quick: QuickTurn,
  decide: (turn: RunTurn) => RunDecision,
): Promise<MadeTurn | undefined> {
  const { thread, make, lastTurns, time } = quick;
  const last = lastTurns.get(thread) ?? (make?.isKnown === false ? NEW : undefined);
  const now = connection.givenNow ?? time.now();
  if (last === undefined || now === undefined) return undefined;
  // Whether its holder has renewed it is not remembered.
  if (quick.takes && last.owner !== null) return undefined;
  const held = { ...last, now: Math.max(last.now, now) };
  let decision: RunDecision;
  try {
    decision = decide(turnOf(held));
  } catch {
    // By a guess nothing is refused.
    return undefined;
  }
  const { put, lease } = decision;
  if (put.length !== 1) return undefined;
  if (!held.isThere && (put[0]?.seq !== 0 || lease !== undefined)) return undefined;
  return quickWrite(connection, { ...quick, isGuess: true }, held, decision);
}

/** @returns undefined where the thread has no row */
async function look(
  connection: Connection,
  { thread, runId, time }: QuickTurn,
): Promise<Held | undefined> {
  const rows = await connection.query(
    `SELECT t.lease_owner, t.lease_token, t.lease_expires_at, t.turn,
       coalesce($3::bigint, ${NOW}) AS now, ${COLUMNS.map((column) => `r.${column}`).join(", ")}
     FROM ${connection.name("threads")} t LEFT JOIN ${connection.name("runs")} r
       ON r.thread_key = t.key AND (r.status NOT IN (${ENDED_LIST}) OR r.run_id = $2)
     WHERE t.key = $1 ORDER BY r.seq`,
    [thread, runId ?? "", connection.givenNow],
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  const now = row["now"] as number;
  time.heard(now);
  return {
    isThere: true,
    turn: row["turn"] as string | null,
    owner: row["lease_owner"] as string | null,
    expiresAt: row["lease_expires_at"] as number | null,
    token: row["lease_token"] as number,
    now,
    runs: rows.filter(({ seq }) => seq !== null).map(runRow),
  };
}

interface QuickTurn extends RunTurnOptions, Known {
  /** The name of this turn. */
  mine: string;
  /** The thread was not looked at. */
  isGuess?: boolean;
}

/** Adds a value. @returns what stands for it in the statement */
type Given = (value: SqlValue, type: string) => string;

/**
 * @param held the thread as it was looked at, or is thought to be
 * @returns undefined where it is otherwise, or somebody is about to have a turn and is not waited for
 */
async function quickWrite(
  connection: Connection,
  quick: QuickTurn,
  held: Held,
  { put: [run], events, lease }: RunDecision,
): Promise<MadeTurn | undefined> {
  const { thread, takes, lastTurns, time, mine, make } = quick;
  const values: SqlValue[] = [];
  const given: Given = (value, type) => `$${values.push(value)}::${type}`;
  const isTaking = takes && typeof lease === "object";
  const taken =
    held.isThere || make === undefined
      ? taking(connection, quick, held, { run, lease }, given)
      : making(connection, quick, make, held, given);
  const parts = [
    `taken AS (${taken})`,
    ...(run === undefined
      ? []
      : [
          `written AS (${writing(connection, run, given)} RETURNING r.seq${isTaking ? SHOWN : ""})`,
        ]),
    ...events.map((event, i) => `left_${i} AS (${leaving(connection, event, given)})`),
  ];
  const [row] = await connection.query(
    `WITH ${parts.join(", ")}
     SELECT coalesce(${given(connection.givenNow, "bigint")}, ${NOW}) AS now
       ${isTaking ? `, taken.*, ${isEmpty(connection, "taken")} AS is_empty` : held.isThere ? ", taken.lease_expires_at" : ""}
       ${run === undefined ? "FROM taken" : ", written.* FROM taken LEFT JOIN written ON true"}`,
    values,
  );
  lastTurns.forget(thread);
  if (row === undefined) return undefined;
  const now = row["now"] as number;
  time.heard(now);
  const seq = row["seq"] as number | null;
  if (run === undefined || seq !== null) {
    lastTurns.remember(thread, {
      ...{ isThere: true, turn: mine, now: Math.max(now, held.now) },
      ...leaseAfter(held, lease, row["lease_expires_at"] as number | null | undefined),
      // A new thread's tokens begin there.
      ...(!held.isThere && make !== undefined && { token: make.now }),
      runs: run === undefined ? held.runs : withRun(held.runs, run, seq),
    });
  }
  return isTaking && seq !== null ? { taken: takenRow(row) } : {};
}

/** What a worker that takes a run is shown of it. */
const SHOWN = OUTCOME.map((column) => `, r.${column}`).join("");

/** Of the thread's row. */
const THREAD = ["id", "generation", "hash_key", "revision", "metadata", "metadata_bytes"];

/**
 * Whether a thread, locked and as it is now, has no checkpoint. A commit that this statement does not see
 * has raised the revision; a copy has its checkpoints from the beginning.
 */
function isEmpty(connection: Connection, t: string): string {
  return `(${t}.revision = 0 AND ${t}.metadata IS NULL AND ${t}.metadata_bytes IS NULL AND NOT EXISTS (
    SELECT 1 FROM ${connection.name("checkpoints")} c WHERE c.thread_id = ${t}.id))`;
}

function takenRow(row: SqlRow): TakenRow {
  return {
    details: cellOf(row["details"], row["details_bytes"]),
    end: cellOf(row["outcome"], row["outcome_bytes"]),
    empty: row["is_empty"] === true ? threadRow(row) : undefined,
  };
}

/** @param until of one that was taken */
function leaseAfter(
  { owner, expiresAt, token }: Held,
  lease: RunDecision["lease"],
  until: number | null = null,
): Pick<Held, "owner" | "expiresAt" | "token"> {
  if (lease === undefined) return { owner, expiresAt, token };
  if (lease === "released") return { owner: null, expiresAt: null, token };
  return { owner: lease.owner, expiresAt: until, token: token + 1 };
}

function withRun(runs: readonly RunRow[], changed: RunChange, seq: number | null): RunRow[] {
  const { details: _details, end: _end, ...run } = changed;
  const others = runs.filter((each) => each.runId !== run.runId);
  return [...others, { ...run, seq: seq ?? run.seq }].toSorted((a, b) => a.seq - b.seq);
}

/** The time that was guessed is not ahead of the server's. */
function hasCome(connection: Connection, { now }: Held, given: Given): string {
  return `coalesce(${given(connection.givenNow, "bigint")}, ${NOW}) >= ${given(now, "bigint")}`;
}

/** The statement that makes the thread, if there is none, and nothing of an earlier one with its id. */
function making(
  connection: Connection,
  { thread, mine }: QuickTurn,
  { row: { name, hashKey }, now }: MadeThread,
  held: Held,
  given: Given,
): string {
  const threads = connection.name("threads");
  const key = given(thread, "bytea");
  const [text, bytes] = columnsOf(name);
  const at = given(now, "bigint");
  return `INSERT INTO ${threads} (key, name, name_bytes, hash_key, created_at, updated_at, lease_token, turn)
    SELECT ${key}, ${given(text, "text")}, ${given(bytes, "bytea")}, ${given(hashKey, "bytea")}, ${at}, ${at}, ${at},
      ${given(mine, "text")}
    WHERE ${hasCome(connection, held, given)} AND NOT EXISTS (SELECT 1 FROM ${threads} WHERE key = ${key})
      AND NOT EXISTS (SELECT 1 FROM ${connection.name("runs")} WHERE thread_key = ${key})
    ON CONFLICT DO NOTHING RETURNING id`;
}

/** The statement that takes the turn, if the thread is as it is thought to be. */
function taking(
  connection: Connection,
  { thread, skipBusy, takes, mine, isGuess }: QuickTurn,
  held: Held,
  { run, lease }: { run: RunChange | undefined; lease: RunDecision["lease"] },
  given: Given,
): string {
  const was = (column: string, value: SqlValue, type: string): string =>
    `${column} IS NOT DISTINCT FROM ${given(value, type)}`;
  const key = `key = ${given(thread, "bytea")}`;
  const threads = connection.name("threads");
  const isTaken = typeof lease === "object";
  const seen = [
    // Who holds the row may have vanished: nobody who only looks for work waits for that.
    skipBusy
      ? `key = (SELECT key FROM ${threads} WHERE ${key} FOR NO KEY UPDATE SKIP LOCKED)`
      : key,
    was("turn", held.turn, "text"),
    was("lease_token", held.token, "bigint"),
    was("lease_owner", held.owner, "text"),
    // Who takes the thread, or says that its holder is gone, must not do so to one who has just renewed.
    ...(isTaken || takes ? [was("lease_expires_at", held.expiresAt, "bigint")] : []),
    ...(isGuess === true ? [hasCome(connection, held, given)] : []),
    // One that has ended is not remembered.
    ...(isGuess === true && run?.seq === 0
      ? [
          `NOT EXISTS (SELECT 1 FROM ${connection.name("runs")} WHERE run_id = ${given(run.runId, "text")})`,
        ]
      : []),
  ];
  const set = [`turn = ${given(mine, "text")}`];
  if (lease === "released") set.push("lease_owner = NULL", "lease_expires_at = NULL");
  else if (isTaken) {
    set.push(
      `lease_owner = ${given(lease.owner, "text")}`,
      // By the server's own time: by a guess, which is a moment early, it would end before its holder's does.
      `lease_expires_at = coalesce(${given(connection.givenNow, "bigint")}, ${NOW}) + ${given(lease.expiresAt - held.now, "bigint")}`,
      "lease_token = lease_token + 1",
    );
  }
  return `UPDATE ${threads} SET ${set.join(", ")}
    WHERE ${seen.join(" AND ")} RETURNING ${[...THREAD, "lease_expires_at"].join(", ")}`;
}

/** The statement that stores a run, if its turn is taken. */
function writing(connection: Connection, run: RunChange, given: Given): string {
  const columns: string[] = [...RUN_COLUMNS, ...OUTCOME];
  const all = [...valuesOf(run), ...columnsOf(run.details), ...columnsOf(run.end)];
  const valueOf = (column: string): string =>
    given(all[columns.indexOf(column)] ?? null, TYPES[column] ?? "text");
  if (run.seq === 0) {
    return `INSERT INTO ${connection.name("runs")} AS r (${columns.join(", ")})
      SELECT ${columns.map(valueOf).join(", ")} FROM taken ON CONFLICT (run_id) DO NOTHING`;
  }
  const kept = [
    ...(run.details === null ? ["details", "details_bytes"] : []),
    ...(run.end === null ? ["outcome", "outcome_bytes"] : []),
  ];
  const changed = columns
    .filter((column) => !kept.includes(column))
    .map((column) => `${column} = ${valueOf(column)}`);
  return `UPDATE ${connection.name("runs")} r SET ${changed.join(", ")}
    FROM taken WHERE r.seq = ${given(run.seq, "bigint")}`;
}

/** The statement that stores a run's event, if its turn is taken. */
function leaving(
  connection: Connection,
  { id, name, thread, runId, data }: EventRow,
  given: Given,
): string {
  const [text, bytes] = columnsOf(data);
  const now = `coalesce(${given(connection.givenNow, "bigint")}, ${NOW})`;
  return `INSERT INTO ${connection.name("events")} (id, name, thread_key, run_id, created_at, data, data_bytes)
    SELECT ${given(id, "text")}, ${given(name, "text")}, ${given(thread, "bytea")}, ${given(runId, "text")},
      ${now}, ${given(text, "text")}, ${given(bytes, "bytea")}
    FROM taken ON CONFLICT DO NOTHING`;
}

function turnOf({ now, owner, expiresAt, token, runs }: Held): RunTurn {
  return {
    now,
    lease: owner === null ? undefined : { owner, expiresAt: expiresAt ?? 0 },
    token,
    runs,
  };
}

async function turn(
  connection: Connection,
  { thread, runId, skipBusy, move, make, takes }: RunTurnOptions,
  decide: (turn: RunTurn) => RunDecision,
  withTurn?: WithTurn,
): Promise<MadeTurn | undefined> {
  if (make !== undefined) await createThreads(connection, [make.row], make.now);
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
    if (held === undefined) return undefined;
    if (move !== undefined && !(await moveSchedule(connection, move, query))) return undefined;
    const runs = await query(
      `SELECT ${ALL_COLUMNS} FROM ${connection.name("runs")}
       WHERE thread_key = $1 AND (status NOT IN (${ENDED_LIST}) OR run_id = $2) ORDER BY seq`,
      [thread, runId ?? ""],
    );
    const { put, events, lease } = decide({
      now: held["now"] as number,
      lease: leaseOf(held),
      token: held["lease_token"] as number,
      runs: runs.map(runRow),
    });
    if (put.length === 0 && lease === undefined && move === undefined) return {};
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
    const run = put.find(({ status }) => status === "running");
    if (!takes || typeof lease !== "object" || run === undefined) return {};
    const [shown] = await query(
      `SELECT ${THREAD.map((column) => `t.${column}`).join(", ")}, ${isEmpty(connection, "t")} AS is_empty${SHOWN}
       FROM ${connection.name("runs")} r JOIN ${connection.name("threads")} t ON t.key = r.thread_key
       WHERE r.seq = $1`,
      [run.seq],
    );
    return { taken: shown && takenRow(shown) };
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
