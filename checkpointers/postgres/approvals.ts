/** Questions to people. */

import type { ApprovalQuery, ApprovalRow, ApprovalRows } from "../steps/approval-rows.ts";
import { cellOf, type Connection, type SqlRow, type SqlValue } from "./connection.ts";

const COLUMNS = "id, thread_key, version, status, deadline_at, created_at, data, data_bytes";

export function approvalRows(connection: Connection): ApprovalRows {
  return {
    insert: (row) => insert(connection, row),
    read: (id) => read(connection, id),
    replace: (row) => replace(connection, row),
    list: (query) => list(connection, query),
  };
}

function cellColumns({ data }: ApprovalRow): [text: string | null, bytes: Uint8Array | null] {
  return typeof data === "string" ? [data, null] : [null, data];
}

async function insert(connection: Connection, row: ApprovalRow): Promise<void> {
  await connection.query(
    `INSERT INTO ${connection.name("approvals")} (${COLUMNS})
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
    [
      row.id,
      row.thread,
      row.version,
      row.status,
      row.deadlineAt,
      row.createdAt,
      ...cellColumns(row),
    ],
  );
}

async function read(connection: Connection, id: string): Promise<ApprovalRow | undefined> {
  const [row] = await connection.query(
    `SELECT ${COLUMNS} FROM ${connection.name("approvals")} WHERE id = $1`,
    [id],
  );
  return row === undefined ? undefined : approvalRow(row);
}

/** Sent again after a lost connection, it finds its own change and takes it for done. */
async function replace(connection: Connection, row: ApprovalRow): Promise<boolean> {
  const rows = await connection.query(
    `UPDATE ${connection.name("approvals")}
     SET version = $2, status = $3, deadline_at = $4, data = $5, data_bytes = $6
     WHERE id = $1 AND (version = $2::integer - 1 OR (version = $2
       AND data IS NOT DISTINCT FROM $5 AND data_bytes IS NOT DISTINCT FROM $6))
     RETURNING id`,
    [row.id, row.version, row.status, row.deadlineAt, ...cellColumns(row)],
  );
  return rows.length > 0;
}

async function list(connection: Connection, query: ApprovalQuery): Promise<ApprovalRow[]> {
  const where: string[] = ["true"];
  const values: SqlValue[] = [];
  const parameter = (value: SqlValue): string => {
    values.push(value);
    return `$${values.length}`;
  };
  if (query.thread !== undefined) where.push(`thread_key = ${parameter(query.thread)}`);
  if (query.status !== undefined) where.push(`status = ${parameter(query.status)}`);
  if (query.prefix !== undefined) {
    // Ids are hex digits, and "g" comes behind them all.
    where.push(`id >= ${parameter(query.prefix)}`, `id < ${parameter(`${query.prefix}g`)}`);
  }
  const rows = await connection.query(
    `SELECT ${COLUMNS} FROM ${connection.name("approvals")} WHERE ${where.join(" AND ")}
     ORDER BY created_at, id LIMIT ${parameter(query.limit)}`,
    values,
  );
  return rows.map(approvalRow);
}

function approvalRow(row: SqlRow): ApprovalRow {
  return {
    id: row["id"] as string,
    thread: row["thread_key"] as Uint8Array,
    version: row["version"] as number,
    status: row["status"] as string,
    deadlineAt: row["deadline_at"] as number | null,
    createdAt: row["created_at"] as number,
    data: cellOf(row["data"], row["data_bytes"]),
  };
}
