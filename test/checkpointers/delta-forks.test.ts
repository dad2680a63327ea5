/**
 * Whose writes a delta channel is made of, where a checkpoint has those of several: each script gives the
 * same history with a delta channel on a holdfast saver as with a plain reducer in memory.
 */

import type { RunnableConfig } from "@langchain/core/runnables";
import {
  Annotation,
  Command,
  DeltaChannel,
  END,
  interrupt,
  Overwrite,
  START,
  StateGraph,
} from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { describe, expect, it } from "vitest";
import { Oracle } from "../fuzz/oracle.ts";
import { PLACES } from "../support/places.ts";
import { onThread } from "../support/small-graphs.ts";

type Log = string[];
const append = (log: Log, writes: Log[]): Log => log.concat(writes.flat());

const delta = (snapshotFrequency: number) =>
  Annotation.Root({ log: () => new DeltaChannel<Log, Log>(append, { snapshotFrequency }) });
const plain = Annotation.Root({
  log: Annotation<Log>({ reducer: (log, more) => append(log, [more]), default: () => [] }),
});

/**
 * `work` and `ask` run at once, and `end` after them. `work` replaces what begins with "-"; `ask` asks
 * until it is told something that begins with "y".
 */
function graphOf(saver: BaseCheckpointSaver, state: typeof plain) {
  return new StateGraph(state)
    .addNode("work", ({ log }) => ({
      log: (log[0]?.startsWith("-") === true ? new Overwrite(["anew"]) : ["work"]) as Log,
    }))
    .addNode("ask", () => {
      const answers: string[] = [];
      while (answers.at(-1)?.startsWith("y") !== true) answers.push(interrupt("ok?"));
      return { log: answers };
    })
    .addNode("end", () => ({ log: ["end"] }))
    .addEdge(START, "work")
    .addEdge(START, "ask")
    .addEdge(["work", "ask"], "end")
    .addEdge("end", END)
    .compile({ checkpointer: saver });
}

type Graph = ReturnType<typeof graphOf>;
const T = onThread("t");
const SYNC = { ...T, durability: "sync" } as const;
const EXIT = { ...T, durability: "exit" } as const;

/** All states, newest first. */
async function statesOf(graph: Graph): Promise<{ log: Log; next: string[] }[]> {
  const found: { log: Log; next: string[] }[] = [];
  for await (const { values, next, metadata } of graph.getStateHistory(T)) {
    // Only a delta channel needs it: what the writes of a thread's first "exit" invocation are hung on.
    if (metadata?.step === -2) continue;
    found.push({ log: ((values as { log?: Log }).log ?? []).toSorted(), next });
  }
  return found;
}

/** The config of a checkpoint: the newest is 0. */
async function at(graph: Graph, position: number): Promise<RunnableConfig> {
  const history = await Array.fromAsync(graph.getStateHistory(T));
  return history[position]?.config as RunnableConfig;
}

/** Up to the question, with a task that is done. */
async function toQuestion(graph: Graph, first = "in"): Promise<void> {
  await graph.invoke({ log: [first] }, SYNC);
}

const command = (parts: ConstructorParameters<typeof Command>[0]) => new Command(parts) as never;
const yes = command({ resume: "yes" });

const SCRIPTS: Record<string, (graph: Graph) => Promise<unknown>> = {
  "an update with nothing, where a task is done": async (graph) => {
    await toQuestion(graph);
    await graph.updateState(T, null);
    await graph.updateState(await at(graph, 0), null);
  },
  "an update with nothing, of a past checkpoint": async (graph) => {
    await toQuestion(graph);
    await graph.invoke(yes, SYNC);
    await graph.updateState(await at(graph, 2), null);
    await graph.invoke(null, SYNC);
  },
  "an update as input": async (graph) => {
    await toQuestion(graph);
    await graph.updateState(T, { log: ["more"] }, "__input__");
    await graph.invoke(null, SYNC);
    await graph.updateState(await at(graph, 2), { log: ["other"] }, "__input__");
  },
  "an update as a node that writes nothing, where a task is done": async (graph) => {
    await toQuestion(graph);
    await graph.updateState(T, {}, "end");
    await graph.updateState(await at(graph, 1), {}, "end");
  },
  "an update that ends all, after another update of the checkpoint": async (graph) => {
    await toQuestion(graph);
    const question = await at(graph, 0);
    await graph.updateState(question, { log: ["update"] }, "ask");
    await graph.updateState(question, null, END);
    await graph.updateState(await at(graph, 0), null, END);
  },
  "a copy of a fork": async (graph) => {
    await toQuestion(graph);
    const question = await at(graph, 0);
    await graph.invoke(yes, SYNC);
    await graph.updateState(question, { log: ["fork"] }, "work");
    await graph.updateState(await at(graph, 0), null, "__copy__");
    await graph.updateState(await at(graph, 0), null, "__copy__");
    await graph.invoke(null, SYNC);
  },
  "a copy with updates": async (graph) => {
    await toQuestion(graph);
    await graph.updateState(T, [[{ log: ["instead"] }, "work"]], "__copy__");
    await graph.updateState(T, [[{ log: ["again"] }, "end"]], "__copy__");
    await graph.invoke(null, SYNC);
  },
  "a task that replaces the value, then an update": async (graph) => {
    await toQuestion(graph, "-");
    await graph.updateState(T, { log: ["update"] }, "ask");
    await graph.updateState(T, { log: ["after"] }, "ask");
  },
  "an answer with an update, then one without": async (graph) => {
    await toQuestion(graph);
    await graph.invoke(command({ resume: "no", update: { log: ["u1", "u2"] } }), SYNC);
    await graph.invoke(yes, SYNC);
  },
  "an answer with an update where nothing is asked, then an update that ends all": async (
    graph,
  ) => {
    await toQuestion(graph);
    await graph.invoke(yes, SYNC);
    await graph.invoke(command({ resume: "yes", update: { log: ["kept"] } }), SYNC);
    await graph.updateState(T, null, END);
  },
  "two commands from one checkpoint": async (graph) => {
    await toQuestion(graph);
    const question = await at(graph, 0);
    for (const name of ["first", "second"]) {
      const update = { log: [name] };
      await graph.invoke(command({ update, goto: "end" }), { ...SYNC, ...question });
    }
    await graph.invoke(yes, { ...SYNC, ...question });
  },
  "commands of different parts from one checkpoint, then a fork": async (graph) => {
    await toQuestion(graph);
    const question = await at(graph, 0);
    await graph.invoke(command({ update: { log: ["first"] } }), { ...SYNC, ...question });
    // Its update is its second write.
    const second = command({ update: { log: ["second"] }, goto: "end" });
    await graph.invoke(second, { ...SYNC, ...question });
    await graph.invoke(null, { ...SYNC, ...question });
  },
  "answers and an end that are stored at once": async (graph) => {
    await toQuestion(graph);
    await graph.invoke(command({ resume: "no" }), EXIT);
    await graph.invoke(yes, EXIT);
    await graph.updateState(await at(graph, 0), { log: ["update"] }, "end");
  },
  "new input that is stored at once, where a task is done": async (graph) => {
    await toQuestion(graph);
    await graph.invoke({ log: ["more"] }, EXIT);
    await graph.invoke(yes, EXIT);
  },
  "forks that are stored at once, of a past checkpoint": async (graph) => {
    await toQuestion(graph);
    const question = await at(graph, 0);
    await graph.updateState(question, { log: ["update"] }, "ask");
    await graph.invoke(yes, { ...EXIT, ...question });
    await graph.invoke(yes, { ...EXIT, ...question });
    await graph.invoke(null, { ...EXIT, ...question });
    await graph.invoke(null, { ...EXIT, ...(await at(graph, 1)) });
    await graph.invoke({ log: ["other"] }, { ...EXIT, ...question });
    await graph.invoke(yes, EXIT);
  },
  "forks that are stored at once and get no further, of a checkpoint that others went on from":
    async (graph) => {
      await toQuestion(graph);
      const question = await at(graph, 0);
      await graph.updateState(question, { log: ["update"] }, "ask");
      await graph.invoke(yes, { ...EXIT, ...question });
      await graph.invoke(null, { ...EXIT, ...question });
      await graph.invoke(yes, SYNC);
    },
  "a run that is stored at once and gets no further, of an update that was updated": async (
    graph,
  ) => {
    await graph.invoke({ log: ["in"] }, SYNC);
    const update = await graph.updateState(await at(graph, 1), { log: ["update"] }, START);
    await graph.updateState(update, { log: ["other"] }, "ask");
    await graph.invoke(null, { ...EXIT, ...update });
    await graph.invoke(yes, { ...EXIT, ...update });
  },
  "forks that are stored at once, of a checkpoint that a command began from": async (graph) => {
    await toQuestion(graph);
    const question = await at(graph, 0);
    await graph.invoke(command({ update: { log: ["command"] } }), { ...SYNC, ...question });
    // Each begins with what the command wrote there, unless it has an answer instead.
    await graph.invoke({ log: ["other"] }, { ...EXIT, ...question });
    await graph.invoke(yes, { ...EXIT, ...question });
    await graph.invoke(null, { ...EXIT, ...question });
    await graph.invoke(null, SYNC);
    await graph.invoke(yes, SYNC);
  },
  "invocations that are stored at once, one after the other": async (graph) => {
    for (const name of ["one", "two"]) {
      await graph.invoke({ log: [name] }, EXIT);
      await graph.invoke(null, EXIT);
      await graph.invoke(yes, EXIT);
      await graph.invoke(null, EXIT);
    }
    await graph.invoke({ log: ["three"] }, SYNC);
  },
};

describe.each(PLACES)("commands on %s", (_, newPlace) => {
  it("replace all that another wrote without a task where both began", async () => {
    const state = Annotation.Root({ a: Annotation<string>(), b: Annotation<string>() });
    const graph = new StateGraph(state)
      .addNode("ask", () => ({ a: interrupt<string, string>("ok?") }))
      .addEdge(START, "ask")
      .compile({ checkpointer: (await newPlace()).open() });
    await graph.invoke({ a: "in" }, SYNC);
    const question = { ...SYNC, ...(await graph.getState(T)).config };
    await graph.invoke(new Command({ update: { a: "first", b: "first" } }), question);
    await graph.invoke(new Command({ update: { b: "second" } }), question);
    const { values } = await graph.getState(question);
    expect(values).toEqual({ a: "in", b: "second" });
    const history = await Array.fromAsync(graph.getStateHistory(T));
    expect(history.map((found) => found.values as unknown)).toContainEqual(values);
  });
});

describe.each(PLACES)("delta channels on %s", (_, newPlace) => {
  describe.each([1_000, 1, 2])("with a snapshot after %d updates", (frequency) => {
    it.each(Object.entries(SCRIPTS))("are right after %s", async (__, script) => {
      const expected = graphOf(new Oracle(), plain);
      await script(expected);
      const place = await newPlace();
      const saver = place.open();
      const found = graphOf(saver, delta(frequency) as unknown as typeof plain);
      await script(found);
      expect(await statesOf(found)).toEqual(await statesOf(expected));
      const reopened = graphOf(place.open(), delta(frequency) as unknown as typeof plain);
      expect(await statesOf(reopened)).toEqual(await statesOf(expected));
    });
  });

  it("are right after an update while another reads the state", async () => {
    const saver = (await newPlace()).open();
    const graph = graphOf(saver, delta(1_000) as unknown as typeof plain);
    await toQuestion(graph);
    const question = await at(graph, 0);
    const putWrites = saver.putWrites.bind(saver);
    saver.putWrites = async (...write) => {
      await graph.getState(T);
      await graph.getState(question);
      if (write[0].configurable?.["other"] !== undefined) await graph.getState(T);
      return putWrites(...write);
    };
    // Of these, only the one that names no checkpoint goes on from what `work` did.
    await graph.updateState(T, { log: ["first"] }, "ask");
    const { configurable } = question;
    await graph.updateState(
      { configurable: { ...configurable, other: 1 } },
      { log: ["second"] },
      "ask",
    );
    const states = await statesOf(graph);
    expect(states.slice(0, 2).map(({ log }) => log)).toEqual([
      ["in", "second"],
      ["first", "in", "work"],
    ]);
  });

  it("keep what a task did beside an answer to a subgraph, where both are stored at once", async () => {
    const state = delta(1_000) as unknown as typeof plain;
    const inner = new StateGraph(state)
      .addNode("ask", () => ({ log: [interrupt("ok?"), interrupt("really?")] as Log }))
      .addEdge(START, "ask")
      .compile();
    const graph = new StateGraph(state)
      .addNode("inner", inner)
      .addNode("work", () => ({ log: ["work"] }))
      .addEdge(START, "inner")
      .addEdge(START, "work")
      .compile({ checkpointer: (await newPlace()).open() });
    await graph.invoke({ log: ["in"] }, SYNC);
    await graph.updateState(T, null, "__copy__");
    await graph.invoke(yes, EXIT);
    await graph.updateState(T, { log: ["update"] }, "inner");
    expect((await graph.getState(T)).values).toEqual({ log: ["in", "work", "update"] });
  });

  it("are empty in a subgraph that a replay begins anew", async () => {
    const seen = Annotation<number[]>({ reducer: (a, b) => a.concat(b), default: () => [] });
    const inner = new StateGraph(Annotation.Root({ ...delta(1_000).spec, seen }))
      .addNode("look", ({ log }) => ({ log: ["looked"], seen: [log.length] }))
      .addEdge(START, "look")
      .compile();
    const graph = new StateGraph(Annotation.Root({ seen }))
      .addNode("inner", inner)
      .addEdge(START, "inner")
      .compile({ checkpointer: (await newPlace()).open(), interruptBefore: ["inner"] });
    await graph.invoke({ seen: [] }, SYNC);
    // From an update the replay goes on with the same tasks, so with the same namespaces.
    const from = await graph.updateState(T, null);
    expect(await graph.invoke(null, SYNC)).toEqual({ seen: [0] });
    expect(await graph.invoke(null, { ...SYNC, ...from })).toEqual({ seen: [0] });
  });
});
