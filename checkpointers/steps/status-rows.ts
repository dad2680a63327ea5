/** The rows behind the view `workflow_status`: one for each thread. */

import type { Cell } from "../encoding/cells.ts";

/** Columns that a note sets, in the order of their bits in {@link StatusRow.noted}. */
export const NOTED = [
  "run_id",
  "workflow_name",
  "current_step",
  "attempt",
  "started_at",
  "progress_percent",
  "progress_note",
  "status",
  "error_message",
  "waited",
] as const;

export type NotedColumn = (typeof NOTED)[number];

/** The bit of a column. */
export function bitOf(column: NotedColumn): number {
  return 1 << NOTED.indexOf(column);
}

export interface StatusRow {
  key: Uint8Array;
  /** The id as text (texts.ts), or its beginning where the whole is sealed in `threadName`. */
  threadId: string;
  threadName: Cell | null;
  runId: string | null;
  workflowName: string | null;
  currentStep: string | null;
  attempt: number | null;
  startedAt: number | null;
  progressPercent: number | null;
  progressNote: Cell | null;
  status: string | null;
  errorMessage: Cell | null;
  waited: number | null;
}

export interface NotedStatus extends StatusRow {
  /** Bits of the columns that are set, to null as well; the others stay as they are. */
  noted: number;
}

export interface FoundStatus extends StatusRow {
  startedAt: number;
  status: string;
  waited: number;
  lastHeartbeat: number;
  /** Of the thread's lease. */
  worker: string | null;
}

export interface StatusRows {
  /** In one transaction; each thread at most once. The time of the write is the heartbeat. */
  write(rows: readonly NotedStatus[]): Promise<void>;
  read(key: Uint8Array): Promise<FoundStatus | undefined>;
  /** Latest heartbeat first. */
  list(query: { status: string | undefined; limit: number }): Promise<FoundStatus[]>;
}
