import { MemorySaver } from "@langchain/langgraph";
import { SqliteSaver as OfficialSqliteSaver } from "@langchain/langgraph-checkpoint-sqlite";
import type { CheckpointListOptions, CheckpointTuple } from "@langchain/langgraph-checkpoint";
import type { RunnableConfig } from "@langchain/core/runnables";
import { describe, expect, it, vi } from "vitest";
import { fork, history } from "../../src/history/index.ts";
import { chainGraph, collect, onThread } from "../conformance/history-graphs.ts";

/** Counts what is read, and notices a listing that was left open. */
class WatchedSaver extends MemorySaver {
  listed = 0;
  read = 0;
  open = 0;

  override async *list(
    config: RunnableConfig,
    options?: CheckpointListOptions,
  ): AsyncGenerator<CheckpointTuple> {
    this.open++;
    try {
      for await (const tuple of super.list(config, options)) {
        this.listed++;
        yield tuple;
      }
    } finally {
      this.open--;
    }
  }

  override getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    this.read++;
    return super.getTuple(config);
  }
}

async function watchedThread(): Promise<{
  saver: WatchedSaver;
  graph: ReturnType<typeof chainGraph>;
}> {
  const saver = new WatchedSaver();
  const graph = chainGraph(saver);
  for (let n = 0; n < 20; n++) await graph.invoke({ n }, onThread("t"));
  return { saver, graph };
}

describe("reading a history", () => {
  it("reads one checkpoint further than it tells, and nothing twice", async () => {
    const { saver, graph } = await watchedThread();
    Object.assign(saver, { listed: 0, read: 0 });
    const points = await collect(history(graph, "t", { limit: 3 }));
    expect(points).toHaveLength(3);
    expect(saver).toMatchObject({ listed: 4, read: 0, open: 0 });
    Object.assign(saver, { listed: 0 });
    await collect(history(saver, "t"));
    expect(saver).toMatchObject({ listed: 100, read: 0, open: 0 });
  });

  it("reads a far parent by its id rather than holding all that lies between", async () => {
    const { saver, graph } = await watchedThread();
    const first = (await collect(history(graph, "t"))).at(-2);
    await fork(graph, "t", { checkpointId: first?.checkpointId ?? "", update: { n: 99 } });
    Object.assign(saver, { listed: 0, read: 0 });
    const [head] = await collect(history(graph, "t", { limit: 1 }));
    expect(head).toMatchObject({ parentId: first?.checkpointId, changed: ["n"] });
    expect(saver.read).toBe(1);
    expect(saver.listed).toBeLessThan(10);
  });

  it("reads the official database savers in pages", async () => {
    const saver = OfficialSqliteSaver.fromConnString(":memory:");
    const graph = chainGraph(saver);
    for (let n = 0; n < 25; n++) await graph.invoke({ n }, onThread("t"));
    const expected = await collect(graph.getStateHistory(onThread("t")));
    const list = vi.spyOn(saver, "list");
    const points = await collect(history(graph, "t"));
    expect(points.map(({ values }) => values)).toEqual(expected.map(({ values }) => values));
    expect(list.mock.calls.map(([, options]) => options?.limit)).toEqual([100, 100]);
    list.mockClear();
    await collect(history(graph, "t", { limit: 5 }));
    expect(list).toHaveBeenCalledTimes(1);
  });

  it("closes the saver's listing when the loop is left, also by an error", async () => {
    const { saver } = await watchedThread();
    for await (const _ of history(saver, "t")) break;
    expect(saver.open).toBe(0);
    const failing = async (): Promise<void> => {
      for await (const _ of history(saver, "t")) throw new Error("enough");
    };
    await expect(failing()).rejects.toThrow("enough");
    expect(saver.open).toBe(0);
  });

  it("still tells what it can of a thread whose older half was pruned", async () => {
    const { saver, graph } = await watchedThread();
    const all = await collect(history(graph, "t"));
    const kept = all.slice(0, 3).map(({ checkpointId }) => checkpointId);
    const stored = saver.storage["t"]?.[""] ?? {};
    for (const id of Object.keys(stored)) if (!kept.includes(id)) delete stored[id];
    const points = await collect(history(graph, "t"));
    expect(points.slice(0, 2)).toEqual(all.slice(0, 2));
    expect(points[2]).toMatchObject({ parentId: all[3]?.checkpointId, node: undefined });
    expect(points[2]?.changed).toEqual(["n", "log"]);
  });
});
