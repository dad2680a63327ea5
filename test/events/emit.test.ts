import { Annotation, Command, END, START, Send, StateGraph, interrupt } from "@langchain/langgraph";
import { entrypoint, task } from "@langchain/langgraph";
import { describe, expect, it, vi } from "vitest";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import { EVENTS_CHANNEL } from "../../src/event-store.ts";
import { fork, history, importThreads } from "../../src/history/index.ts";
import { durable } from "../../src/steps/durable.ts";
import { emit } from "../../src/steps/emit.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { trouble } from "../steps/trouble.ts";
import { PLACES } from "../support/places.ts";

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});
type Node = (state: typeof State.State) => unknown;

/** All events, oldest first, as texts. */
async function left(saver: HoldfastSaver): Promise<string[]> {
  const found = (await saver.steps.events?.list({ limit: 1_000 })) ?? [];
  return found.toReversed().map(({ name, payload }) => `${name} ${JSON.stringify(payload)}`);
}

const on = (threadId: string) =>
  ({ configurable: { thread_id: threadId }, durability: "sync" }) as const;

/** Settles once a sibling's event is among the thread's pending writes: the sibling has finished. */
async function siblingDone(saver: HoldfastSaver, threadId: string): Promise<void> {
  await vi.waitFor(async () => {
    const tuple = await saver.getTuple({ configurable: { thread_id: threadId } });
    expect(tuple?.pendingWrites?.map(([, channel]) => channel)).toContain(EVENTS_CHANNEL);
  });
}

/** A chain of nodes. */
function chain(saver: HoldfastSaver, nodes: Record<string, Node>) {
  const graph = new StateGraph(State);
  const names = Object.keys(nodes);
  for (const [name, node] of Object.entries(nodes)) graph.addNode(name, node as () => object);
  [START, ...names].forEach((name, i) => {
    graph.addEdge(name as typeof START, (names[i] ?? END) as typeof END);
  });
  return graph.compile({ checkpointer: saver });
}

describe.each(PLACES)("emit() on %s", (_, newPlace) => {
  const open = async () => (await newPlace()).open();

  it("lets events leave in order, with where they came from", async () => {
    const clock = new ManualClock();
    const saver = (await newPlace()).open({ clock });
    const graph = chain(saver, {
      a: async () => {
        const payload = { n: 1, at: new Date(0) };
        await emit("first", payload);
        payload.n = 2;
        await emit("second");
        return { log: ["a"] };
      },
      b: () => emit("third", "b").then(() => ({})),
    });
    await graph.invoke({ log: [] }, { ...on("t"), runId: "0199a0e8-0000-7000-8000-000000000000" });
    const events = await saver.steps.events.list();
    expect(events.toReversed()).toMatchObject([
      { name: "first", payload: { n: 1, at: new Date(0) }, threadId: "t", at: clock.now() },
      { name: "second", payload: undefined, threadId: "t" },
      { name: "third", payload: "b", threadId: "t" },
    ]);
    expect(new Set(events.map(({ id }) => id)).size).toBe(3);
    expect(await saver.steps.events.list({ name: "second" })).toHaveLength(1);
    expect(await saver.steps.events.list({ since: clock.now() + 1 })).toEqual([]);
  });

  it("holds them until the superstep is over, also over a failure and another process", async () => {
    const place = await newPlace();
    let fails = true;
    let runs = 0;
    const graphOn = (saver: HoldfastSaver) =>
      new StateGraph(State)
        .addNode("a", async () => {
          runs += 1;
          await emit("from a", runs);
          return { log: ["a"] };
        })
        .addNode("b", async () => {
          await emit("from b", fails);
          if (!fails) return { log: ["b"] };
          await siblingDone(saver, "t");
          throw new Error("broken");
        })
        .addEdge(START, "a")
        .addEdge(START, "b")
        .compile({ checkpointer: saver });
    const saver = place.open();
    await expect(graphOn(saver).invoke({ log: [] }, on("t"))).rejects.toThrow("broken");
    expect(await left(saver)).toEqual([]);
    fails = false;
    const other = place.open();
    await graphOn(other).invoke(null, on("t"));
    expect(await left(other)).toEqual(["from a 1", "from b false"]);
    expect(runs).toBe(1);
  });

  it("lets nothing leave of attempts that failed, or were given up on", async () => {
    const saver = await open();
    let attempts = 0;
    const late = Promise.withResolvers<void>();
    const graph = chain(saver, {
      retried: durable.for(State)(
        async () => {
          attempts += 1;
          await emit("attempt", attempts);
          if (attempts < 3) throw trouble();
          return {};
        },
        { retry: { maxAttempts: 3, initialInterval: 1, maxInterval: 1 } },
      ) as never,
      slow: durable.for(State)(
        async () => {
          if (attempts++ === 3) {
            await late.promise;
            await emit("too late");
          }
          await emit("in time");
          return {};
        },
        { retry: { maxAttempts: 2, initialInterval: 1, maxInterval: 1 }, timeout: 50 },
      ) as never,
    });
    await graph.invoke({ log: [] }, on("t"));
    late.resolve();
    expect(await left(saver)).toEqual(["attempt 3", "in time undefined"]);
  });

  it("repeats nothing where a node asks a person first", async () => {
    const saver = await open();
    const graph = chain(saver, {
      ask: async () => {
        await emit("asking");
        const answer = interrupt("well?") as string;
        await emit("answered", answer);
        return {};
      },
    });
    await graph.invoke({ log: [] }, on("t"));
    expect(await left(saver)).toEqual([]);
    await graph.invoke(new Command({ resume: "yes" }), on("t"));
    expect(await left(saver)).toEqual(["asking undefined", 'answered "yes"']);
  });

  it("counts tasks of their own: sent ones, and those of subgraphs", async () => {
    const saver = await open();
    const inner = new StateGraph(State)
      .addNode("x", () => emit("inner").then(() => ({ log: ["x"] })))
      .addEdge(START, "x")
      .compile();
    const graph = new StateGraph(State)
      .addNode("plan", () => ({}))
      .addNode("work", async (state: { n: number }) => {
        await emit("worked", state.n);
        return { log: [`w${state.n}`] };
      })
      .addNode("sub", inner)
      .addEdge(START, "plan")
      .addConditionalEdges("plan", () => [1, 2, 3].map((n) => new Send("work", { n })))
      .addEdge("work", "sub")
      .compile({ checkpointer: saver });
    await graph.invoke({ log: [] }, on("t"));
    const events = await left(saver);
    expect(events.slice(0, 3).toSorted()).toEqual(["worked 1", "worked 2", "worked 3"]);
    expect(events.slice(3)).toEqual(["inner undefined"]);
  });

  it("emits anew in a fork that runs the node, and once where its result is taken over", async () => {
    const saver = await open();
    let fails = true;
    const graph = new StateGraph(State)
      .addNode("first", () => emit("first").then(() => ({ log: ["first"] })))
      .addNode("a", () => emit("a").then(() => ({ log: ["a"] })))
      .addNode("b", async () => {
        if (!fails) return { log: ["b"] };
        await siblingDone(saver, "t");
        throw new Error("broken");
      })
      .addEdge(START, "first")
      .addEdge("first", "a")
      .addEdge("first", "b")
      .compile({ checkpointer: saver });
    await expect(graph.invoke({ log: [] }, on("t"))).rejects.toThrow("broken");
    expect(await left(saver)).toEqual(["first undefined"]);
    // The update goes on from what a has done; and so does the run, which is another branch.
    await graph.updateState(on("t"), { log: ["by hand"] }, "b");
    expect(await left(saver)).toEqual(["first undefined", "a undefined"]);
    const points = [];
    for await (const point of history(saver, "t")) points.push(point);
    for (const { changed } of points) expect(JSON.stringify(changed)).not.toContain("holdfast");
    fails = false;
    const start = points.find(({ source }) => source === "input");
    const forked = await fork(graph, "t", { checkpointId: start?.checkpointId ?? "" });
    await graph.invoke(null, { ...forked.config, durability: "sync" });
    expect((await left(saver)).toSorted()).toEqual(
      ["a undefined", "a undefined", "first undefined", "first undefined"].toSorted(),
    );
  });

  it("sends nothing anew where a thread is copied or brought over", async () => {
    const saver = await open();
    let fails = true;
    const nodes = {
      a: () => emit("a").then(() => ({ log: ["a"] })),
      b: async () => {
        await emit("b");
        if (fails) throw new Error("broken");
        return { log: ["b"] };
      },
    };
    await expect(chain(saver, nodes).invoke({ log: [] }, on("t"))).rejects.toThrow("broken");
    await saver.copyThread("t", "copy");
    const target = await open();
    expect(await importThreads(saver, target)).toMatchObject({ threads: 2 });
    expect(await importThreads(saver, target)).toMatchObject({ checkpoints: 0 });
    expect(await left(saver)).toEqual(["a undefined"]);
    expect(await left(target)).toEqual([]);
    fails = false;
    for (const thread of ["t", "copy"]) await chain(target, nodes).invoke(null, on(thread));
    expect(await left(target)).toEqual(["b undefined", "b undefined"]);
  });

  it("drops what a new input drops", async () => {
    const saver = await open();
    const graph = new StateGraph(State)
      .addNode("a", (state) => emit("a", state.log).then(() => ({})))
      .addNode("b", async (state) => {
        if (state.log.length > 1) return {};
        await siblingDone(saver, "t");
        throw new Error("broken");
      })
      .addEdge(START, "a")
      .addEdge(START, "b")
      .compile({ checkpointer: saver });
    await expect(graph.invoke({ log: ["x"] }, on("t"))).rejects.toThrow("broken");
    await graph.invoke({ log: ["y"] }, on("t"));
    expect(await left(saver)).toEqual(['a ["x","y"]']);
  });

  it("refuses where an event could not leave", async () => {
    const saver = await open();
    const node = () => emit("e").then(() => ({}));
    await expect(emit("e")).rejects.toThrow(/call it within a node/);
    const plain = new StateGraph(State).addNode("n", node).addEdge(START, "n");
    await expect(plain.compile().invoke({ log: [] })).rejects.toThrow(/call it within a node/);
    const graph = plain.compile({ checkpointer: saver });
    const exit = graph.invoke({ log: [] }, { ...on("exit"), durability: "exit" });
    await expect(exit).rejects.toThrow(/durability "exit"/);
    const unsaved = new StateGraph(State)
      .addNode("sub", plain.compile({ checkpointer: false }))
      .addEdge(START, "sub")
      .compile({ checkpointer: saver });
    await expect(unsaved.invoke({ log: [] }, on("sub"))).rejects.toThrow(/is not stored/);
    const soon = { configurable: { thread_id: "async" }, durability: "async" } as const;
    await expect(unsaved.invoke({ log: [] }, soon)).rejects.toThrow(/is not stored/);
    const call = task("call", node);
    for (const body of [node, () => call()]) {
      const functional = entrypoint({ name: "f", checkpointer: saver }, body);
      await expect(functional.invoke({}, on("functional"))).rejects.toThrow(/functional API/);
    }
    const bad = (name: string, payload?: unknown) =>
      chain(saver, { n: () => emit(name, payload).then(() => ({})) }).invoke(
        { log: [] },
        on("bad"),
      );
    await expect(bad("run.failed")).rejects.toThrow(/holdfast's own/);
    await expect(bad("")).rejects.toThrow(/not empty/);
    await expect(bad("x".repeat(201))).rejects.toThrow(/1 to 200 characters/);
    await expect(bad("e", () => 1)).rejects.toThrow(/payload of event "e"/);
    expect(await left(saver)).toEqual([]);
  });

  it("refuses where a durable node leaves its subgraph by a command", async () => {
    const saver = await open();
    const leave = () => new Command({ goto: "next", graph: Command.PARENT });
    const graphWith = (node: () => Promise<Command>) => {
      const inner = new StateGraph(State)
        .addNode("x", durable.for(State)(node as () => Promise<object>) as never)
        .addEdge(START, "x")
        .compile();
      return new StateGraph(State)
        .addNode("sub", inner, { ends: ["next"] })
        .addNode("next", () => ({ log: ["next"] }))
        .addEdge(START, "sub")
        .compile({ checkpointer: saver });
    };
    let tries = 0;
    const emits = graphWith(async () => {
      tries += 1;
      await emit("e");
      return leave();
    });
    await expect(emits.invoke({ log: [] }, on("t"))).rejects.toThrow(/"x".*Command\.PARENT/);
    expect(tries).toBe(1);
    expect(await left(saver)).toEqual([]);
    const silent = graphWith(() => Promise.resolve(leave()));
    expect(await silent.invoke({ log: [] }, on("u"))).toMatchObject({ log: ["next"] });
  });

  it("works under async durability", async () => {
    const saver = await open();
    const graph = chain(saver, {
      a: () => emit("a").then(() => ({})),
      b: () => emit("b").then(() => ({})),
    });
    await graph.invoke({ log: [] }, { configurable: { thread_id: "t" }, durability: "async" });
    expect(await left(saver)).toEqual(["a undefined", "b undefined"]);
  });

  it("seals payloads like all data", async () => {
    const place = await newPlace();
    const serde = {
      dumpsTyped: (value: unknown): Promise<[string, Uint8Array]> =>
        Promise.resolve(["x", Buffer.from(String(value)).map((byte) => byte ^ 0x55)]),
      loadsTyped: (_type: string, data: Uint8Array | string) =>
        Promise.resolve(
          Buffer.from(data as Uint8Array)
            .map((byte) => byte ^ 0x55)
            .toString(),
        ),
    };
    const saver = place.open({ serde } as never);
    await chain(saver, { a: () => emit("a", "secret").then(() => ({})) }).invoke(
      { log: [] },
      on("t"),
    );
    expect(await left(saver)).toEqual(['a "secret"']);
  });
});
