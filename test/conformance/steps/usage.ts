import { expect, it, vi } from "vitest";
import type { UsageRow } from "../../../src/step-store.ts";
import { HOSTILE_IDS, type NewStepPlace } from "./place.ts";

const use = (more: Partial<UsageRow>): UsageRow => ({
  threadId: "t",
  runId: "r",
  node: "n",
  model: "m",
  inputTokens: 10,
  outputTokens: 5,
  usd: 0.5,
  estimated: false,
  failed: false,
  at: 1_000,
  ...more,
});

export function usageTests(newPlace: NewStepPlace): void {
  it("is summed by thread, run, node and model, the most expensive first", async () => {
    const { open } = await newPlace();
    const { usage } = open();
    usage.add(use({ threadId: "a", runId: "1", node: "x", model: "big", usd: 2 }));
    usage.add(use({ threadId: "a", runId: "1", node: "y", model: "small", at: 3_000 }));
    usage.add(use({ threadId: "b", runId: "2", node: "x", model: "small", failed: true }));
    usage.add(use({ threadId: undefined, runId: undefined, node: undefined, usd: undefined }));
    const total = (key: string, calls: number, usd: number) => ({
      key,
      calls,
      inputTokens: 10 * calls,
      outputTokens: 5 * calls,
      usd,
    });
    expect(await usage.totals({ by: "thread" })).toEqual([
      total("a", 2, 2.5),
      total("b", 1, 0.5),
      total("", 1, 0),
    ]);
    expect(await usage.totals({ by: "run" })).toEqual([
      total("1", 2, 2.5),
      total("2", 1, 0.5),
      total("", 1, 0),
    ]);
    expect(await usage.totals({ by: "node" })).toEqual([
      total("x", 2, 2.5),
      total("y", 1, 0.5),
      total("", 1, 0),
    ]);
    expect(await usage.totals({ by: "model" })).toEqual([
      total("big", 1, 2),
      total("small", 2, 1),
      total("m", 1, 0),
    ]);
    expect(await usage.totals({ by: "model", threadId: "a" })).toEqual([
      total("big", 1, 2),
      total("small", 1, 0.5),
    ]);
    expect(await usage.totals({ by: "node", runId: "2" })).toEqual([total("x", 1, 0.5)]);
    expect(await usage.totals({ by: "thread", since: 3_000 })).toEqual([total("a", 1, 0.5)]);
    expect(await usage.totals({ by: "thread", runId: "nobody" })).toEqual([]);
  });

  it("is there soon for everyone, and counted once", async () => {
    const { open } = await newPlace();
    const [one, other] = [open(), open()];
    for (let i = 0; i < 1_200; i += 1) one.usage.add(use({ node: `n${i % 3}` }));
    await vi.waitFor(async () => {
      const totals = await other.usage.totals({ by: "node" });
      expect(totals.map(({ calls }) => calls)).toEqual([400, 400, 400]);
    });
  });

  it("knows runs, nodes and models of any name, and threads of any short id", async () => {
    const { open } = await newPlace();
    const { usage } = open();
    for (const id of HOSTILE_IDS) {
      usage.add(use({ threadId: id, runId: id, node: id, model: id }));
    }
    for (const by of ["run", "node", "model"] as const) {
      const keys = (await usage.totals({ by })).map(({ key }) => key);
      expect(keys.toSorted()).toEqual(HOSTILE_IDS.toSorted());
    }
    const threads = (await usage.totals({ by: "thread" })).map(({ key }) => key);
    for (const id of HOSTILE_IDS.filter((id) => id.length < 100)) expect(threads).toContain(id);
    for (const id of HOSTILE_IDS) {
      expect(await usage.totals({ by: "model", threadId: id })).toHaveLength(1);
      expect(await usage.totals({ by: "model", runId: id })).toHaveLength(1);
    }
  });
}
