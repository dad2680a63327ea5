/** The port between what runs stream and a database. */

import type { Cell } from "../encoding/cells.ts";

export interface RunEventRow {
  attempt: number;
  n: number;
  event: string;
  path: string | null;
  data: Cell;
}

/** The fence: whose events they are. */
export interface RunEventFence {
  thread: Uint8Array;
  token: number;
  run: number;
  attempt: number;
}

export interface RunEventRows {
  /** In one transaction. @returns false, and nothing written, where the lease or the attempt is another's */
  append(fence: RunEventFence, rows: readonly RunEventRow[]): Promise<boolean>;
  read(
    run: number,
    after: { attempt: number; n: number },
    limit: number,
  ): Promise<(RunEventRow & { createdAt: number })[]>;
  paths(run: number): Promise<string[]>;
  /** Runs with events, in their order from there on, and whether they ended by then, or are gone. */
  runs(
    from: number,
    endedBefore: number,
    limit: number,
  ): Promise<{ run: number; isOver: boolean }[]>;
  /** Removes events of those of the runs that ended by then, or are gone. @returns how many went */
  remove(runs: readonly number[], endedBefore: number, limit: number): Promise<number>;
  /** Those of a thread's runs that ended by then. */
  removeOfThread(thread: number, endedBefore: number): Promise<void>;
  removeOfRuns(runIds: readonly string[]): Promise<void>;
}
