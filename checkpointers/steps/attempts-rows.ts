/** The rows of tasks that were tried without success so far. */

import type { Cell } from "../encoding/cells.ts";

export interface TaskKey {
  thread: Uint8Array;
  ns: Uint8Array;
  checkpoint: Uint8Array;
  task: Uint8Array;
}

export interface AttemptRow extends TaskKey {
  /** For whoever looks with SQL; `data` has them, too. */
  failed: number;
  nextAttemptAt: number | null;
  /** The whole record; null removes the row. */
  data: Cell | null;
}

export interface AttemptRows {
  /** In the order of the tasks; null where there is none. */
  read(tasks: readonly TaskKey[]): Promise<(Cell | null)[]>;
  /** In one transaction; each task at most once. */
  write(rows: readonly AttemptRow[]): Promise<void>;
}
