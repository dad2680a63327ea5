/**
 * What `channels.ts` reads out of LangGraph's own channels, held against what the graph itself says:
 * fails when a new LangGraph names or fills them differently.
 */

import { AIMessage, HumanMessage } from "@langchain/core/messages";
import {
  Annotation,
  Command,
  END,
  MemorySaver,
  MessageGraph,
  START,
  Send,
  StateGraph,
} from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import { history } from "../../src/history/index.ts";
import type { TimeTravelGraph } from "../../src/history/index.ts";
import { collect, onThread } from "../conformance/history-graphs.ts";

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});

const note = (name: string) => () => ({ log: [name] });

const graphs: Record<string, (saver: MemorySaver) => TimeTravelGraph & { invoke: Invoke }> = {
  "joins of three, one of them longer": (checkpointer) =>
    new StateGraph(State)
      .addNode("a", note("a"))
      .addNode("b", note("b"))
      .addNode("b2", note("b2"))
      .addNode("c", note("c"))
      .addNode("all", note("all"))
      .addEdge(START, "a")
      .addEdge(START, "b")
      .addEdge(START, "c")
      .addEdge("b", "b2")
      .addEdge(["a", "b2", "c"], "all")
      .addEdge("all", END)
      .compile({ checkpointer }),
  "a deferred node": (checkpointer) =>
    new StateGraph(State)
      .addNode("a", note("a"))
      .addNode("b", note("b"))
      .addNode("b2", note("b2"))
      .addNode("last", note("last"), { defer: true })
      .addEdge(START, "a")
      .addEdge(START, "b")
      .addEdge("b", "b2")
      .addEdge("a", "last")
      .addEdge("b2", "last")
      .addEdge("last", END)
      .compile({ checkpointer }),
  "a deferred join": (checkpointer) =>
    new StateGraph(State)
      .addNode("a", note("a"))
      .addNode("b", note("b"))
      .addNode("c", note("c"))
      .addNode("c2", note("c2"))
      .addNode("last", note("last"), { defer: true })
      .addEdge(START, "a")
      .addEdge(START, "b")
      .addEdge(START, "c")
      .addEdge("c", "c2")
      .addEdge(["a", "b"], "last")
      .addEdge("last", END)
      .compile({ checkpointer }),
  "a loop, conditional edges and sends beside an edge": (checkpointer) =>
    new StateGraph(State)
      .addNode("again", note("again"))
      .addNode("sent", note("sent"))
      .addNode("beside", note("beside"))
      .addEdge(START, "again")
      .addConditionalEdges("again", ({ log }) =>
        log.length < 4 ? [new Send("sent", {}), new Send("sent", {}), "beside"] : END,
      )
      .addEdge("beside", "again")
      .compile({ checkpointer }),
  commands: (checkpointer) =>
    new StateGraph(State)
      .addNode("a", () => new Command({ goto: ["b", "c"], update: { log: ["a"] } }), {
        ends: ["b", "c"],
      })
      .addNode("b", () => new Command({ goto: new Send("d", {}) }), { ends: ["d"] })
      .addNode("c", note("c"))
      .addNode("d", note("d"))
      .addEdge(START, "a")
      .compile({ checkpointer }),
};

type Invoke = (input: { log: string[] }, config: ReturnType<typeof onThread>) => Promise<unknown>;

describe("LangGraph's channels tell a saver alone what the graph knows", () => {
  it.each(Object.keys(graphs))("%s", async (name) => {
    const saver = new MemorySaver();
    const graph = graphs[name]?.(saver);
    if (graph === undefined) throw new Error("no graph");
    await graph.invoke({ log: ["in"] }, onThread("t"));
    await graph.invoke({ log: ["again"] }, onThread("t"));

    const overGraph = await collect(history(graph, "t"));
    const sorted = (names: string[] | undefined) => names?.toSorted();
    const overSaver = await collect(history(saver, "t"));
    expect(overSaver.map(({ next }) => sorted(next))).toEqual(
      overGraph.map(({ next }) => sorted(next)),
    );
    for (const [index, point] of overSaver.entries()) {
      const parent = overGraph[index + 1];
      const ran = point.source === "loop" ? sorted(parent?.next) : [];
      expect(sorted(point.nodes), `step ${point.step}`).toEqual(ran);
      expect(point.values).toEqual(overGraph[index]?.values);
    }
  });

  it("also where the state is one value", async () => {
    const saver = new MemorySaver();
    const graph = new MessageGraph()
      .addNode("ai", () => new AIMessage({ content: "hello", id: "2" }))
      .addEdge(START, "ai")
      .addEdge("ai", END)
      .compile({ checkpointer: saver });
    const hello = [new HumanMessage({ content: "hi", id: "1" })];
    await graph.invoke(hello as unknown as Parameters<typeof graph.invoke>[0], onThread("t"));
    const overGraph = await collect(history<unknown[]>(graph, "t", { changes: true }));
    expect(overGraph.map(({ changed }) => changed)).toEqual([
      ...[["__root__"], ["__root__"], ["__root__"]],
    ]);
    expect(overGraph[0]?.values).toHaveLength(2);
    expect(overGraph[0]?.changes).toMatchObject([{ kind: "added", path: [1] }]);
    const overSaver = await collect(history(saver, "t", { changes: true }));
    expect(overSaver.slice(0, 2)).toEqual(
      overGraph.slice(0, 2).map((point) => ({ ...point, tasks: undefined })),
    );
  });
});
