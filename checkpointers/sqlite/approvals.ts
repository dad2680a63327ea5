/** Questions to people. */

import type { ApprovalQuery, ApprovalRow, ApprovalRows } from "../steps/approval-rows.ts";
import type { Connection, SqlRow, SqlValue } from "./connection.ts";

const COLUMNS = "id, thread_key, version, status, deadline_at, created_at, data";

export function approvalRows(connection: Connection): ApprovalRows {
  return {
    insert: (row) => insert(connection, row),
    read: (id) => read(connection, id),
    replace: (row) => replace(connection, row),
    list: (query) => list(connection, query),
  };
}

function insert(connection: Connection, row: ApprovalRow): Promise<void> {
  return connection.write(() => {
    connection
      .sql(
        `INSERT INTO holdfast_approvals (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
      )
      .run(row.id, row.thread, row.version, row.status, row.deadlineAt, row.createdAt, row.data);
  });
}

function read(connection: Connection, id: string): Promise<ApprovalRow | undefined> {
  return connection.read(() => {
    const row = connection.sql(`SELECT ${COLUMNS} FROM holdfast_approvals WHERE id = ?`).get(id);
    return row === undefined ? undefined : approvalRow(row as SqlRow);
  });
}

function replace(connection: Connection, row: ApprovalRow): Promise<boolean> {
  return connection.write(() => {
    const { changes } = connection
      .sql(
        `UPDATE holdfast_approvals SET version = ?, status = ?, deadline_at = ?, data = ?
         WHERE id = ? AND version = ?`,
      )
      .run(row.version, row.status, row.deadlineAt, row.data, row.id, row.version - 1);
    return Number(changes) > 0;
  });
}

function list(connection: Connection, query: ApprovalQuery): Promise<ApprovalRow[]> {
  const where: string[] = ["1 = 1"];
  const values: SqlValue[] = [];
  const add = (condition: string, ...parameters: SqlValue[]): void => {
    where.push(condition);
    values.push(...parameters);
  };
  if (query.thread !== undefined) add("thread_key = ?", query.thread);
  if (query.status !== undefined) add("status = ?", query.status);
  // Ids are hex digits, and "g" comes behind them all.
  if (query.prefix !== undefined) add("id >= ? AND id < ?", query.prefix, `${query.prefix}g`);
  return connection.read(() =>
    connection
      .sql(
        `SELECT ${COLUMNS} FROM holdfast_approvals WHERE ${where.join(" AND ")}
         ORDER BY created_at, id LIMIT ?`,
      )
      .all(...values, query.limit)
      .map((row) => approvalRow(row as SqlRow)),
  );
}

function approvalRow(row: SqlRow): ApprovalRow {
  return {
    id: row["id"] as string,
    thread: row["thread_key"] as Uint8Array,
    version: row["version"] as number,
    status: row["status"] as string,
    deadlineAt: row["deadline_at"] as number | null,
    createdAt: row["created_at"] as number,
    data: row["data"] as string | Uint8Array,
  };
}
