import { Annotation, END, START, StateGraph, interrupt } from "@langchain/langgraph";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import { events } from "../../src/events.ts";
import { digestOf } from "../../src/ids.ts";
import { runToEnd } from "../../src/run/run-to-end.ts";
import { createRuntime } from "../../src/runtime/create-runtime.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { durable } from "../../src/steps/durable.ts";
import { matchOf } from "../../src/steps/event-match.ts";
import { emit } from "../../src/steps/emit.ts";
import { sleep } from "../../src/steps/sleep.ts";
import { waitForEvent, type WaitForEventOptions } from "../../src/steps/wait-for-event.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { PLACES, type Place } from "../support/places.ts";

const State = Annotation.Root({
  order: Annotation<string>(),
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});
type S = typeof State.State;

/** How often bodies ran. */
const bodies = new Map<string, number>();
function ran(what: string): void {
  bodies.set(what, (bodies.get(what) ?? 0) + 1);
}

function graphOf(nodes: Record<string, (state: S) => Promise<object>>) {
  const graph = new StateGraph(State);
  const names = Object.keys(nodes);
  for (const [name, node] of Object.entries(nodes)) graph.addNode(name, durable.for(State)(node));
  [START, ...names].forEach((name, i) => {
    graph.addEdge(name as typeof START, (names[i] ?? END) as typeof END);
  });
  return graph.compile();
}

/** One node that waits for the payment of its order. */
const paid = (options: WaitForEventOptions = {}) =>
  graphOf({
    wait: async ({ order }) => {
      ran(order);
      const event = await waitForEvent<{ by: string }>("payment", {
        match: { orderId: order },
        ...options,
      });
      return { log: [event === undefined ? "nothing" : `${order} by ${event.payload.by}`] };
    },
  });

describe.each(PLACES)("waitForEvent() on %s", (placeName, newPlace) => {
  const open: { runtime: Runtime; saver: HoldfastSaver }[] = [];
  const troubles: unknown[] = [];
  const deaf = events.on("worker.troubled", ({ error }) => troubles.push(error));
  afterAll(deaf);
  afterEach(async () => {
    if (troubles.length > 0) throw new AggregateError(troubles.splice(0), "a worker was troubled");
    bodies.clear();
    for (const { runtime, saver } of open.splice(0)) {
      await runtime.close();
      await saver.end();
    }
  });

  async function begin(graphs: Record<string, object>, place?: Place, clock?: ManualClock) {
    const saver = (place ?? (await newPlace())).open(clock === undefined ? {} : { clock });
    const runtime = createRuntime({ saver, graphs, worker: { pollInterval: clock ? 1_000 : 50 } });
    open.push({ runtime, saver });
    return runtime;
  }

  /** Lets time go by, bit by bit, until the run is as expected. */
  async function becomes(runtime: Runtime, clock: ManualClock, runId: string, as: object) {
    await vi.waitFor(
      async () => {
        await clock.advance(1_000);
        expect(await runtime.run(runId)).toMatchObject(as);
      },
      { timeout: 10_000 },
    );
  }

  const parked = (runtime: Runtime, runId: string) =>
    vi.waitFor(async () => expect(await runtime.run(runId)).toMatchObject({ status: "parked" }), {
      timeout: 10_000,
    });

  it("is parked, and goes on with the event", async () => {
    const runtime = await begin({ paid: paid() });
    const { runId } = await runtime.start("paid", { order: "o1" });
    await parked(runtime, runId);
    expect(await runtime.run(runId)).toMatchObject({
      reason: "event payment",
      startAt: undefined,
      attempt: 1,
    });
    await runtime.emit("payment", { orderId: "o2", by: "eve" });
    await runtime.emit("payment", { orderId: "o1", by: "ada" }, { id: "p1" });
    expect(await runtime.result(runId)).toMatchObject({
      status: "completed",
      values: { log: ["o1 by ada"] },
    });
    expect(await runtime.run(runId)).toMatchObject({ attempt: 2 });
    expect(bodies.get("o1")).toBe(2);
  });

  it("wakes the one run that an event is for, among a thousand waits", async () => {
    const runtime = await begin({ paid: paid() });
    const orders = Array.from({ length: 20 }, (_none, i) => `o${i}`);
    await Promise.all(orders.map((order) => runtime.start("paid", { order }, { runId: order })));
    for (const order of orders) await parked(runtime, order);
    const store = runtime.saver.steps.events;
    const openWait = async (i: number) => {
      const { paths, hash } = matchOf({ orderId: `other ${i}` });
      const wait = { id: digestOf(String(i)), threadId: `other ${i}`, name: "payment", since: 0 };
      const unset = { task: undefined, runId: undefined, except: undefined, timeout: undefined };
      await store?.openWait({ ...wait, ...unset, paths, hash });
    };
    await Promise.all(Array.from({ length: 1_000 }, (_none, i) => openWait(i)));
    await runtime.emit("payment", { orderId: "o17", by: "ada" });
    expect(await runtime.result("o17")).toMatchObject({ values: { log: ["o17 by ada"] } });
    const others = await runtime.runs({ status: "parked", limit: 2_000 });
    expect(others).toHaveLength(19);
    expect(new Set(others.map(({ attempt }) => attempt))).toEqual(new Set([1]));
    await expect.poll(() => store?.undelivered(10)).toEqual([]);
  });

  it("finds its event whichever comes first, also while it is on its way to be parked", async () => {
    const runtime = await begin({ paid: paid() });
    const orders = Array.from({ length: 24 }, (_none, i) => `o${i}`);
    await Promise.all(
      orders.map(async (orderId, i) => {
        await runtime.start("paid", { order: orderId }, { runId: orderId });
        // From at once to long after it is parked.
        for (let turns = 0; turns < i * 20; turns += 1) {
          await new Promise<void>((resolve) => {
            setImmediate(resolve);
          });
        }
        await runtime.emit("payment", { orderId, by: "ada" });
      }),
    );
    for (const order of orders) {
      expect(await runtime.result(order)).toMatchObject({ values: { log: [`${order} by ada`] } });
    }
  });

  it("finds what came before it, since its run began, but nothing older", async () => {
    const asked = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<void>();
    const graph = graphOf({
      ask: async () => {
        asked.resolve();
        await answered.promise;
        return {};
      },
      wait: async () => {
        const event = await waitForEvent<{ n: number }>("answer", {
          match: { to: { name: "ada" } },
        });
        return { log: [String(event?.payload.n)] };
      },
    });
    const clock = new ManualClock();
    const runtime = await begin({ graph }, undefined, clock);
    const to = { name: "ada" };
    await runtime.emit("answer", { to, n: 1 });
    await clock.advance(10);
    const { runId } = await runtime.start("graph", { order: "o" });
    await asked.promise;
    await runtime.emit("answer", { to: { name: "eve" }, n: 2 });
    await runtime.emit("answer", { to, n: 3 });
    await runtime.emit("answer", { to, n: 4 });
    answered.resolve();
    expect(await runtime.result(runId)).toMatchObject({ values: { log: ["3"] } });
    expect(await runtime.run(runId)).toMatchObject({ attempt: 1 });
  });

  it("takes one after the other in a loop, in order, each once", async () => {
    const graph = graphOf({
      chat: async () => {
        const log: string[] = [];
        while (log.at(-1) !== "bye") {
          const event = await waitForEvent<string>("message");
          log.push(event?.payload ?? "");
        }
        return { log };
      },
    });
    const runtime = await begin({ graph });
    const { runId } = await runtime.start("graph", { order: "o" });
    for (let i = 0; i < 5; i += 1) {
      await runtime.emit("message", `m${i}`, { id: `id${i}` });
      expect(await runtime.emit("message", "again", { id: `id${i}` })).toMatchObject({
        isNew: false,
      });
      if (i % 2 === 0) await parked(runtime, runId);
    }
    await runtime.emit("message", "bye");
    expect(await runtime.result(runId)).toMatchObject({
      values: { log: ["m0", "m1", "m2", "m3", "m4", "bye"] },
    });
  });

  it("gives up when its time is up, and keeps to that", async () => {
    const clock = new ManualClock();
    const graph = graphOf({
      wait: async () => {
        const event = await waitForEvent("never", { timeout: 60_000 });
        const late = await waitForEvent("later");
        return { log: [String(event), String(late?.payload)] };
      },
    });
    const runtime = await begin({ graph }, undefined, clock);
    const { runId } = await runtime.start("graph", { order: "o" });
    await parked(runtime, runId);
    expect((await runtime.run(runId)).startAt).toBe(clock.now() + 60_000);
    await clock.advance(60_001);
    await becomes(runtime, clock, runId, { reason: "event later" });
    await runtime.emit("never", 1);
    await runtime.emit("later", 2);
    expect(await runtime.result(runId)).toMatchObject({ values: { log: ["undefined", "2"] } });
  });

  it("ends with its run's deadline", async () => {
    const clock = new ManualClock();
    const runtime = await begin({ paid: paid() }, undefined, clock);
    const { runId } = await runtime.start("paid", { order: "o1" }, { deadline: 60_000 });
    await parked(runtime, runId);
    await clock.advance(60_001);
    await becomes(runtime, clock, runId, { status: "failed" });
    expect(await runtime.result(runId)).toMatchObject({
      error: { name: "DeadlineExceededError" },
    });
  });

  it("passes no gate, and wakes no sibling that waits for something else", async () => {
    const asleep = (name: string, wait: () => Promise<unknown>) =>
      durable.for(State)(async () => {
        ran(name);
        await wait();
        return { log: [name] };
      });
    const graph = new StateGraph(State)
      .addNode(
        "sleeps",
        asleep("sleeps", () => sleep(60_000)),
      )
      .addNode(
        "waits",
        asleep("waits", () => waitForEvent("go")),
      )
      .addNode(
        "other",
        asleep("other", () => waitForEvent("other")),
      )
      .addNode(
        "asks",
        asleep("asks", () => Promise.resolve(interrupt("well?"))),
      )
      .addNode("last", () => ({ log: ["last"] }))
      .addEdge(START, "sleeps")
      .addEdge(START, "waits")
      .addEdge(START, "other")
      .addEdge(START, "asks")
      .addEdge(["sleeps", "waits", "other", "asks"], "last")
      .compile({ interruptBefore: ["last"] });
    const clock = new ManualClock();
    const runtime = await begin({ graph }, undefined, clock);
    const { runId } = await runtime.start("graph", { order: "o" }, { threadId: "t" });
    const left = (attempt: number) =>
      becomes(runtime, clock, runId, { status: "interrupted", attempt });
    await left(1);
    await runtime.emit("go");
    await left(2);
    expect(Object.fromEntries(bodies)).toEqual({ sleeps: 1, waits: 2, other: 1, asks: 1 });
    await runtime.resume("t", "yes");
    await becomes(runtime, clock, runId, { status: "parked" });
    expect(bodies.get("other")).toBe(1);
    await runtime.emit("other");
    await clock.advance(60_001);
    await becomes(runtime, clock, runId, { status: "interrupted" });
    await expect.poll(async () => (await runtime.inbox.list()).length).toBe(1);
    const { attempt } = await runtime.run(runId);
    await runtime.emit("go");
    await runtime.emit("other");
    const [gate] = await runtime.inbox.list();
    expect((await runtime.run(runId)).attempt).toBe(attempt);
    await runtime.approve(gate?.id ?? "");
    await becomes(runtime, clock, runId, { status: "completed" });
  });

  it("gives an event to all waits that were open for it, side by side and in other threads", async () => {
    const graph = graphOf({
      wait: async ({ order }) => {
        const both = await Promise.all([
          waitForEvent("stop"),
          waitForEvent("stop", { match: { all: true } }),
        ]);
        return { log: both.map((event) => `${order} ${event?.id}`) };
      },
    });
    const runtime = await begin({ graph });
    for (const id of ["a", "b"]) {
      await runtime.start("graph", { order: id }, { runId: id });
      await parked(runtime, id);
    }
    await runtime.emit("stop", { all: true }, { id: "e" });
    for (const id of ["a", "b"]) {
      expect(await runtime.result(id)).toMatchObject({ values: { log: [`${id} e`, `${id} e`] } });
      expect(await runtime.run(id)).toMatchObject({ attempt: 2 });
    }
  });

  it("tells where it was raced, and its node went on without it", async () => {
    const notices: string[] = [];
    const { onNotice } = events;
    events.onNotice = (message) => notices.push(message);
    let losers = 0;
    const deaf = events.on("run.parked", () => (losers += 1));
    const node = `races on ${placeName}`;
    const graph = graphOf({
      [node]: async () => {
        const first = await Promise.race([waitForEvent("won"), waitForEvent("lost")]);
        // What it goes on with takes longer than the other wait takes to park.
        await expect.poll(() => losers).toBe(3);
        return { log: [first?.name ?? ""] };
      },
    });
    try {
      const runtime = await begin({ graph });
      const { runId } = await runtime.start("graph", { order: "o" });
      await parked(runtime, runId);
      expect(notices).toEqual([]);
      await runtime.emit("won");
      await expect.poll(() => notices).toEqual([expect.stringContaining(`Node "${node}"`)]);
      expect(notices[0]).toContain("event lost");
      await parked(runtime, runId);
    } finally {
      deaf();
      events.onNotice = onNotice;
    }
  });

  it("is the thread's where it has an id", async () => {
    const graph = graphOf({
      one: async () => {
        const event = await waitForEvent("key", { id: "the key" });
        return { log: [`one ${event?.id}`] };
      },
      two: async () => {
        const event = await waitForEvent("key", { id: "the key" });
        return { log: [`two ${event?.id}`] };
      },
    });
    const runtime = await begin({ graph });
    const { runId } = await runtime.start("graph", { order: "o" });
    await runtime.emit("key", {}, { id: "k" });
    expect(await runtime.result(runId)).toMatchObject({ values: { log: ["one k", "two k"] } });
  });

  it("hears what a node of another run emits, and that a run has ended", async () => {
    const runtime = await begin({
      waits: paid(),
      tells: graphOf({
        tell: async ({ order }) => {
          await emit("payment", { orderId: order, by: "a node" });
          return {};
        },
      }),
    });
    const { runId } = await runtime.start("waits", { order: "o1" });
    await parked(runtime, runId);
    await runtime.start("tells", { order: "o1" });
    expect(await runtime.result(runId)).toMatchObject({ values: { log: ["o1 by a node"] } });
  });

  it("is parked under runToEnd where that parks, and waits in its process elsewhere", async () => {
    const place = await newPlace();
    const saver = place.open();
    const saved = Object.assign(paid(), { checkpointer: saver });
    const config = { configurable: { thread_id: "t" } };
    const first = await runToEnd(saved, { order: "o1" }, config, { park: true });
    expect(first).toMatchObject({ status: "parked", reason: "event payment" });
    expect(await runToEnd(saved, null, config, { park: true })).toMatchObject({ status: "parked" });
    expect(bodies.get("o1")).toBe(1);
    const waiting = runToEnd(saved, null, config);
    const other = await begin({ paid: paid() }, place);
    await other.emit("payment", { orderId: "o1", by: "ada" });
    expect(await waiting).toMatchObject({ status: "completed", values: { log: ["o1 by ada"] } });

    const again = runToEnd(saved, { order: "o2" }, { configurable: { thread_id: "u" } });
    await expect.poll(() => bodies.get("o2")).toBe(1);
    await other.emit("payment", { orderId: "o2", by: "eve" });
    expect(await again).toMatchObject({ values: { log: ["o2 by eve"] } });
    expect(bodies.get("o2")).toBe(1);
    const late = paid({ timeout: 20 });
    Object.assign(late, { checkpointer: saver });
    expect(
      await runToEnd(late, { order: "o3" }, { configurable: { thread_id: "v" } }),
    ).toMatchObject({ values: { log: ["nothing"] } });
  });

  it("refuses what it cannot keep", async () => {
    await expect(waitForEvent("e")).rejects.toThrow(/call it within a node/);
    const saver = (await newPlace()).open();
    const node = (options: object, name = "e") =>
      graphOf({ n: () => waitForEvent(name, options as never).then(() => ({})) });
    const run = (graph: object, durability: "sync" | "exit") =>
      Object.assign(graph as ReturnType<typeof paid>, { checkpointer: saver }).invoke(
        { order: "o" },
        { configurable: { thread_id: durability }, durability },
      );
    await expect(run(node({}), "exit")).rejects.toThrow(/durability "exit".*/);
    await expect(run(node({ match: [] }), "sync")).rejects.toThrow(/plain object/);
    await expect(run(node({ match: { f: () => 1 } }), "sync")).rejects.toThrow(/function/);
    await expect(run(node({ timeout: -1 }), "sync")).rejects.toThrow(/timeout/);
    await expect(run(node({ id: "" }), "sync")).rejects.toThrow(/not empty/);
    await expect(run(node({ timout: 1 }), "sync")).rejects.toThrow(/timeout/);
    await expect(run(node({}, ""), "sync")).rejects.toThrow(/needs the name/);
  });

  it("takes what comes once it is stored, also where its process's clock is ahead", async () => {
    const { events: store } = (await newPlace()).open().steps;
    const { paths, hash } = matchOf({});
    await store.openWait({
      ...{
        id: digestOf("ahead"),
        threadId: "t",
        name: "e",
        since: Date.now() + 3_600_000,
        paths,
        hash,
      },
      ...{ task: undefined, runId: undefined, except: undefined, timeout: undefined },
    });
    await store.add({ id: "e", name: "e", payload: "{}" });
    const [event] = await store.undelivered(1);
    expect(await store.give(event?.seq ?? 0, [{ paths, hash }])).toEqual(["t"]);
  });

  it("stays with a run that may be retried, and with its thread where it has an id", async () => {
    const clock = new ManualClock();
    let breaks = true;
    const graph = graphOf({
      wait: async () => {
        const own = await waitForEvent<string>("own");
        const shared = await waitForEvent<string>("shared", { id: "s" });
        if (breaks) throw new Error("broken for good");
        return { log: [`${own?.payload} ${shared?.payload}`] };
      },
      again: async () => {
        const shared = await waitForEvent<string>("shared", { id: "s" });
        return { log: [`${shared?.payload}`] };
      },
    });
    const runtime = await begin({ graph }, undefined, clock);
    const { runId } = await runtime.start("graph", { order: "o" }, { threadId: "t" });
    await runtime.emit("own", "first");
    await runtime.emit("shared", "first");
    await becomes(runtime, clock, runId, { status: "failed" });
    const store = runtime.saver.steps.events;
    const sweep = () =>
      store?.sweep({ before: clock.now() + 1, forgotten: clock.now() + 1, limit: 100 });
    await sweep();
    for (const name of ["own", "shared"]) await runtime.emit(name, "second");
    breaks = false;
    await runtime.retry(runId);
    await becomes(runtime, clock, runId, { status: "completed" });
    expect((await runtime.result(runId)).values["log"]).toEqual(["first first", "first"]);
    await sweep();
    const next = await runtime.start("graph", { order: "o" }, { threadId: "t" });
    await runtime.emit("own", "third");
    await becomes(runtime, clock, next.runId, { status: "completed" });
    expect((await runtime.result(next.runId)).values["log"]).toEqual([
      ...["first first", "first"],
      ...["third first", "first"],
    ]);
  });

  it("goes with its thread, and with its checkpoint", async () => {
    const saver = (await newPlace()).open();
    const graph = Object.assign(paid(), { checkpointer: saver });
    const config = { configurable: { thread_id: "t" } };
    await runToEnd(graph, { order: "o1" }, config, { park: true });
    expect(await saver.steps.events.pathsOf("payment")).toEqual(['[["orderId"]]']);
    await saver.deleteThread("t");
    expect(await saver.steps.events.pathsOf("payment")).toEqual([]);
    await saver.steps.events.add({ id: "e", name: "payment", payload: "{}" });
  });
});
