/** The ledger of effects: rows written by compare and set, and found. */

import type {
  EffectChange,
  EffectFilter,
  EffectForkRow,
  EffectRows,
  FoundEffect,
} from "../steps/effect-rows.ts";
import type { Cell } from "../encoding/cells.ts";
import { InvalidInputError } from "../../src/errors.ts";
import { array, cellOf, type Connection, type SqlRow, type SqlValue } from "./connection.ts";

/** Milliseconds since the epoch. */
const CLOCK = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/** A change's columns as one statement takes them: arrays, one parameter each. */
const PARAMETERS: readonly [
  name: string,
  type: string,
  of: (changes: readonly EffectChange[]) => SqlValue,
][] = [
  ["identity", "bytea", bytes(({ row }) => row.identity)],
  ["generation", "bigint", numbers(({ row }) => row.generation)],
  ["kind", "text", texts(({ row }) => row.kind)],
  ["name", "text", texts(({ row }) => row.name)],
  ["scope", "text", texts(({ row }) => row.scope)],
  ["idempotency_key", "text", texts(({ row }) => row.idempotency_key)],
  ["thread_key", "bytea", bytes(({ row }) => row.thread_key)],
  ["root_checkpoint", "bytea", bytes(({ row }) => row.root_checkpoint)],
  ["task_id", "bytea", bytes(({ row }) => row.task_id)],
  ["execution", "text", texts(({ row }) => row.execution)],
  ["state", "text", texts(({ row }) => row.state)],
  ["version", "text", texts(({ row }) => row.version)],
  ["process", "text", texts(({ row }) => row.process)],
  ["lease_token", "bigint", numbers(({ row }) => row.lease_token)],
  ["attempts", "bigint", numbers(({ row }) => row.attempts)],
  ["undoable", "bigint", numbers(({ row }) => Number(row.undoable))],
  ["call", "text", cellTexts(({ row }) => row.call)],
  ["call_bytes", "bytea", cellBytes(({ row }) => row.call)],
  ["result", "text", cellTexts(({ row }) => row.result)],
  ["result_bytes", "bytea", cellBytes(({ row }) => row.result)],
  ["notes", "text", cellTexts(({ row }) => row.notes)],
  ["notes_bytes", "bytea", cellBytes(({ row }) => row.notes)],
  ["replaces", "text", texts((change) => change.replaces)],
  ["expired_at", "bigint", numbers((change) => change.expired_at)],
  ["expires_in", "bigint", numbers((change) => change.expires_in)],
  ["sent", "text", texts((change) => change.sent)],
  ["need_ns", "bytea", bytes((change) => change.checkpoint?.ns ?? null)],
  ["need_id", "bytea", bytes((change) => change.checkpoint?.id ?? null)],
  ["unless_rerun", "bigint", numbers((change) => Number(change.unless_rerun))],
  ["unless_forked", "bigint", numbers((change) => Number(change.unless_forked))],
  ["closes_identity", "bytea", bytes((change) => change.closes?.identity ?? null)],
  ["closes_generation", "bigint", numbers((change) => change.closes?.generation ?? null)],
];

/** Columns that a new row takes as they are. */
const INSERTED = [
  ...["identity", "generation", "kind", "name", "scope", "idempotency_key", "thread_key"],
  ...["root_checkpoint", "task_id", "execution", "state", "version", "process", "lease_token"],
  ...["attempts", "call", "call_bytes", "result", "result_bytes", "notes", "notes_bytes"],
];

const FOUND = [...INSERTED, "undoable", "expires_at", "sent_at", "claimed_at", "updated_at"].join(
  ", ",
);

export function effectRows(connection: Connection): EffectRows {
  return {
    write: (changes, now) => writeRows(connection, changes, now),
    latest: (identities) => findLatest(connection, identities),
    list: (filter) => listRows(connection, filter),
    firstChildren: (thread, parents) => findFirstChildren(connection, thread, parents),
    mark: (thread, checkpoint, effects) => markFork(connection, thread, checkpoint, effects),
    marks: (thread) => findMarks(connection, thread),
    synchronous: false,
    transact: (change, now, work) => transact(connection, change, now, work),
    expire: (now) => expireRequests(connection, now),
  };
}

async function writeRows(
  connection: Connection,
  changes: readonly EffectChange[],
  now: number | null,
  query = (text: string, values: readonly SqlValue[]): Promise<SqlRow[]> =>
    connection.query(text, values),
): Promise<boolean[]> {
  const rows = await query(writeText(connection), [
    now,
    ...PARAMETERS.map(([, , of]) => of(changes)),
  ]);
  const written = new Set(rows.map((row) => Number(row["at"])));
  return changes.map((_, i) => written.has(i + 1));
}

const writeTexts = new WeakMap<Connection, string>();

/**
 * One statement for all of them. A writer's lease is compared with the thread's locked row, so that nothing
 * of one that was overtaken is written after the takeover. What an insert is refused for is looked at as the statement begins;
 * what may not be there twice, identity and generation, is unique.
 */
function writeText(connection: Connection): string {
  const known = writeTexts.get(connection);
  if (known !== undefined) return known;
  const table = (name: string): string => connection.name(name);
  const arrays = PARAMETERS.map(([, type], i) => `$${i + 2}::${type}[]`).join(", ");
  const names = PARAMETERS.map(([name]) => name).join(", ");
  const text = `
    WITH clock AS (SELECT coalesce($1::bigint, ${CLOCK}) AS now),
    given AS (
      SELECT i.*, clock.now FROM unnest(${arrays}) WITH ORDINALITY AS i (${names}, at), clock
    ), leases AS MATERIALIZED (
      SELECT t.key, t.lease_token FROM ${table("threads")} t
      WHERE t.key IN (SELECT thread_key FROM given WHERE lease_token IS NOT NULL)
      ORDER BY t.id FOR SHARE
    ), input AS (
      SELECT g.* FROM given g WHERE g.lease_token IS NULL OR EXISTS (
        SELECT 1 FROM leases l WHERE l.key = g.thread_key AND l.lease_token = g.lease_token)
    ), inserted AS (
      INSERT INTO ${table("effects")} AS e
        (${INSERTED.join(", ")}, undoable, expires_at, sent_at, claimed_at, updated_at)
      SELECT ${INSERTED.map((name) => `i.${name}`).join(", ")}, i.undoable = 1, i.now + i.expires_in,
        CASE WHEN i.sent <> 'no' THEN i.now END, i.now, i.now
      FROM input i
      WHERE i.replaces IS NULL
        AND (i.need_id IS NULL OR EXISTS (
          SELECT 1 FROM ${table("checkpoints")} c JOIN ${table("threads")} t ON t.id = c.thread_id
          WHERE t.key = i.thread_key AND c.checkpoint_ns = i.need_ns AND c.checkpoint_id = i.need_id))
        AND (i.unless_rerun = 0 OR NOT EXISTS (
          SELECT 1 FROM ${table("effects")} o
          WHERE o.thread_key = i.thread_key AND o.task_id = i.task_id AND o.name = i.name
            AND o.execution <> i.execution))
        AND (i.unless_forked = 0 OR NOT EXISTS (
          SELECT 1 FROM ${table("effect_forks")} f WHERE f.thread_key = i.thread_key))
      ORDER BY i.identity, i.at
      ON CONFLICT (identity, generation) DO UPDATE SET version = excluded.version
        WHERE e.version = excluded.version
      RETURNING e.identity, e.generation
    ), updated AS (
      UPDATE ${table("effects")} e SET
        state = i.state, version = i.version, process = i.process, lease_token = i.lease_token,
        attempts = i.attempts, undoable = i.undoable = 1,
        call = CASE WHEN i.claims THEN i.call ELSE e.call END,
        call_bytes = CASE WHEN i.claims THEN i.call_bytes ELSE e.call_bytes END,
        root_checkpoint = CASE WHEN i.claims THEN i.root_checkpoint ELSE e.root_checkpoint END,
        task_id = CASE WHEN i.claims THEN i.task_id ELSE e.task_id END,
        execution = CASE WHEN i.claims THEN i.execution ELSE e.execution END,
        result = i.result, result_bytes = i.result_bytes,
        notes = i.notes, notes_bytes = i.notes_bytes,
        expires_at = i.now + i.expires_in,
        sent_at = CASE i.sent WHEN 'now' THEN i.now WHEN 'before' THEN coalesce(e.sent_at, i.now) END,
        updated_at = i.now
      FROM (SELECT *, call IS NOT NULL OR call_bytes IS NOT NULL AS claims FROM input) i
      WHERE i.replaces IS NOT NULL AND e.identity = i.identity AND e.generation = i.generation
        AND (e.version = i.version
          OR (e.version = i.replaces AND (i.expired_at IS NULL OR e.expires_at = i.expired_at)))
      RETURNING e.identity, e.generation
    ), written AS (
      SELECT i.* FROM input i JOIN
        (SELECT *, true AS is_new FROM inserted UNION ALL SELECT *, false FROM updated) w
        ON w.identity = i.identity AND w.generation = i.generation AND w.is_new = (i.replaces IS NULL)
    ), closed AS (
      UPDATE ${table("effects")} e SET state = 'closed', version = w.version, updated_at = w.now
      FROM written w WHERE e.identity = w.closes_identity AND e.generation = w.closes_generation
    )
    SELECT at FROM written`;
  writeTexts.set(connection, text);
  return text;
}

async function findLatest(
  connection: Connection,
  identities: readonly Uint8Array[],
): Promise<FoundEffect[]> {
  const rows = await connection.query(
    `SELECT DISTINCT ON (identity) ${FOUND} FROM ${connection.name("effects")}
     WHERE identity = ANY ($1::bytea[]) ORDER BY identity, generation DESC`,
    [array.bytes(identities)],
  );
  return rows.map(found);
}

async function listRows(connection: Connection, filter: EffectFilter): Promise<FoundEffect[]> {
  const where = ["true"];
  const values: SqlValue[] = [];
  const add = (condition: (parameter: string) => string, value: SqlValue | undefined): void => {
    if (value === undefined) return;
    values.push(value);
    where.push(condition(`$${values.length}`));
  };
  add((p) => `thread_key = ${p}`, filter.thread);
  add((p) => `task_id = ${p}`, filter.task);
  add((p) => `kind = ${p}`, filter.kind);
  add((p) => `name = ${p}`, filter.name);
  add((p) => `state = ANY (${p}::text[])`, filter.states && array.texts(filter.states));
  add((p) => `starts_with(idempotency_key, ${p})`, filter.prefix);
  if (filter.undoable) where.push("undoable");
  values.push(filter.limit);
  const rows = await connection.query(
    `SELECT ${FOUND} FROM ${connection.name("effects")} WHERE ${where.join(" AND ")}
     ORDER BY seq DESC LIMIT $${values.length}`,
    values,
  );
  return rows.map(found);
}

function found(row: SqlRow): FoundEffect {
  const cell = (name: string): Cell | null => cellOf(row[name], row[`${name}_bytes`]);
  return {
    ...(row as unknown as FoundEffect),
    call: cell("call") as Cell,
    result: cell("result"),
    notes: cell("notes"),
  };
}

async function findFirstChildren(
  connection: Connection,
  thread: Uint8Array,
  parents: readonly Uint8Array[],
): Promise<Uint8Array[]> {
  const rows = await connection.query(
    `SELECT DISTINCT ON (c.parent_id) c.checkpoint_id AS first
     FROM ${connection.name("threads")} t JOIN ${connection.name("checkpoints")} c ON c.thread_id = t.id
     WHERE t.key = $1 AND c.checkpoint_ns = ''::bytea AND c.parent_id = ANY ($2::bytea[])
     ORDER BY c.parent_id, c.checkpoint_id`,
    [thread, array.bytes(parents)],
  );
  return rows.map((row) => row["first"] as Uint8Array);
}

async function markFork(
  connection: Connection,
  thread: Uint8Array,
  checkpoint: Uint8Array,
  effects: string,
): Promise<void> {
  await connection.query(
    `INSERT INTO ${connection.name("effect_forks")} (thread_key, checkpoint_id, effects) VALUES ($1, $2, $3)
     ON CONFLICT (thread_key, checkpoint_id) DO UPDATE SET effects = excluded.effects`,
    [thread, checkpoint, effects],
  );
}

async function findMarks(connection: Connection, thread: Uint8Array): Promise<EffectForkRow[]> {
  const rows = await connection.query(
    `SELECT checkpoint_id, effects FROM ${connection.name("effect_forks")} WHERE thread_key = $1`,
    [thread],
  );
  return rows as unknown as EffectForkRow[];
}

/** A second caller's insert waits for the first one's transaction, and then finds its row. */
function transact(
  connection: Connection,
  change: EffectChange,
  now: number | null,
  work: (handle: unknown) => Cell | Promise<Cell>,
): Promise<boolean> {
  let runs = 0;
  return connection.transaction(async (query, client) => {
    runs += 1;
    // However long the user's own work may rest between two statements.
    await query("SET LOCAL idle_in_transaction_session_timeout TO DEFAULT");
    // A version for each run: what the one before may have committed is somebody else's row to this one.
    const row = { ...change.row, version: `${change.row.version}.${runs}` };
    const [written] = await writeRows(connection, [{ ...change, row }], now, query);
    if (written !== true) return false;
    const result = await work(client);
    const { identity, generation, name } = change.row;
    const [kept] = await query(
      // A row of a transaction that was ended in between has another one's id.
      `UPDATE ${connection.name("effects")} SET result = $3, result_bytes = $4
       WHERE identity = $1 AND generation = $2 AND xmin = pg_current_xact_id()::xid RETURNING seq`,
      [
        identity,
        generation,
        typeof result === "string" ? result : null,
        typeof result === "string" ? null : result,
      ],
    );
    if (kept === undefined) {
      throw new InvalidInputError(
        `The transaction "${name}" ended itself: \`run\` must not COMMIT or ROLLBACK, that happens after it.`,
      );
    }
    return true;
  });
}

async function expireRequests(connection: Connection, now: number): Promise<void> {
  await connection.query(
    `DELETE FROM ${connection.name("effects")}
     WHERE kind = 'request' AND state <> 'claimed' AND expires_at <= $1`,
    [now],
  );
}

function bytes(of: (change: EffectChange) => Uint8Array | null) {
  return (changes: readonly EffectChange[]): SqlValue => array.bytes(changes.map(of));
}
function numbers(of: (change: EffectChange) => number | null) {
  return (changes: readonly EffectChange[]): SqlValue => array.bigints(changes.map(of));
}
function texts(of: (change: EffectChange) => string | null) {
  return (changes: readonly EffectChange[]): SqlValue => array.texts(changes.map(of));
}
function cellTexts(of: (change: EffectChange) => Cell | null) {
  return texts((change) => {
    const cell = of(change);
    return typeof cell === "string" ? cell : null;
  });
}
function cellBytes(of: (change: EffectChange) => Cell | null) {
  return bytes((change) => {
    const cell = of(change);
    return typeof cell === "string" ? null : cell;
  });
}
