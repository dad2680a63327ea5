/** The rows behind what is heard of threads: their runs, their leases, their status. */

import type { Cell } from "../encoding/cells.ts";
import type { FoundRun } from "./run-queue-rows.ts";

export interface PulseRow {
  thread: Uint8Array;
  /** Of its own row, or of its status. */
  threadName: Cell | null;
  /** Its id as its status has it. */
  threadId: string | null;
  runId: string | null;
  graph: string | null;
  status: string;
  step: string | null;
  heardAt: number;
  leaseOwner: string | null;
  leaseExpiresAt: number | null;
}

export interface PulseQuery {
  thread: Uint8Array | null;
  heardBefore: number | null;
  leaseEndedBefore: number | null;
  limit: number;
}

export interface OverdueRow {
  run: FoundRun;
  since: number;
}

export interface PulseRows {
  atWork(query: PulseQuery): Promise<PulseRow[]>;
  overdue(query: {
    thread: Uint8Array | null;
    before: number;
    limit: number;
  }): Promise<OverdueRow[]>;
}

/** A row of `atWork`, but for the thread's name. */
export function pulseRow(row: Record<string, unknown>): Omit<PulseRow, "threadName"> {
  return {
    thread: row["thread_key"] as Uint8Array,
    threadId: row["thread_id"] as string | null,
    runId: row["run_id"] as string | null,
    graph: row["graph"] as string | null,
    status: row["status"] as string,
    step: row["current_step"] as string | null,
    heardAt: row["heard_at"] as number,
    leaseOwner: row["lease_owner"] as string | null,
    leaseExpiresAt: row["lease_expires_at"] as number | null,
  };
}
