/** Durable tools under limits and budgets, and outside of graphs. */

import {
  AIMessage,
  HumanMessage,
  type BaseMessage,
  type ToolMessage,
} from "@langchain/core/messages";
import { RunnableLambda } from "@langchain/core/runnables";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { Annotation, END, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { ToolNode } from "@langchain/langgraph/prebuilt";
import { describe, expect, onTestFinished, test } from "vitest";
import { durableModel } from "../../src/steps/model.ts";
import { durableTool, type ToolCallConfig } from "../../src/steps/tool.ts";
import { fakeOpenAI, failTimes } from "../../src/testing/index.ts";
import { rejection } from "../policy/server.ts";
import { PLACES } from "../support/places.ts";
import { syncRun } from "../support/small-graphs.ts";
import { forOrder, toolsGraph } from "./tools-graph.ts";

const named = (name: string) => ({ name, description: name, schema: forOrder });
const reads = { onUnknown: "repeat", retry: { initialInterval: 1 }, breaker: false } as const;
const down = (): Error => Object.assign(new Error("down"), { status: 503 });
const input = { messages: [new HumanMessage("Ship them.")] };
const orders = ["o1", "o2", "o3"];
const statuses = (messages: readonly BaseMessage[]) =>
  (messages.slice(2) as ToolMessage[]).map(({ status }) => status);

describe.each(PLACES)("a durable tool, on %s", (_, newPlace) => {
  test("keeps its limit among calls made at once", async () => {
    const running: (() => void)[] = [];
    let most = 0;
    let ended = 0;
    const ship = tool(async () => {
      most = Math.max(most, running.length + 1);
      await new Promise<void>((resolve) => running.push(resolve));
      ended += 1;
      return "shipped";
    }, named("ship"));
    const limited = durableTool(ship, { ...reads, limit: { concurrency: 2 } });
    const graph = toolsGraph((await newPlace()).open(), [limited], [...orders, "o4", "o5"]);
    const done = graph.invoke(input, syncRun("t"));
    for (const at of [1, 2, 3, 4, 5]) {
      const together = Math.min(2, 6 - at);
      await expect.poll(() => running.length, { timeout: 10_000 }).toBe(together);
      running.shift()?.();
      await expect.poll(() => ended).toBe(at);
    }
    expect(statuses((await done).messages)).toEqual(Array(5).fill("success"));
    expect(most).toBe(2);
  });

  test("is called by a provider that gives no ids", async () => {
    const ship = durableTool(
      tool(({ order }) => `shipped ${order}`, named("ship")),
      { ...reads, limit: { concurrency: 1 } },
    );
    const calls = orders.map((order) => ({ name: "ship", args: { order }, id: "" }));
    const graph = new StateGraph(MessagesAnnotation)
      .addNode("ask", () => ({ messages: [new AIMessage({ content: "", tool_calls: calls })] }))
      .addNode("tools", new ToolNode([ship]))
      .addEdge(START, "ask")
      .addEdge("ask", "tools")
      .addEdge("tools", END)
      .compile({ checkpointer: (await newPlace()).open() });
    const { messages } = await graph.invoke(input, syncRun("t"));
    expect(messages.slice(2).map(({ content }) => content)).toEqual(
      orders.map((order) => `shipped ${order}`),
    );
  });

  test("has a budget of its own in each run", async () => {
    const made: string[] = [];
    const [ship, sign] = ["ship", "sign"].map((name) =>
      durableTool(
        tool(() => {
          made.push(name);
          return "done";
        }, named(name)),
        { ...reads, budget: { calls: name === "ship" ? 2 : 3 } },
      ),
    ) as [ReturnType<typeof durableTool>, ReturnType<typeof durableTool>];
    const graph = toolsGraph((await newPlace()).open(), [ship, sign], orders);
    const { messages } = await graph.invoke(input, syncRun("t"));
    expect(statuses(messages).toSorted()).toEqual(["error", ...Array<string>(5).fill("success")]);
    const refused = (messages as ToolMessage[]).find(({ status }) => status === "error");
    expect(refused).toMatchObject({
      name: "ship",
      content: 'Error: The budget "ship of the run" is spent: 2 of 2 calls, after 0 attempts.',
    });
    expect(made.toSorted()).toEqual([...Array(2).fill("ship"), ...Array(3).fill("sign")]);
  });

  test("counts attempts after the first, and what the models that it asks cost", async () => {
    const api = await fakeOpenAI();
    onTestFinished(() => api.close());
    const configuration = { baseURL: api.baseURL };
    const model = durableModel(
      new ChatOpenAI({ model: "gpt-4o", apiKey: "test", maxTokens: 10, configuration }),
    );
    const write = tool(
      async ({ order }) => (await model.invoke(`Write about ${order}`)).text,
      named("write"),
    );
    const once = durableTool(write, { ...reads, budget: { calls: 1, tokens: 1_000 } });
    const place = await newPlace();
    const { messages: asked } = await toolsGraph(place.open(), [once], ["o1", "o2"]).invoke(
      ...[input, syncRun("t0")],
    );
    expect(statuses(asked).toSorted()).toEqual(["error", "success"]);
    const before = api.requests.length;
    expect(before).toBe(1);

    const flaky = failTimes(1, () => "sent", down);
    const send = tool(() => flaky(), named("send"));
    const saver = place.open();
    const tools = [
      durableTool(write, { ...reads, budget: { tokens: 40, calls: 3 } }),
      durableTool(send, { ...reads, budget: { retries: 0 } }),
    ];
    const graph = toolsGraph(saver, tools, ["o1"]);
    for (const turn of [1, 2]) {
      const { messages } = await graph.invoke(input, syncRun(`t${turn}`));
      expect(statuses(messages)).toEqual(["success", turn === 1 ? "error" : "success"]);
    }
    const { messages } = await toolsGraph(saver, tools, orders).invoke(input, syncRun("t3"));
    const told = (messages.slice(2) as ToolMessage[]).filter(({ name }) => name === "write");
    const refused = told.filter(({ status }) => status === "error");
    expect(refused.length).toBeGreaterThan(0);
    for (const { content } of refused) expect(content).toContain('"write of the run"');
    expect(api.requests).toHaveLength(before + 2 + told.length - refused.length);
  });

  test("knows its node where LangChain's streams lose it", async () => {
    const ship = durableTool(
      tool(() => "shipped", named("ship")),
      reads,
    );
    const State = Annotation.Root({ said: Annotation<unknown> });
    const saver = (await newPlace()).open();
    const graph = new StateGraph(State)
      .addNode("ship", async () => {
        const chain = RunnableLambda.from((order: string) => ({ order })).pipe(ship);
        return { said: await Array.fromAsync(await chain.stream("o1")) };
      })
      .addEdge(START, "ship")
      .addEdge("ship", END)
      .compile({ checkpointer: saver });
    expect(await graph.invoke({ said: "" }, syncRun("t"))).toEqual({ said: ["shipped"] });
    expect(await saver.steps.effects?.list({ threadId: "t" })).toMatchObject([{ name: "ship" }]);
  });
});

describe("a durable tool outside of graphs", () => {
  test("is tried again under one key, and throws or answers what failed for good", async () => {
    const keys: unknown[] = [];
    const flaky = failTimes(2, () => "shipped", down);
    const ship = tool((_, { idempotencyKey }: ToolCallConfig) => {
      keys.push(idempotencyKey);
      return flaky();
    }, named("ship"));
    expect(await durableTool(ship, reads).invoke({ order: "o1" })).toBe("shipped");
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);

    const broken = durableTool(
      tool(() => Promise.reject(down()), named("broken")),
      reads,
    );
    expect(await rejection(broken.invoke({ order: "o1" }))).toMatchObject({ status: 503 });
    const call = { name: "broken", args: { order: "o1" }, id: "c1", type: "tool_call" } as const;
    expect(await broken.invoke(call)).toMatchObject({ status: "error", tool_call_id: "c1" });
  });

  test("does not do again what it may have done", async () => {
    let made = 0;
    const ship = tool(() => {
      made += 1;
      throw down();
    }, named("ship"));
    const asking = durableTool(ship, { ...reads, onUnknown: "ask" });
    expect(await rejection(asking.invoke({ order: "o1" }))).toMatchObject({
      code: "EFFECT_UNKNOWN",
      effect: "ship",
    });
    expect(made).toBe(1);

    const looked: string[] = [];
    const looking = durableTool(ship, {
      ...{ retry: reads.retry, breaker: false },
      reconcile: (_, { effectKey }) => {
        looked.push(effectKey);
        return looked.length === 1 ? { done: false } : { done: true, result: "shipped" };
      },
    });
    expect(await looking.invoke({ order: "o1" })).toBe("shipped");
    expect(made).toBe(3);
    expect(new Set(looked).size).toBe(1);
  });
});
