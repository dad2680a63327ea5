/**
 * Which run a checkpoint is in. On the happy path the saver saw the puts of the input's checkpoint and of
 * all since, and knows (seen.ts). Otherwise the line of ancestors is read, a page at a time, and
 * remembered.
 *
 * Under "exit" durability no checkpoint is stored while the graph runs: then all that is asked for
 * until the thread is read again is one run, which begins with the first.
 */

import { keyOf } from "../../src/ids.ts";
import type { RunAddress, RunStore } from "../../src/step-store.ts";
import { parseCell } from "../encoding/cells.ts";
import { decodeHeader } from "../header.ts";
import { wholeId } from "../long-names.ts";
import type { StepParts } from "./parts.ts";

const FIRST_PAGE = 16;
const MAX_PAGE = 256;

export class Runs implements RunStore {
  readonly #parts: StepParts;

  constructor(parts: StepParts) {
    this.#parts = parts;
  }

  async of(threadId: string, checkpointId: string): Promise<RunAddress> {
    const { seen, dialect, ready, settled } = this.#parts;
    const known = seen.runOf(threadId, checkpointId);
    if (known !== undefined) return { ...known };
    await ready();
    await settled(threadId);
    const run = seen.runOf(threadId, checkpointId) ?? (await this.#walk(threadId, checkpointId));
    if (run === undefined) {
      const begun = seen.unstoredRun(threadId);
      if (begun !== undefined) return { ...begun };
      const begins = { runId: checkpointId, startedAt: await dialect.now() };
      seen.beginUnstored(threadId, begins);
      return begins;
    }
    seen.rememberRun(threadId, checkpointId, run);
    return { ...run };
  }

  async #walk(threadId: string, checkpointId: string): Promise<RunAddress | undefined> {
    const { seen, dialect, cells, types } = this.#parts;
    const thread = keyOf(threadId);
    let oldest: RunAddress | undefined;
    let at: Uint8Array | undefined = keyOf(checkpointId);
    for (let limit = FIRST_PAGE; at !== undefined; limit = Math.min(limit * 2, MAX_PAGE)) {
      const line = await dialect.runs.line(thread, at, limit);
      at = undefined;
      for (const row of line) {
        const header = decodeHeader(
          parseCell(await cells.open(row.header), "checkpoint header"),
          types,
        );
        const id = wholeId(row.id, header.long.id);
        const known = seen.runOf(threadId, id);
        if (known !== undefined) return known;
        oldest = { runId: id, startedAt: row.createdAt };
        if (header.metadata?.source === "input") return oldest;
        at = row.parent ?? undefined;
      }
      if (line.length < limit) return oldest;
    }
    return oldest;
  }
}
