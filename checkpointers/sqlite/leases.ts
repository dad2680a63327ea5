/** Leases: who may write to a thread. */

import type { LeaseClaim, LeaseRow, LeaseRows } from "../steps/lease-rows.ts";
import type { Connection, SqlRow } from "./connection.ts";

export function leaseRows(connection: Connection): LeaseRows {
  return {
    take: (thread, claim) => take(connection, thread, claim),
    extend: (thread, token, times) => extend(connection, thread, token, times),
    giveBack: (thread, token) => giveBack(connection, thread, token),
    read: (thread) => connection.read(() => readLease(connection, thread)),
    tokenOf: (thread) => connection.read(() => readToken(connection, thread)),
  };
}

function take(
  connection: Connection,
  thread: Uint8Array,
  { owner, dead, now, expiresAt }: LeaseClaim,
): Promise<LeaseRow | undefined> {
  return connection.write(() => {
    connection
      .sql(
        `UPDATE holdfast_threads
         SET lease_owner = ?, lease_token = lease_token + 1, lease_expires_at = ?
         WHERE key = ? AND (lease_owner IS NULL OR lease_owner IN (?, ?) OR lease_expires_at <= ?)`,
      )
      .run(owner, expiresAt, thread, owner, dead ?? null, now);
    return readLease(connection, thread);
  });
}

function extend(
  connection: Connection,
  thread: Uint8Array,
  token: number,
  { now, expiresAt }: { now: number; expiresAt: number },
): Promise<boolean> {
  return connection.write(() => {
    const { changes } = connection
      .sql(
        `UPDATE holdfast_threads SET lease_expires_at = ?
         WHERE key = ? AND lease_token = ? AND lease_owner IS NOT NULL AND lease_expires_at > ?`,
      )
      .run(expiresAt, thread, token, now);
    return Number(changes) > 0;
  });
}

function giveBack(connection: Connection, thread: Uint8Array, token: number): Promise<void> {
  return connection.write(() => {
    connection
      .sql(
        `UPDATE holdfast_threads SET lease_owner = NULL, lease_expires_at = NULL
         WHERE key = ? AND lease_token = ?`,
      )
      .run(thread, token);
  });
}

function readLease(connection: Connection, thread: Uint8Array): LeaseRow | undefined {
  const row = connection
    .sql(
      `SELECT lease_owner, lease_token, lease_expires_at FROM holdfast_threads
       WHERE key = ? AND lease_owner IS NOT NULL`,
    )
    .get(thread) as SqlRow | undefined;
  if (row === undefined) return undefined;
  return {
    owner: row["lease_owner"] as string,
    token: row["lease_token"] as number,
    expiresAt: row["lease_expires_at"] as number,
  };
}

/** Within a read or a write. */
export function readToken(connection: Connection, thread: Uint8Array): number | undefined {
  const row = connection.sql("SELECT lease_token FROM holdfast_threads WHERE key = ?").get(thread);
  return (row as { lease_token: number } | undefined)?.lease_token;
}
