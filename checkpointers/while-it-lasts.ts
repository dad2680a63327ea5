/**
 * Reading takes several statements, and another process may take rows away in between. What is then
 * missing is no damage: the thread's generation has grown, and the read begins again.
 */

import { isHoldfastError } from "../src/errors.ts";
import type { Dialect } from "./dialect.ts";
import type { ThreadState } from "./thread-state.ts";

const MAX_TRIES = 10;

/** Runs a read of a thread; again if something that it needs was pruned or deleted meanwhile. */
export async function whileItLasts<T>(
  dialect: Dialect,
  state: ThreadState,
  read: () => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await read();
    } catch (error) {
      const known = state.row;
      if (!isHoldfastError(error, "CORRUPT_DATA") || tries === MAX_TRIES) throw error;
      const row = await dialect.findThread(state.key);
      if (row !== undefined && row.id === known?.id && row.generation === known.generation) {
        throw error;
      }
      state.forget();
    }
  }
}
