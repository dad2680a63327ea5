/** The rows of what was used: one for each call of a model. */

import type { Cell } from "../encoding/cells.ts";

export interface UsedRow {
  /** Random: the same row is never counted twice. */
  id: Uint8Array;
  /** Empty without a thread. */
  thread: Uint8Array;
  runId: string | null;
  node: string | null;
  model: string;
  inputTokens: number;
  outputTokens: number;
  usd: number | null;
  estimated: boolean;
  failed: boolean;
  at: number;
}

export interface UsedTotals {
  /** A thread's key, or text. */
  key: Uint8Array | string | null;
  /** The thread's whole id, where its key does not tell it and the thread is there. */
  threadName: Cell | null;
  calls: number;
  inputTokens: number;
  outputTokens: number;
  usd: number;
}

export interface UsageRows {
  /** In one transaction; rows that are there already are left alone. */
  add(rows: readonly UsedRow[]): Promise<void>;
  totals(query: {
    by: "thread" | "run" | "node" | "model";
    thread: Uint8Array | undefined;
    runId: string | undefined;
    since: number | undefined;
  }): Promise<UsedTotals[]>;
}
