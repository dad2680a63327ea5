/** `prune`: what goes, and what stays as it was. */

import { readFileSync } from "node:fs";
import type { RunnableConfig } from "@langchain/core/runnables";
import { emptyCheckpoint, uuid6 } from "@langchain/langgraph-checkpoint";
import { Annotation, Command, DeltaChannel, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import type { PrunePolicy } from "../../src/store.ts";
import { nestedGraph } from "../conformance/history-graphs.ts";
import { isHoldfastError } from "../../src/errors.ts";
import { startChild } from "../support/child.ts";
import { dangling, unreachable } from "../support/fsck.ts";
import { newFile, placeAt, PLACES } from "../support/places.ts";
import { readTables } from "../support/raw-tables.ts";
import { chain, deltaChain, onThread, putOne, syncRun, wholeLog } from "../support/small-graphs.ts";
import { readStates, stillThere } from "../support/thread-states.ts";

/** The steps of a thread's checkpoints of the outermost graph, newest first. */
async function stepsOf(saver: HoldfastSaver, thread: string): Promise<unknown[]> {
  const history = await Array.fromAsync(
    saver.list({ configurable: { thread_id: thread, checkpoint_ns: "" } }),
  );
  return history.map(({ metadata }) => metadata?.step);
}

describe.each(PLACES)("a prune policy on %s", (_, newPlace) => {
  it("keeps the newest N", async () => {
    const place = await newPlace();
    const saver = place.open();
    await chain(saver, 5).invoke({ log: ["x".repeat(500)] }, syncRun("t"));
    await chain(saver, 5).invoke({ log: [] }, syncRun("untouched"));
    expect(await saver.prune(["t"], { keepLast: 3 })).toMatchObject({
      threads: 1,
      checkpoints: 4,
      kept: 3,
    });
    expect(await stepsOf(saver, "t")).toEqual([5, 4, 3]);
    expect(await stepsOf(saver, "untouched")).toHaveLength(7);
    expect((await chain(saver, 5).getState(onThread("t"))).values).toEqual({
      log: ["x".repeat(500), ...wholeLog(5)],
    });
    expect(await saver.prune("*", { keepLast: 3 })).toMatchObject({ threads: 2, checkpoints: 4 });
    expect(unreachable(await readTables(place.url))).toEqual([]);
  });

  it("keeps what is young, by age or since an instant", async () => {
    const now = Date.now();
    const clock = { now: () => now + 60_000, sleep: () => Promise.resolve() };
    const saver = (await newPlace()).open({ clock });
    await chain(saver, 3).invoke({ log: [] }, syncRun("t"));
    expect((await saver.prune(["t"], { keepSince: 120_000 })).checkpoints).toBe(0);
    expect((await saver.prune(["t"], { keepSince: new Date(now - 1_000) })).checkpoints).toBe(0);
    expect((await saver.prune(["t"], { keepSince: 10_000, keepLast: 2 })).kept).toBe(2);
    expect((await saver.prune(["t"], { keepSince: new Date(now + 60_000) })).kept).toBe(1);
    expect(await stepsOf(saver, "t")).toEqual([3]);
  });

  it("keeps what any of its rules keeps", async () => {
    const saver = (await newPlace()).open();
    await chain(saver, 5).invoke({ log: [] }, syncRun("t"));
    expect((await saver.prune(["t"], { keepLast: 2, keepSince: 60_000 })).kept).toBe(7);
    expect((await saver.prune(["t"], { latestOnly: true, keepLast: 4 })).kept).toBe(4);
    expect((await saver.prune(["t"], { latestOnly: true })).kept).toBe(1);
  });

  it("says beforehand what it would do", async () => {
    const place = await newPlace();
    const saver = place.open();
    await chain(saver, 6).invoke({ log: ["x".repeat(2_000)] }, syncRun("t"));
    const before = await readTables(place.url);
    const told = await saver.prune("*", { keepLast: 2, dryRun: true });
    expect(await readTables(place.url)).toEqual(before);
    expect(told).toMatchObject({ threads: 1, checkpoints: 6, kept: 2 });
    expect(await saver.prune("*", { keepLast: 2 })).toEqual(told);
    expect(await saver.prune("*", { keepLast: 2 })).toEqual({
      threads: 1,
      checkpoints: 0,
      kept: 2,
      bytes: 0,
    });
  });

  it("is needed, and must make sense; so must the thread", async () => {
    const saver = (await newPlace()).open();
    await putOne(saver, "t");
    for (const policy of [
      {},
      { latestOnly: false },
      { keepLast: 0 },
      { keepLast: -1 },
      { keepLast: 1.5 },
      { keepSince: Number.NaN },
      { keepSince: new Date("never") },
    ] satisfies PrunePolicy[])
      await expect(saver.prune("*", policy)).rejects.toMatchObject({ code: "INVALID_INPUT" });
    await expect(saver.prune(["none"], { keepLast: 1 })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
  });
});

describe.each(PLACES)("a prune on %s", (_, newPlace) => {
  it("leaves a question that waits for its answer, in a subgraph, on a branch that isn't the latest", async () => {
    const saver = (await newPlace()).open();
    const graph = nestedGraph(saver);
    await graph.invoke({ n: 1 }, syncRun("t"));
    const waiting = (await graph.getState(onThread("t"))).config;
    const start = (await Array.fromAsync(graph.getStateHistory(onThread("t")))).at(-2);
    // Another branch, from before the question; it ends later.
    const fork = await graph.updateState(start?.config as RunnableConfig, { n: 2 });
    await graph.invoke(null, { ...fork, durability: "sync" });
    await saver.prune(["t"], { latestOnly: true });
    for (const { config, answer } of [
      { config: waiting, answer: "yes:1" },
      { config: (await graph.getState(onThread("t"))).config, answer: "yes:2" },
    ]) {
      const state = await graph.invoke(new Command({ resume: "yes" }), {
        ...config,
        durability: "sync",
      });
      expect(state.log).toContain(answer);
    }
  });

  it("leaves delta channels as they were, of which each has its own last snapshot", async () => {
    const place = await newPlace();
    const saver = place.open();
    const append = (state: string[], writes: string[][]): string[] => state.concat(writes.flat());
    const delta = (snapshotFrequency: number) => () =>
      new DeltaChannel<string[], string[]>(append, {
        snapshotFrequency,
        initialValueFactory: () => [],
      });
    const State = Annotation.Root({ a: delta(2), b: delta(3), c: delta(5) });
    const graph = new StateGraph(State)
      .addNode("node", ({ a }) => {
        const n = String(a.length);
        return { a: [n], b: [n], c: [n] };
      })
      .addEdge(START, "node")
      .compile({ checkpointer: saver });
    for (let turn = 0; turn < 9; turn += 1)
      await graph.invoke({ a: ["in"], b: ["in"], c: ["in"] }, syncRun("t"));
    const before = await readStates(saver, graph, "t");
    for (const keepLast of [20, 12, 7, 4, 1]) {
      await saver.prune(["t"], { keepLast });
      const after = await readStates(place.open(), graph, "t");
      expect(after).toEqual(stillThere(before, after));
      expect(after.tuples.size).toBeGreaterThanOrEqual(keepLast);
    }
  });

  it("leaves a delta channel as it was also the second time, where no loop's note of it is left", async () => {
    const place = await newPlace();
    const saver = place.open();
    // The chain ends with a snapshot, and the update after it needs that one.
    const graph = deltaChain(saver, 2, undefined, { snapshotFrequency: 3 });
    await graph.invoke({ log: ["in"] }, syncRun("t"));
    await graph.updateState(onThread("t"), { log: ["up"] }, "n2");
    for (const kept of [2, 2, 2]) {
      expect(await saver.prune(["t"], { latestOnly: true })).toMatchObject({ kept });
      expect((await graph.getState(onThread("t"))).values).toEqual({
        log: ["in", "n1", "n2", "up"],
      });
    }
  });

  it("makes a run stop, rather than lose its beginning, where what it builds on went", async () => {
    const place = await newPlace();
    const saver = place.open();
    const other = place.open();
    const reached = Promise.withResolvers<undefined>();
    const pruned = Promise.withResolvers<undefined>();
    const run = deltaChain(saver, 5, async (step) => {
      if (step !== 4) return;
      reached.resolve(undefined);
      await pruned.promise;
    }).invoke({ log: ["start"] }, syncRun("t"));
    await reached.promise;
    // Another branch overtakes the one that the run is on, and then only the latest state is kept.
    const graph = deltaChain(other, 5);
    const early = (await Array.fromAsync(graph.getStateHistory(onThread("t")))).find(
      ({ metadata }) => metadata?.step === 1,
    );
    await graph.updateState(early?.config as RunnableConfig, { log: ["edited"] });
    await other.prune(["t"], { latestOnly: true });
    pruned.resolve(undefined);
    await expect(run).rejects.toMatchObject({ code: "THREAD_GONE" });
    expect((await graph.getState(onThread("t"))).values).toEqual({
      log: ["start", "n1", "edited"],
    });
  });

  it("leaves the pending sends of a checkpoint of LangGraph's earlier format", async () => {
    const saver = (await newPlace()).open();
    const parent = await putOne(saver, "t");
    const sends = [{ lg_name: "Send", node: "search", args: { query: "kelp" } }];
    await saver.putWrites(parent, [["__pregel_tasks", sends[0]]], "task");
    // Before version 4, they were writes of the parent and nothing else.
    const old = await saver.put(
      parent,
      { ...emptyCheckpoint(), v: 3, id: uuid6(1) },
      { source: "loop", step: 1, parents: {} },
      {},
    );
    const before = await saver.getTuple(old);
    expect(before?.checkpoint.channel_values["__pregel_tasks"]).toMatchObject(sends);
    await saver.prune(["t"], { latestOnly: true });
    expect((await saver.getTuple(old))?.checkpoint.channel_values).toEqual(
      before?.checkpoint.channel_values,
    );
  });

  it("by one process while another writes leaves nothing dangling", async () => {
    const place = await newPlace();
    const saver = place.open();
    const child = startChild("chain-runs.ts", place.url, ["t", "u"], "250");
    await child.next("ready");
    child.send({ type: "go" });
    let isOver = false;
    void child.ended.then(() => (isOver = true));
    let prunes = 0;
    while (!isOver) {
      await new Promise((resolve) => void setImmediate(resolve));
      const pruned = await saver.prune("*", { keepLast: 2 }).catch((error: unknown) => {
        // On a slow machine it may never find the thread as it looked at it; then it says so.
        if (!isHoldfastError(error, "DATABASE_UNAVAILABLE")) throw error;
        return { checkpoints: 0 };
      });
      if (pruned.checkpoints > 0) prunes += 1;
    }
    expect(child.messages.at(-1)).toMatchObject({ type: "done" });
    expect(prunes).toBeGreaterThan(0);
    await saver.prune("*", { keepLast: 2 });
    const tables = await readTables(place.url);
    expect(dangling(tables)).toEqual([]);
    expect(unreachable(tables)).toEqual([]);
    for (const thread of ["t", "u"]) {
      expect((await chain(saver, 250).getState(onThread(thread))).values).toEqual({
        log: wholeLog(250),
      });
    }
  });

  it("beside a run of the same saver, at every step, costs the run nothing", async () => {
    const place = await newPlace();
    const saver = place.open();
    const graph = chain(saver, 30, async (step) => {
      if (step % 3 === 0) await saver.prune("*", { latestOnly: true });
    });
    const begun: Promise<unknown>[] = [];
    const prunes = chain(saver, 30, () => void begun.push(saver.prune("*", { keepLast: 2 })));
    const [one, two] = await Promise.all([
      graph.invoke({ log: ["x".repeat(2_000)] }, syncRun("t")),
      prunes.invoke({ log: ["x".repeat(2_000)] }, syncRun("u")),
    ]);
    expect(one.log).toHaveLength(31);
    expect(two.log).toHaveLength(31);
    expect(await Promise.all(begun)).toHaveLength(30);
    await saver.prune("*", { latestOnly: true });
    const tables = await readTables(place.url);
    expect(dangling(tables)).toEqual([]);
    expect(unreachable(tables)).toEqual([]);
  });
});

describe("an SQLite file", () => {
  it("holds no byte of what was pruned or deleted, short or long", async () => {
    const file = newFile();
    const saver = placeAt(`sqlite:${file}`).open();
    const canary = "canary-7c0ffee";
    const bytes = (): Buffer =>
      Buffer.concat([file, `${file}-wal`].map((name) => readFileSync(name)));
    // Enough rows for pages to split and to be moved about.
    for (const thread of ["t", "u"]) {
      let parent: RunnableConfig | undefined;
      for (let i = 0; i < 150; i += 1) {
        const old = i < 140;
        parent = await putOne(
          saver,
          thread,
          {
            short: `${old ? canary : "kept"} ${i}`,
            long: `${old ? canary : "kept"} ${"long ".repeat(100)}${i}`,
            list: [`${old ? canary : "kept"} ${i}`, { n: i }],
          },
          parent,
        );
        await saver.putWrites(
          parent,
          [["short", `${old ? canary : "kept"} write ${i}`]],
          `task-${i}`,
        );
      }
    }
    expect(bytes().includes(canary)).toBe(true);
    await saver.prune(["t"], { keepLast: 5 });
    await saver.deleteThread("u");
    expect(bytes().includes(canary)).toBe(false);
    expect(await stepsOf(saver, "t")).toHaveLength(5);
  });
});
