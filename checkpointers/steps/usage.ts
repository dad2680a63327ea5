/** What models, and whatever else costs, were used for. */

import { keyOf, randomKey } from "../../src/ids.ts";
import type { UsageRow, UsageStore, UsageTotals } from "../../src/step-store.ts";
import type { StepParts } from "./parts.ts";
import { Soon } from "./soon.ts";
import { fromText, threadIdOf, toText } from "./texts.ts";
import type { UsedRow, UsedTotals } from "./usage-rows.ts";

interface Used {
  threadId: string | undefined;
  row: UsedRow;
}

export class Usage implements UsageStore {
  readonly #parts: StepParts;
  readonly #soon: Soon<Used>;

  constructor(parts: StepParts) {
    this.#parts = parts;
    this.#soon = new Soon({
      store: async (used) => {
        await parts.ready();
        await parts.dialect.usage.add(used.map(({ row }) => row));
      },
      onFailure: (error) =>
        parts.onNotice(
          `holdfast: usage could not be stored, so its totals are behind: ${String(error)}`,
        ),
    });
  }

  add(row: UsageRow): void {
    const id = randomKey(16);
    const used: UsedRow = {
      id,
      thread: keyOf(row.threadId ?? ""),
      runId: row.runId === undefined ? null : toText(row.runId),
      node: row.node === undefined ? null : toText(row.node),
      model: toText(row.model),
      inputTokens: Math.round(row.inputTokens),
      outputTokens: Math.round(row.outputTokens),
      usd: row.usd ?? null,
      estimated: row.estimated,
      failed: row.failed,
      at: Math.round(row.at),
    };
    this.#soon.note(Buffer.from(id).toString("hex"), { threadId: row.threadId, row: used });
  }

  settled(): Promise<void> {
    return this.#soon.flush().catch(() => undefined);
  }

  async totals({
    by,
    threadId,
    runId,
    since,
  }: Parameters<UsageStore["totals"]>[0]): Promise<UsageTotals[]> {
    await this.#soon.flush();
    await this.#parts.ready();
    const rows = await this.#parts.dialect.usage.totals({
      by,
      thread: threadId === undefined ? undefined : keyOf(threadId),
      runId: runId === undefined ? undefined : toText(runId),
      since,
    });
    const totals = await Promise.all(
      rows.map(async (row) => ({
        key: await this.#keyOf(row),
        calls: row.calls,
        inputTokens: row.inputTokens,
        outputTokens: row.outputTokens,
        usd: row.usd,
      })),
    );
    return totals.toSorted((a, b) => b.usd - a.usd || (a.key < b.key ? -1 : 1));
  }

  forget(threadId: string): Promise<void> {
    return this.#soon.forget((used) => used.threadId === threadId);
  }

  close(): Promise<void> {
    return this.#soon.close();
  }

  async #keyOf({ key, threadName }: UsedTotals): Promise<string> {
    if (key === null) return "";
    return typeof key === "string" ? fromText(key) : threadIdOf(this.#parts.cells, key, threadName);
  }
}
