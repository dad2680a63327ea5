/** Leases: who may write to a thread. */

import type { LeaseClaim, LeaseRow, LeaseRows } from "../steps/lease-rows.ts";
import type { Connection, SqlRow } from "./connection.ts";

export function leaseRows(connection: Connection): LeaseRows {
  return {
    take: (thread, claim) => take(connection, thread, claim),
    extend: (thread, token, times) => extend(connection, thread, token, times),
    giveBack: (thread, token) => giveBack(connection, thread, token),
    read: (thread) => readLease(connection, thread),
    tokenOf: (thread) => readToken(connection, thread),
  };
}

const COLUMNS = "lease_owner, lease_token, lease_expires_at";

/** The same owner may take it again, which is also what a statement that is sent twice does. */
async function take(
  connection: Connection,
  thread: Uint8Array,
  { owner, dead, now, expiresAt }: LeaseClaim,
): Promise<LeaseRow | undefined> {
  const [row] = await connection.query(
    `UPDATE ${connection.name("threads")}
     SET lease_owner = $2, lease_token = lease_token + 1, lease_expires_at = $4
     WHERE key = $1 AND (lease_owner IS NULL OR lease_owner IN ($2, $5) OR lease_expires_at <= $3)
     RETURNING ${COLUMNS}`,
    [thread, owner, now, expiresAt, dead ?? null],
  );
  return row === undefined ? readLease(connection, thread) : leaseRow(row);
}

async function extend(
  connection: Connection,
  thread: Uint8Array,
  token: number,
  { now, expiresAt }: { now: number; expiresAt: number },
): Promise<boolean> {
  const rows = await connection.query(
    `UPDATE ${connection.name("threads")} SET lease_expires_at = $3
     WHERE key = $1 AND lease_token = $2 AND lease_owner IS NOT NULL AND lease_expires_at > $4
     RETURNING id`,
    [thread, token, expiresAt, now],
  );
  return rows.length > 0;
}

async function giveBack(connection: Connection, thread: Uint8Array, token: number): Promise<void> {
  await connection.query(
    `UPDATE ${connection.name("threads")} SET lease_owner = NULL, lease_expires_at = NULL
     WHERE key = $1 AND lease_token = $2`,
    [thread, token],
  );
}

async function readLease(
  connection: Connection,
  thread: Uint8Array,
): Promise<LeaseRow | undefined> {
  const [row] = await connection.query(
    `SELECT ${COLUMNS} FROM ${connection.name("threads")} WHERE key = $1 AND lease_owner IS NOT NULL`,
    [thread],
  );
  return row === undefined ? undefined : leaseRow(row);
}

function leaseRow(row: SqlRow): LeaseRow {
  return {
    owner: row["lease_owner"] as string,
    token: row["lease_token"] as number,
    expiresAt: row["lease_expires_at"] as number,
  };
}

async function readToken(connection: Connection, thread: Uint8Array): Promise<number | undefined> {
  const [row] = await connection.query(
    `SELECT lease_token FROM ${connection.name("threads")} WHERE key = $1`,
    [thread],
  );
  return row?.["lease_token"] as number | undefined;
}
