import {
  Annotation,
  Command,
  END,
  START,
  StateGraph,
  interrupt,
  isInterrupted,
  type CompiledStateGraph,
} from "@langchain/langgraph";
import { describe, expect, test } from "vitest";
import { durable } from "../../src/steps/durable.ts";
import { parkOf } from "../../src/steps/wait.ts";
import { syncRun } from "../support/small-graphs.ts";
import { SAVERS } from "./savers.ts";
import { trouble } from "./trouble.ts";

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});
const retry = { initialInterval: 1_000, jitter: "none" } as const;

describe.each(SAVERS)("durable subgraphs over %s", (_, open) => {
  /** `first` then `second`; counts what runs. */
  function inner(second: (call: number) => string) {
    const ran: string[] = [];
    const graph = new StateGraph(State)
      .addNode("first", () => {
        ran.push("first");
        return { log: ["first"] };
      })
      .addNode("second", () => {
        ran.push("second");
        return { log: [second(ran.filter((name) => name === "second").length)] };
      })
      .addEdge(START, "first")
      .addEdge("first", "second")
      .addEdge("second", END)
      .compile();
    return { graph, ran };
  }

  test("a retry resumes them", async () => {
    const { saver, clock } = await open();
    const { graph: sub, ran } = inner((call) => {
      if (call < 3) throw trouble();
      return `second ${call}`;
    });
    const graph = new StateGraph(State)
      .addNode("sub", durable(sub, { retry }))
      .addEdge(START, "sub")
      .compile({ checkpointer: saver });
    const result = await clock.runUntil(graph.invoke({}, syncRun("t")));
    expect(result.log).toEqual(["first", "second 3"]);
    expect(ran).toEqual(["first", "second", "second", "second"]);
  });

  test("a retry resumes those that a function calls, each where it stopped", async () => {
    const { saver, clock } = await open();
    const one = inner(() => "one");
    const two = inner((call) => {
      if (call < 2) throw trouble();
      return "two";
    });
    const graph = new StateGraph(State)
      .addNode({
        both: durable(
          async () => {
            const { log } = await one.graph.invoke({});
            const more = await two.graph.invoke({});
            return { log: [...log, ...more.log] };
          },
          { retry },
        ),
      })
      .addEdge(START, "both")
      .compile({ checkpointer: saver });
    const result = await clock.runUntil(graph.invoke({}, syncRun("t")));
    expect(result.log).toEqual(["first", "one", "first", "two"]);
    expect(two.ran).toEqual(["first", "second", "second"]);
  });

  test("LangGraph finds, streams and shows them", async () => {
    const { saver } = await open();
    const { graph: sub } = inner(() => interrupt<string, string>("well?"));
    const graph: CompiledStateGraph<typeof State.State, typeof State.Update, string> =
      new StateGraph(State)
        .addNode("sub", durable(sub))
        .addEdge(START, "sub")
        .compile({ checkpointer: saver });
    const names: string[] = [];
    for await (const [name] of graph.getSubgraphsAsync()) names.push(name);
    expect(names).toEqual(["sub"]);
    const events: string[] = [];
    const config = { ...syncRun("t"), subgraphs: true, streamMode: "updates" as const };
    for await (const chunk of await graph.stream({}, config)) {
      const [ns, update] = chunk as unknown as [string[], object];
      events.push(
        `${ns.map((part) => part.split(":")[0]).join("/")}>${Object.keys(update).join()}`,
      );
    }
    expect(events).toContain("sub>first");
    const state = await graph.getState(syncRun("t"), { subgraphs: true });
    expect(state.tasks[0]?.state).toMatchObject({ next: ["second"], values: { log: ["first"] } });
    const result = await graph.invoke(new Command({ resume: "yes" }), syncRun("t"));
    expect(result.log).toEqual(["first", "yes"]);
    expect((await graph.getGraphAsync({ xray: true })).drawMermaid()).toContain("sub_first(first)");
  });

  test("a park within passes out, and goes on within", async () => {
    const { saver, clock } = await open();
    let calls = 0;
    const sub = new StateGraph(State)
      .addNode({
        deep: durable(
          () => {
            calls += 1;
            if (calls < 2) throw trouble();
            return { log: ["deep"] };
          },
          { retry, parkAfter: 1 },
        ),
      })
      .addEdge(START, "deep")
      .compile();
    const graph = new StateGraph(State)
      .addNode("sub", durable(sub))
      .addEdge(START, "sub")
      .compile({ checkpointer: saver });
    expect(parkOf(await graph.invoke({}, syncRun("t")))?.reason).toBe('backoff of "sub/deep"');
    expect(parkOf(await graph.invoke(null, syncRun("t")))).toBeDefined();
    expect(calls).toBe(1);
    await clock.advance(1_000);
    expect(await graph.invoke(null, syncRun("t"))).toEqual({ log: ["deep"] });
  });

  test("what gave up within is not tried again without", async () => {
    const { saver, clock } = await open();
    let calls = 0;
    const sub = new StateGraph(State)
      .addNode({
        deep: durable(
          () => {
            calls += 1;
            throw trouble();
          },
          { retry: { ...retry, maxAttempts: 3 } },
        ),
      })
      .addEdge(START, "deep")
      .compile();
    const graph = new StateGraph(State)
      .addNode("sub", durable(sub, { retry }))
      .addEdge(START, "sub")
      .compile({ checkpointer: saver });
    const run = graph.invoke({}, syncRun("t")).catch((error: unknown) => error);
    expect(await clock.runUntil(run)).toMatchObject({ message: "overloaded" });
    expect(calls).toBe(3);
  });

  test("a question within is asked again without running what is around it", async () => {
    const { saver } = await open();
    let calls = 0;
    const sub = new StateGraph(State)
      .addNode({
        ask: durable(() => {
          calls += 1;
          return { log: [interrupt<string, string>("well?")] };
        }),
      })
      .addEdge(START, "ask")
      .compile();
    const graph = new StateGraph(State)
      .addNode("sub", durable(sub))
      .addEdge(START, "sub")
      .compile({ checkpointer: saver });
    await graph.invoke({}, syncRun("t"));
    expect(isInterrupted(await graph.invoke(null, syncRun("t")))).toBe(true);
    expect(calls).toBe(1);
    expect(await graph.invoke(new Command({ resume: "yes" }), syncRun("t"))).toEqual({
      log: ["yes"],
    });
    expect(calls).toBe(2);
  });
});
