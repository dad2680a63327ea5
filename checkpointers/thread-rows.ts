/** A thread's row, as the port has it. */

import type { Cell } from "./encoding/cells.ts";

export interface ThreadRow {
  /** Surrogate id; never used again after the thread is gone. */
  id: number;
  /**
   * Grows whenever rows are taken away (prune, delete for runs): a writer that knew the thread at
   * another generation may refer to rows that are gone, and is told so instead.
   */
  generation: number;
  /** Key of the thread's payload hashes. */
  hashKey: Uint8Array;
  /** The user's metadata of its runs. */
  metadata: Cell | null;
}

/** A thread as its first writer makes it. */
export interface NewThread {
  key: Uint8Array;
  /** The whole id where the key does not tell it. */
  name: Cell | null;
  hashKey: Uint8Array;
}
