/** A checkpoint's line of ancestors, as far as it tells which run the checkpoint is in. */

import type { Cell } from "../encoding/cells.ts";

export interface LineRow {
  id: Uint8Array;
  parent: Uint8Array | null;
  createdAt: number;
  header: Cell;
}

export interface RunRows {
  /** A checkpoint of the outermost graph and its ancestors, nearest first, at most so many. */
  line(thread: Uint8Array, checkpoint: Uint8Array, limit: number): Promise<LineRow[]>;
}
