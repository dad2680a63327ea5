/**
 * The port: who is at work and was not heard for long, and what should be at work and is not.
 *
 * Types and contract prose only. Only reads: what is said of a thread here decides nothing.
 */

import type { RunRecord } from "./run-store.ts";

/**
 * A thread at work: one of its accepted runs is, by its own row; or it was said last that it runs, under
 * somebody's lease (`runToEnd`) or, where it never had a run, without one. The last is a plain `invoke` with
 * durable nodes, which may have ended since.
 */
export interface Pulse {
  threadId: string;
  /** The accepted run that is at work, if one is. */
  runId: string | undefined;
  /** The graph's name, where it is known. */
  graph: string | undefined;
  status: "running" | "compensating";
  /** The durable node that was heard last. */
  step: string | undefined;
  /**
   * The last that was heard: a durable node's sign of life, or the thread's latest checkpoint, which is all
   * that plain nodes leave. A checkpoint's time is by the clock of the machine that made it.
   */
  heardAt: number;
  /** Under which it works, expired or not. */
  lease: { owner: string; expiresAt: number } | undefined;
}

/** A run that could be taken, and is not. */
export interface Overdue {
  run: RunRecord;
  /** Since when nothing is in its way: it is due, and nobody has its thread. */
  since: number;
}

export interface PulseStore {
  /**
   * Threads at work, latest heard first; of all, or of those of which one of these is true.
   * At most `limit`, 10,000 unless told otherwise.
   */
  atWork(query?: {
    threadId?: string;
    /** Nothing was heard since then. */
    heardBefore?: number;
    /** Their lease ran out before then, and nobody has taken it over. */
    leaseEndedBefore?: number;
    limit?: number;
  }): Promise<Pulse[]>;
  /** Runs that could have been taken since then or longer, latest first; at most `limit`, 10,000 unless told otherwise. */
  overdue(query: { before: number; threadId?: string; limit?: number }): Promise<Overdue[]>;
}
