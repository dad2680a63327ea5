/** Threads as they are made, and what a worker's lease on one tells its state. */

import { isLongId } from "../src/ids.ts";
import type { Cells } from "./encoding/cells.ts";
import type { SaverParts } from "./parts.ts";
import type { RunThreads } from "./steps/run-queue.ts";
import type { NewThread } from "./thread-rows.ts";
import type { ThreadState } from "./thread-state.ts";

export async function newThread(cells: Cells, state: ThreadState): Promise<NewThread> {
  const { key, threadId, newHashKey: hashKey } = state;
  const name = isLongId(threadId) ? await cells.seal(JSON.stringify(threadId)) : null;
  return { key, name, hashKey };
}

export function runThreads({ states, cells, clock, unleased }: SaverParts): RunThreads {
  return {
    async made(threadId) {
      const state = states.of(threadId);
      const row = await newThread(cells, state);
      return { row, now: clock.now(), isKnown: state.row !== undefined };
    },
    taken(threadId, token, empty) {
      const state = states.of(threadId);
      if (empty !== undefined) state.bind(empty);
      // Where others may write, nothing stays as it was.
      if (unleased !== undefined) return;
      state.tip.begin(token);
      if (empty !== undefined && state.pending === 0) state.tip.read(token, undefined);
    },
    left: (threadId) => states.of(threadId).tip.forget(),
  };
}
