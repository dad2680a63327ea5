/** Runs whose starter works on them: workers of a few threads, and what such runs are started with. */

import { Annotation, END, START, StateGraph, interrupt } from "@langchain/langgraph";
import type { RunnableConfig } from "@langchain/core/runnables";
import { describe, expect, it, onTestFinished } from "vitest";
import { createRuntime } from "../../src/runtime/create-runtime.ts";
import { effect } from "../../src/effects/effect.ts";
import { durable } from "../../src/steps/durable.ts";
import { PLACES } from "../support/places.ts";

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});

/** Effects are known by their names. */
let books = 0;

describe.each(PLACES)("a run that is attended, on %s", (_, newPlace) => {
  /** Two nodes; the first does something to the world, the second fails until it is told not to. */
  async function shop() {
    const place = await newPlace();
    const world: string[] = [];
    const seen: unknown[] = [];
    const switches = { fails: true };
    const book = effect({
      name: `book ${(books += 1)}`,
      onUnknown: "repeat",
      run: () => {
        world.push("book");
        return "b";
      },
      undo: () => void world.push("unbook"),
    });
    const graph = new StateGraph(State)
      .addNode(
        "first",
        durable.for(State)(async (_state, config: RunnableConfig) => {
          const { color, thread_id } = config.configurable ?? {};
          seen.push([color, thread_id]);
          return { log: [await book({}, { key: "k" })] };
        }),
      )
      .addNode(
        "second",
        durable.for(State)(() => {
          if (switches.fails) throw Object.assign(new Error("no"), { status: 400 });
          return { log: ["second"] };
        }),
      )
      .addEdge(START, "first")
      .addEdge("first", "second")
      .addEdge("second", END)
      .compile();
    const runtime = createRuntime({ saver: place.open(), graphs: { graph }, worker: false });
    onTestFinished(() => runtime.close());
    return { runtime, world, seen, switches };
  }

  it("is taken by a worker for it, which takes no other and fires no schedule", async () => {
    const { runtime, switches } = await shop();
    switches.fails = false;
    const told: unknown[][] = [];
    const worker = runtime.worker({
      ...{ runs: ["a", "b"].map((id) => ({ runId: id, threadId: id })), concurrency: 1 },
      pollInterval: 20,
      onTasks: (runId, chunk) => told.push([runId, ...(chunk as unknown[])]),
    });
    await runtime.schedule("s", "* * * * * *", "graph", {});
    const other = await runtime.start("graph", {}, { threadId: "c" });
    const behind = { threadId: "a", runId: "behind" };
    await runtime.start("graph", {}, { threadId: "a", runId: "a", streamMode: "updates" });
    await runtime.start("graph", {}, { threadId: "b", runId: "b" });
    await runtime.start("graph", {}, behind);
    await worker.start();
    expect(await runtime.result("a")).toMatchObject({ status: "completed" });
    expect(await runtime.result("b")).toMatchObject({ status: "completed" });
    // The schedule is due, and the worker has looked around since.
    const isDue = async (): Promise<boolean> => {
      const { nextAt = Infinity } = (await runtime.schedules())[0] ?? {};
      return nextAt + 200 < Date.now();
    };
    await expect.poll(isDue, { timeout: 20_000 }).toBe(true);
    for (const runId of [other.runId, "behind"])
      expect(await runtime.run(runId)).toMatchObject({ status: "queued", attempt: 0 });
    expect(await runtime.runs({ status: "queued" })).toHaveLength(2);
    expect((await runtime.schedules())[0]?.lastAt).toBeUndefined();
    const tasks = told.filter(([runId]) => runId === "a");
    expect(tasks.map(([, , mode, task]) => [mode, (task as { name: string }).name])).toEqual(
      ["first", "first", "second", "second"].map((node) => ["tasks", node]),
    );
    const kept: string[] = [];
    for await (const { event } of runtime.stream("a")) kept.push(event);
    expect(kept).toEqual(["run.started", "updates", "updates", "run.ended"]);
  });

  it("is not given up by its own worker, which looks at it again and again", async () => {
    const gate = Promise.withResolvers<void>();
    const graph = new StateGraph(State)
      .addNode("wait", async () => {
        await gate.promise;
        return { log: ["waited"] };
      })
      .addEdge(START, "wait")
      .compile();
    const saver = (await newPlace()).open();
    const runtime = createRuntime({ saver, graphs: { graph }, worker: false });
    onTestFinished(() => runtime.close());
    await runtime.start("graph", {}, { runId: "r", threadId: "t" });
    const runs = [{ runId: "r", threadId: "t" }];
    const worker = { runs, maxCrashes: 0, leaseDuration: 600, pollInterval: 20 };
    await runtime.worker(worker).start();
    // Long after the lease would have ended that was taken first.
    const renewals = new Set<number>();
    const renewed = async (): Promise<number> => {
      const lease = await saver.steps.leases.read("t");
      if (lease !== undefined) renewals.add(lease.expiresAt);
      return renewals.size;
    };
    await expect.poll(renewed, { timeout: 20_000, interval: 10 }).toBeGreaterThan(5);
    expect(await runtime.run("r")).toMatchObject({ status: "running", crashes: 0 });
    gate.resolve();
    expect(await runtime.result("r")).toMatchObject({ status: "completed" });
  });

  it("keeps what it did where it is not to be taken back, and goes on behind it", async () => {
    const { runtime, world, switches } = await shop();
    await runtime.worker({ pollInterval: 20 }).start();
    await runtime.start("graph", {}, { runId: "r", threadId: "t", compensate: false });
    expect(await runtime.result("r")).toMatchObject({ status: "failed", undone: [], stuck: [] });
    switches.fails = false;
    await runtime.retry("r");
    expect(await runtime.result("r")).toMatchObject({
      ...{ status: "completed", values: { log: ["b", "second"] } },
    });
    expect(world).toEqual(["book"]);
    switches.fails = true;
    await runtime.start("graph", {}, { runId: "s", threadId: "u", compensate: false });
    await runtime.result("s");
    expect(await runtime.compensate("u")).toMatchObject({ undone: [{ key: "k" }] });
    expect(world).toEqual(["book", "book", "unbook"]);
  });

  it("has what its nodes are to be given, also from a schedule", async () => {
    const { runtime, seen, switches } = await shop();
    switches.fails = false;
    await runtime.worker({ pollInterval: 20 }).start();
    await runtime.start("graph", {}, { runId: "r", configurable: { color: "red" } });
    await runtime.result("r");
    expect(seen).toEqual([["red", "r"]]);
    await runtime.schedule("s", "* * * * * *", "graph", {}, { configurable: { color: "blue" } });
    await expect.poll(() => seen.length, { timeout: 20_000 }).toBeGreaterThan(1);
    expect(seen[1]).toEqual(["blue", expect.stringContaining("s")]);
    for (const bad of [
      { thread_id: "x" },
      { checkpoint_ns: "" },
      { __holdfast_deadline: 1 },
      [1],
    ]) {
      const configurable = bad as Record<string, unknown>;
      const refused = { code: "INVALID_INPUT" };
      await expect(runtime.start("graph", {}, { configurable })).rejects.toMatchObject(refused);
      await expect(
        runtime.schedule("t", "@daily", "graph", {}, { configurable }),
      ).rejects.toMatchObject(refused);
    }
  });
});

describe.each(PLACES)("a question of a graph that a node calls by itself, on %s", (_, newPlace) => {
  it.each([undefined, true] as const)(
    "is answered once, whichever checkpoints it has (%s)",
    async (checkpointer) => {
      const inner = new StateGraph(State)
        .addNode("ask", () => ({ log: [String(interrupt("one?")), String(interrupt("two?"))] }))
        .addEdge(START, "ask")
        .compile(checkpointer === undefined ? {} : { checkpointer });
      const graph = new StateGraph(State)
        .addNode("call", async (_state, config) => ({
          log: (await inner.invoke({}, config)).log,
        }))
        .addEdge(START, "call")
        .compile();
      const runtime = createRuntime({ saver: (await newPlace()).open(), graphs: { graph } });
      onTestFinished(() => runtime.close());
      await runtime.start("graph", {}, { runId: "r", threadId: "t" });
      for (const answer of ["yes", undefined, "no"]) {
        expect(await runtime.result("r")).toMatchObject({ status: "interrupted" });
        await runtime.resume("t", answer);
      }
      expect((await runtime.result("r")).values).toEqual({ log: ["yes", "no"] });
    },
  );
});
