/** The ledger of effects: rows written by compare and set, and found. */

import type {
  EffectChange,
  EffectColumns,
  EffectFilter,
  EffectForkRow,
  EffectRows,
  FoundEffect,
} from "../steps/effect-rows.ts";
import type { Cell } from "../encoding/cells.ts";
import type { Clock } from "../../src/clock.ts";
import { InvalidInputError } from "../../src/errors.ts";
import { readToken } from "./leases.ts";
import type { Connection, SqlRow, SqlValue } from "./connection.ts";

const COLUMNS = [
  ...["identity", "generation", "kind", "name", "scope", "idempotency_key", "thread_key"],
  ...["root_checkpoint", "task_id", "execution", "state", "version", "process", "lease_token"],
  ...["attempts", "undoable", "call", "result", "notes"],
] as const satisfies readonly (keyof EffectColumns)[];
const FOUND = [...COLUMNS, "expires_at", "sent_at", "claimed_at", "updated_at"].join(", ");

/** @param clock this machine's time: all processes on the file share it */
export function effectRows(connection: Connection, clock: Clock): EffectRows {
  return {
    write: (changes, now) =>
      connection.write(() =>
        changes.map((change) => writeRow(connection, change, now ?? clock.now())),
      ),
    latest: (identities) => findLatest(connection, identities),
    list: (filter) => listRows(connection, filter),
    firstChildren: (thread, parents) => findFirstChildren(connection, thread, parents),
    mark: (thread, checkpoint, effects) => markFork(connection, thread, checkpoint, effects),
    marks: (thread) => findMarks(connection, thread),
    synchronous: true,
    transact: (change, now, work) =>
      connection.write(() => transact(connection, change, now ?? clock.now(), work)),
    expire: (now) => expireRequests(connection, now),
  };
}

/** Within a transaction. */
function transact(
  connection: Connection,
  change: EffectChange,
  now: number,
  work: (handle: unknown) => Cell | Promise<Cell>,
): boolean {
  if (!writeRow(connection, change, now)) return false;
  const result = work(connection.handle());
  if (result instanceof Promise) throw new TypeError("Work in a transaction must not wait.");
  if (!connection.isInside) {
    throw new InvalidInputError(
      `The transaction "${change.row.name}" ended itself: \`run\` must not COMMIT or ROLLBACK, that happens after it.`,
    );
  }
  connection
    .sql("UPDATE holdfast_effects SET result = ? WHERE identity = ? AND generation = ?")
    .run(result, change.row.identity, change.row.generation);
  return true;
}

/** Within a transaction. */
export function writeRow(connection: Connection, change: EffectChange, now: number): boolean {
  const { thread_key: thread, lease_token: token } = change.row;
  if (token !== null && thread !== null && readToken(connection, thread) !== token) return false;
  const written =
    change.replaces === null
      ? insertRow(connection, change, now)
      : updateRow(connection, change, change.replaces, now);
  if (written && change.closes !== null) {
    connection
      .sql(
        `UPDATE holdfast_effects SET state = 'closed', version = ?, updated_at = ?
         WHERE identity = ? AND generation = ?`,
      )
      .run(change.row.version, now, change.closes.identity, change.closes.generation);
  }
  return written;
}

function insertRow(connection: Connection, change: EffectChange, now: number): boolean {
  const { row, checkpoint } = change;
  const where = ["true"];
  const conditions: SqlValue[] = [];
  if (checkpoint !== null) {
    where.push(
      `EXISTS (SELECT 1 FROM holdfast_checkpoints c JOIN holdfast_threads t ON t.id = c.thread_id
               WHERE t.key = ? AND c.checkpoint_ns = ? AND c.checkpoint_id = ?)`,
    );
    conditions.push(row.thread_key, checkpoint.ns, checkpoint.id);
  }
  if (change.unless_rerun) {
    where.push(
      `NOT EXISTS (SELECT 1 FROM holdfast_effects e
                   WHERE e.thread_key = ? AND e.task_id = ? AND e.name = ? AND e.execution <> ?)`,
    );
    conditions.push(row.thread_key, row.task_id, row.name, row.execution);
  }
  if (change.unless_forked) {
    where.push("NOT EXISTS (SELECT 1 FROM holdfast_effect_forks f WHERE f.thread_key = ?)");
    conditions.push(row.thread_key);
  }
  const found = connection
    .sql(
      `INSERT INTO holdfast_effects (${COLUMNS.join(", ")}, expires_at, sent_at, claimed_at, updated_at)
       SELECT ${COLUMNS.map(() => "?").join(", ")}, ?, ?, ?, ? WHERE ${where.join(" AND ")}
       ON CONFLICT (identity, generation) DO UPDATE SET version = excluded.version
         WHERE holdfast_effects.version = excluded.version
       RETURNING seq`,
    )
    .get(
      ...COLUMNS.map((column) => bound(row[column])),
      change.expires_in === null ? null : now + change.expires_in,
      change.sent === "no" ? null : now,
      now,
      now,
      ...conditions,
    );
  return found !== undefined;
}

function updateRow(
  connection: Connection,
  { row, expires_in, expired_at, sent }: EffectChange,
  replaces: string,
  now: number,
): boolean {
  const claims = row.call !== null;
  const { changes } = connection
    .sql(
      `UPDATE holdfast_effects SET
         state = ?, version = ?, process = ?, lease_token = ?, attempts = ?, undoable = ?,
         call = coalesce(?, call), result = ?, notes = ?, expires_at = ?,
         sent_at = CASE ? WHEN 'now' THEN ? WHEN 'before' THEN coalesce(sent_at, ?) END, updated_at = ?
         ${claims ? ", root_checkpoint = ?, task_id = ?, execution = ?" : ""}
       WHERE identity = ? AND generation = ?
         AND (version = ? OR (version = ? AND (? IS NULL OR expires_at = ?)))`,
    )
    .run(
      ...[row.state, row.version, row.process, row.lease_token, row.attempts].map(bound),
      ...[row.undoable, row.call, row.result, row.notes].map(bound),
      expires_in === null ? null : now + expires_in,
      ...[sent, now, now, now],
      ...(claims ? [row.root_checkpoint, row.task_id, row.execution] : []),
      ...[row.identity, row.generation, row.version, replaces, expired_at, expired_at],
    );
  return Number(changes) > 0;
}

function bound(value: EffectColumns[keyof EffectColumns]): SqlValue {
  return typeof value === "boolean" ? Number(value) : value;
}

function findLatest(
  connection: Connection,
  identities: readonly Uint8Array[],
): Promise<FoundEffect[]> {
  return connection.read(() =>
    identities.flatMap((identity) =>
      connection
        .sql(
          `SELECT ${FOUND} FROM holdfast_effects WHERE identity = ? ORDER BY generation DESC LIMIT 1`,
        )
        .all(identity)
        .map(found),
    ),
  );
}

function listRows(connection: Connection, filter: EffectFilter): Promise<FoundEffect[]> {
  const where = ["true"];
  const values: SqlValue[] = [];
  const add = (condition: string, value: SqlValue | undefined): void => {
    if (value === undefined) return;
    where.push(condition);
    values.push(value);
  };
  add("thread_key = ?", filter.thread);
  add("task_id = ?", filter.task);
  add("kind = ?", filter.kind);
  add("name = ?", filter.name);
  add(
    "state IN (SELECT value FROM json_each(?))",
    filter.states === undefined ? undefined : JSON.stringify(filter.states),
  );
  add("instr(idempotency_key, ?) = 1", filter.prefix);
  if (filter.undoable) where.push("undoable");
  return connection.read(() =>
    connection
      .sql(
        `SELECT ${FOUND} FROM holdfast_effects WHERE ${where.join(" AND ")} ORDER BY seq DESC LIMIT ?`,
      )
      .all(...values, filter.limit)
      .map(found),
  );
}

function found(row: unknown): FoundEffect {
  const effect = row as SqlRow;
  return { ...effect, undoable: effect["undoable"] === 1 } as FoundEffect;
}

function findFirstChildren(
  connection: Connection,
  thread: Uint8Array,
  parents: readonly Uint8Array[],
): Promise<Uint8Array[]> {
  const wanted = parents.map((id) => Buffer.from(id).toString("hex").toUpperCase());
  return connection.read(() =>
    connection
      .sql(
        `SELECT min(c.checkpoint_id) AS first
         FROM holdfast_threads t JOIN holdfast_checkpoints c ON c.thread_id = t.id
         WHERE t.key = ? AND c.checkpoint_ns = x'' AND hex(c.parent_id) IN (SELECT value FROM json_each(?))
         GROUP BY c.parent_id`,
      )
      .all(thread, JSON.stringify(wanted))
      .map((row) => (row as SqlRow)["first"] as Uint8Array),
  );
}

async function markFork(
  connection: Connection,
  thread: Uint8Array,
  checkpoint: Uint8Array,
  effects: string,
): Promise<void> {
  await connection.write(() =>
    connection
      .sql(
        `INSERT INTO holdfast_effect_forks (thread_key, checkpoint_id, effects) VALUES (?, ?, ?)
         ON CONFLICT (thread_key, checkpoint_id) DO UPDATE SET effects = excluded.effects`,
      )
      .run(thread, checkpoint, effects),
  );
}

function findMarks(connection: Connection, thread: Uint8Array): Promise<EffectForkRow[]> {
  return connection.read(
    () =>
      connection
        .sql("SELECT checkpoint_id, effects FROM holdfast_effect_forks WHERE thread_key = ?")
        .all(thread) as EffectForkRow[],
  );
}

async function expireRequests(connection: Connection, now: number): Promise<void> {
  await connection.write(() =>
    connection
      .sql(
        "DELETE FROM holdfast_effects WHERE kind = 'request' AND state <> 'claimed' AND expires_at <= ?",
      )
      .run(now),
  );
}
