/** The status of a thread whose plain `invoke` has come to its end, or not. */

import {
  Annotation,
  Command,
  END,
  entrypoint,
  interrupt,
  Send,
  START,
  StateGraph,
  type BaseCheckpointSaver,
} from "@langchain/langgraph";
import { describe, expect, test } from "vitest";
import { endsRun } from "../../checkpointers/ends-run.ts";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import { durable } from "../../src/steps/durable.ts";
import { PLACES } from "../support/places.ts";
import { syncRun } from "../support/small-graphs.ts";

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (all, more) => [...all, ...more], default: () => [] }),
});

/** Called in each node, by its name. */
type Visit = (node: string) => void | Promise<void>;

function nodes(visit: Visit) {
  const named = (name: string) =>
    durable(async () => {
      await visit(name);
      return { log: [name] };
    });
  return { builder: () => new StateGraph(State), named };
}

/** One graph for each way in which LangGraph starts nodes. */
const SHAPES = {
  "a chain": (visit: Visit) => {
    const { builder, named } = nodes(visit);
    return builder()
      .addNode("a", named("a"))
      .addNode("b", named("b"))
      .addEdge(START, "a")
      .addEdge("a", "b");
  },
  "a loop": (visit: Visit) => {
    const { builder, named } = nodes(visit);
    return builder()
      .addNode("a", named("a"))
      .addEdge(START, "a")
      .addConditionalEdges("a", ({ log }) => (log.length < 3 ? "a" : END), ["a", END]);
  },
  "a join": (visit: Visit) => {
    const { builder, named } = nodes(visit);
    return builder()
      .addNode("a", named("a"))
      .addNode("x+y", named("x+y"))
      .addNode("b", named("b"))
      .addNode("c", named("c"))
      .addEdge(START, "a")
      .addEdge(START, "x+y")
      .addEdge("x+y", "b")
      .addEdge(["a", "x+y", "b"], "c");
  },
  "a join that never has all": (visit: Visit) => {
    const { builder, named } = nodes(visit);
    return builder()
      .addNode("a", named("a"))
      .addNode("b", named("b"))
      .addNode("c", named("c"))
      .addEdge(START, "a")
      .addConditionalEdges("a", () => END, ["b", END])
      .addEdge(["a", "b"], "c");
  },
  "deferred nodes": (visit: Visit) => {
    const { builder, named } = nodes(visit);
    return builder()
      .addNode("a", named("a"))
      .addNode("b", named("b"))
      .addNode("b2", named("b2"))
      .addNode("c", named("c"), { defer: true })
      .addNode("d", named("d"), { defer: true })
      .addEdge(START, "a")
      .addEdge(START, "b")
      .addEdge("b", "b2")
      .addEdge("a", "c")
      .addEdge(["a", "b2"], "d");
  },
  "sends and commands": (visit: Visit) => {
    const { builder, named } = nodes(visit);
    const go = durable(async () => {
      await visit("go");
      return new Command({ goto: [new Send("w", { log: [] }), "b"], update: { log: ["go"] } });
    });
    return builder()
      .addNode("a", named("a"))
      .addNode("w", named("w"))
      .addNode("go", go, { ends: ["w", "b"] })
      .addNode("b", named("b"))
      .addEdge(START, "a")
      .addConditionalEdges("a", () => [new Send("w", { log: [] }), new Send("go", { log: [] })], [
        ...(["w", "go"] as const),
      ]);
  },
  "a subgraph": (visit: Visit) => {
    const { builder, named } = nodes(visit);
    const inner = builder()
      .addNode("a", named("inner a"))
      .addNode("b", named("inner b"))
      .addEdge(START, "a")
      .addEdge("a", "b")
      .compile();
    return builder()
      .addNode("a", inner)
      .addNode("b", named("b"))
      .addEdge(START, "a")
      .addEdge("a", "b");
  },
};

describe.each(PLACES)("the status after a plain invoke, on %s", (_, newPlace) => {
  async function open() {
    const saver = (await newPlace()).open();
    return { saver, status: () => saver.steps.status.read("t") };
  }

  describe.each(Object.entries(SHAPES))("of %s", (__, shape) => {
    async function running(durability: "sync" | "async" | "exit") {
      const { saver, status } = await open();
      const seen: string[] = [];
      const visit = async (node: string) => {
        const found = await status();
        seen.push(`${node}: ${found?.status}`);
      };
      const graph = shape(visit).compile({ checkpointer: saver as BaseCheckpointSaver });
      await graph.invoke({ log: [] }, { ...syncRun("t"), durability });
      return { saver, graph, status, seen };
    }

    test.each(["sync", "async", "exit"] as const)("is completed, not earlier: %s", async (how) => {
      const { status, seen } = await running(how);
      expect(seen.length).toBeGreaterThan(0);
      for (const one of seen) expect(one).toMatch(/: running$/);
      expect(await status()).toMatchObject({ status: "completed", progressPercent: 100 });
    });

    test("is told by the checkpoint after which nothing is due", async () => {
      const { graph, saver } = await running("sync");
      let ends = 0;
      for await (const tuple of saver.list({
        configurable: { thread_id: "t", checkpoint_ns: "" },
      })) {
        const { next } = await graph.getState(tuple.config);
        expect(endsRun(tuple.checkpoint, tuple.metadata)).toBe(next.length === 0);
        if (next.length === 0) ends += 1;
      }
      expect(ends).toBe(1);
    });
  });

  const twoNodes = (
    { saver }: { saver: HoldfastSaver },
    first: () => object | Promise<object>,
    second: () => object | Promise<object> = () => ({ log: ["b"] }),
    options: { interruptBefore?: "b"[] } = {},
  ) =>
    new StateGraph(State)
      .addNode("a", durable(first, { retry: false }))
      .addNode("b", second)
      .addEdge(START, "a")
      .addEdge("a", "b")
      .compile({ checkpointer: saver as BaseCheckpointSaver, ...options });

  const input = { log: [] };

  test("stays what it is at a gate, until that is passed", async () => {
    const opened = await open();
    const graph = twoNodes(opened, () => ({ log: ["a"] }), undefined, { interruptBefore: ["b"] });
    await graph.invoke(input, syncRun("t"));
    expect(await opened.status()).toMatchObject({ status: "running", currentStep: "a" });
    await graph.updateState(syncRun("t"), { log: ["edited"] });
    expect(await opened.status()).toMatchObject({ status: "running" });
    await graph.invoke(null, syncRun("t"));
    expect(await opened.status()).toMatchObject({ status: "completed" });
  });

  test("stays interrupted at a question, until that is answered", async () => {
    const opened = await open();
    const graph = twoNodes(opened, () => ({ log: [interrupt("Well?")] }));
    await graph.invoke(input, syncRun("t"));
    expect(await opened.status()).toMatchObject({ status: "interrupted", currentStep: "a" });
    await graph.invoke(new Command({ resume: "yes" }), syncRun("t"));
    expect(await opened.status()).toMatchObject({ status: "completed" });
  });

  test("stays failed, until the run is taken to its end", async () => {
    const opened = await open();
    let fails = true;
    const graph = twoNodes(opened, () => {
      if (fails) throw new TypeError("no such thing");
      return { log: ["a"] };
    });
    await expect(graph.invoke(input, syncRun("t"))).rejects.toThrow("no such thing");
    const failed = { status: "failed", errorMessage: "TypeError: no such thing" };
    expect(await opened.status()).toMatchObject(failed);
    fails = false;
    await graph.invoke(null, syncRun("t"));
    const completed = await opened.status();
    expect(completed).toMatchObject({ status: "completed", errorMessage: undefined });
  });

  test("stays failed where a person ends the run by hand", async () => {
    const opened = await open();
    const graph = twoNodes(opened, () => {
      throw new TypeError("no such thing");
    });
    await expect(graph.invoke(input, syncRun("t"))).rejects.toThrow("no such thing");
    await graph.updateState(syncRun("t"), { log: ["by hand"] }, "b");
    expect((await graph.getState(syncRun("t"))).next).toEqual([]);
    expect(await opened.status()).toMatchObject({ status: "failed" });
  });

  test("is completed where a handler took care of the failure", async () => {
    const opened = await open();
    const graph = new StateGraph(State)
      .addNode(
        "a",
        durable(() => {
          throw new TypeError("no such thing");
        }),
        { errorHandler: () => ({ log: ["handled"] }) },
      )
      .addEdge(START, "a")
      .compile({ checkpointer: opened.saver as BaseCheckpointSaver });
    expect((await graph.invoke(input, syncRun("t"))).log).toEqual(["handled"]);
    const completed = await opened.status();
    expect(completed).toMatchObject({ status: "completed", errorMessage: undefined });
  });

  test("is running again with the next input", async () => {
    const opened = await open();
    const graph = twoNodes(opened, async () => ({
      log: [String((await opened.status())?.status)],
    }));
    await graph.invoke(input, syncRun("t"));
    const { log } = await graph.invoke(input, syncRun("t"));
    expect(log).toEqual(["running", "b", "running", "b"]);
    expect(await opened.status()).toMatchObject({ status: "completed" });
  });

  test("is nothing where no durable node ran", async () => {
    const opened = await open();
    await new StateGraph(State)
      .addNode("a", () => ({ log: ["a"] }))
      .addEdge(START, "a")
      .compile({ checkpointer: opened.saver as BaseCheckpointSaver })
      .invoke(input, syncRun("t"));
    expect(await opened.status()).toBeUndefined();
  });

  test("is not guessed of what is no StateGraph", async () => {
    const opened = await open();
    const flow = entrypoint({ name: "flow", checkpointer: opened.saver }, async (text: string) => {
      opened.saver.steps.status.note("t", { status: "running" });
      return text;
    });
    expect(await flow.invoke("well", syncRun("t"))).toBe("well");
    expect(await opened.status()).toMatchObject({ status: "running" });
  });
});
