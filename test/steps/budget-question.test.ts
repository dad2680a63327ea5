/** Budgets that ask a person before they fail: in nodes, models and tools. */

import { AIMessage, HumanMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { ChatOpenAI } from "@langchain/openai";
import { describe, expect, onTestFinished, test } from "vitest";
import { BudgetExceededError, RejectedError } from "../../src/errors.ts";
import type { BudgetPolicy } from "../../src/policy/budget.ts";
import { runToEnd } from "../../src/run/run-to-end.ts";
import { approvals } from "../../src/steps/inbox.ts";
import { listBudgets } from "../../src/steps/budgets.ts";
import { durable } from "../../src/steps/durable.ts";
import { durableModel } from "../../src/steps/model.ts";
import { durableTool } from "../../src/steps/tool.ts";
import { failTimes, fakeOpenAI } from "../../src/testing/index.ts";
import { rejection } from "../policy/server.ts";
import { PLACES, type Place } from "../support/places.ts";
import { onThread, syncRun } from "../support/small-graphs.ts";
import { forOrder, toolsGraph } from "./tools-graph.ts";

const State = Annotation.Root({
  said: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});

async function provider() {
  const api = await fakeOpenAI({ answer: () => "Otters." });
  onTestFinished(() => api.close());
  const configuration = { baseURL: api.baseURL };
  const model = (budget: BudgetPolicy, fallback?: string) => {
    const named = (name: string) =>
      new ChatOpenAI({ model: name, apiKey: "test", maxTokens: 10, configuration });
    return durableModel(named("gpt-4o"), {
      budget,
      ...(fallback !== undefined && { fallbacks: [named(fallback)] }),
    });
  };
  return { api, model };
}

type Model = Awaited<ReturnType<typeof provider>>["model"] extends (...a: never) => infer M
  ? M
  : never;

/** A node that asks a model so often, one question after the other. */
function asking(place: Place, model: Model, times: number, wrap = (node: Node): Node => node) {
  const node: Node = async () => {
    const said: string[] = [];
    for (let at = 1; at <= times; at += 1) said.push((await model.invoke(`Question ${at}`)).text);
    return { said };
  };
  return new StateGraph(State)
    .addNode("ask", wrap(node))
    .addEdge(START, "ask")
    .addEdge("ask", END)
    .compile({ checkpointer: place.open() });
}
type Node = () => Promise<{ said: string[] }>;

const open = (place: Place) => approvals(place.open()).list();

describe.each(PLACES)("a spent budget, on %s", (_, newPlace) => {
  const policy = { calls: 2, onExhausted: "ask" } as const;
  test.each<[string, BudgetPolicy, (node: Node) => Node]>([
    ["a model's, in a plain node", policy, (node) => node],
    ["a model's, in a durable node", policy, (node) => durable(node) as Node],
    // Of one account the stricter limit counts.
    ["its node's", { calls: 100 }, (node) => durable(node, { budget: policy }) as Node],
  ])("asks a person, and goes on with more (%s)", async (_of, budget, wrap) => {
    const place = await newPlace();
    const { api, model } = await provider();
    const graph = asking(place, model(budget), 5, wrap);
    expect((await runToEnd(graph, {}, onThread("t"))).status).toBe("interrupted");
    const [first, ...others] = await open(place);
    expect(others).toEqual([]);
    expect(first).toMatchObject({
      title: 'Raise the budget "budget of the run"?',
      payload: {
        ...{ budget: "budget of the run", unit: "calls", limit: 2, spent: 2, needed: 1 },
        ...{ what: "openai:gpt-4o", raiseTo: 4 },
      },
    });
    // Nobody has answered: the same question, and nothing is asked of the model.
    await runToEnd(graph, null, onThread("t"));
    expect(await open(place)).toHaveLength(1);
    expect(api.requests).toHaveLength(2);

    await approvals(place.open()).approve(first?.id ?? "", { by: "ada" });
    expect((await runToEnd(graph, null, onThread("t"))).status).toBe("interrupted");
    const [second] = await open(place);
    expect(second?.payload).toMatchObject({ limit: 4, spent: 4, raiseTo: 6 });
    await approvals(place.open()).edit(second?.id ?? "", { raiseTo: 5 });
    const done = await runToEnd(graph, null, onThread("t"));
    expect(done).toMatchObject({ status: "completed", values: { said: Array(5).fill("Otters.") } });
    expect(api.requests).toHaveLength(5);
    expect(await listBudgets(place.open().steps)).toMatchObject([
      { per: "run", spent: { calls: 5 }, raisedTo: { calls: 5 } },
    ]);

    // The next run has its own, as the policy says.
    expect((await runToEnd(graph, {}, onThread("t"))).status).toBe("interrupted");
    expect(api.requests).toHaveLength(7);
  });

  test("fails where the answer is no, and asks no more in that run", async () => {
    const place = await newPlace();
    const { api, model } = await provider();
    const graph = asking(place, model({ usd: 0.0002, onExhausted: "ask" }), 3);
    await graph.invoke({}, syncRun("t"));
    const [question] = await open(place);
    await approvals(place.open()).reject(question?.id ?? "", { by: "ada", reason: "too dear" });
    const asked = api.requests.length;
    for (const _again of [1, 2]) {
      const error = await rejection(graph.invoke(null, syncRun("t")));
      expect(error).toBeInstanceOf(BudgetExceededError);
      expect(error).toMatchObject({ unit: "usd", limit: 0.0002, attempts: 0 });
      const { cause } = error as { cause?: unknown };
      expect(cause).toBeInstanceOf(RejectedError);
      expect(cause).toMatchObject({ by: "ada", reason: "too dear" });
    }
    expect(await open(place)).toEqual([]);
    expect(api.requests).toHaveLength(asked);
  });

  test("a fallback takes over where the answer is no", async () => {
    const place = await newPlace();
    const { api, model } = await provider();
    const used = model({ usd: 0.0001, onExhausted: "ask" }, "gpt-4.1-nano");
    const graph = asking(place, used, 1);
    await graph.invoke({}, syncRun("t"));
    const [question] = await open(place);
    expect(question?.payload).toMatchObject({ what: "openai:gpt-4o", spent: 0 });
    await approvals(place.open()).reject(question?.id ?? "");
    expect(await graph.invoke(null, syncRun("t"))).toEqual({ said: ["Otters."] });
    expect(api.requests).toMatchObject([{ body: { model: "gpt-4.1-nano" } }]);
  });

  test("an answer that is no amount is asked about again", async () => {
    const place = await newPlace();
    const { model } = await provider();
    const graph = asking(place, model({ calls: 1, onExhausted: "ask" }), 2);
    await graph.invoke({}, syncRun("t"));
    for (const [answer, problem] of [
      [{ raiseTo: "lots" }, /raise it to lots; it takes a number of more than 1/],
      [1, /raise it to 1;/],
    ] as const) {
      const [question] = await open(place);
      await approvals(place.open()).edit(question?.id ?? "", answer);
      await graph.invoke(null, syncRun("t"));
      const [again] = await open(place);
      expect(again?.payload).toMatchObject({ problem: expect.stringMatching(problem) as string });
    }
    const [question] = await open(place);
    await approvals(place.open()).edit(question?.id ?? "", 2);
    expect((await graph.invoke(null, syncRun("t"))).said).toHaveLength(2);
  });

  test("calls made at once ask one question, and what was under way is paid for once", async () => {
    const place = await newPlace();
    const { api, model } = await provider();
    const used = model({ calls: 2, onExhausted: "ask" });
    const graph = new StateGraph(State)
      .addNode("ask", async () => {
        const all = ["a", "b", "c", "d"].map((question) => used.invoke(question));
        return { said: (await Promise.all(all)).map(({ text }) => text) };
      })
      .addEdge(START, "ask")
      .addEdge("ask", END)
      .compile({ checkpointer: place.open() });
    await graph.invoke({}, syncRun("t"));
    expect(api.requests).toHaveLength(2);
    const [question, ...others] = await open(place);
    expect(others).toEqual([]);
    await approvals(place.open()).edit(question?.id ?? "", 4);
    expect((await graph.invoke(null, syncRun("t"))).said).toHaveLength(4);
    expect(api.requests).toHaveLength(4);
  });

  test("asks for tools, and for another attempt at a node", async () => {
    const place = await newPlace();
    const made: string[] = [];
    const ship = durableTool(
      tool(
        ({ order }) => {
          made.push(order);
          return `shipped ${order}`;
        },
        { name: "ship", description: "Ships.", schema: forOrder },
      ),
      { onUnknown: "repeat", budget: { calls: 1, onExhausted: "ask" } },
    );
    const tools = toolsGraph(place.open(), [ship], ["o1", "o2"]);
    const input = { messages: [new HumanMessage("Ship them.")] };
    await tools.invoke(input, syncRun("tools"));
    const [forTool] = await open(place);
    expect(forTool?.payload).toMatchObject({ budget: "ship of the run", what: "tool ship" });
    expect(made).toHaveLength(1);
    await approvals(place.open()).approve(forTool?.id ?? "");
    const { messages } = await tools.invoke(null, syncRun("tools"));
    expect(messages.filter((one) => !(one instanceof AIMessage)).slice(1)).toMatchObject([
      { tool_call_id: "ship-o1", content: "shipped o1" },
      { tool_call_id: "ship-o2", content: "shipped o2" },
    ]);
    expect(made.toSorted()).toEqual(["o1", "o2"]);

    const down = (): Error => Object.assign(new Error("down"), { status: 503 });
    const flaky = failTimes(1, () => ({ said: ["done"] }), down);
    const retried = new StateGraph(State)
      .addNode(
        "work",
        durable(() => flaky(), {
          retry: { initialInterval: 1, byKind: { server: { initialInterval: 1 } } },
          budget: { retries: 0, onExhausted: "ask" },
        }),
      )
      .addEdge(START, "work")
      .addEdge("work", END)
      .compile({ checkpointer: place.open() });
    await retried.invoke({}, syncRun("node"));
    const [forNode] = await open(place);
    expect(forNode?.payload).toMatchObject({ unit: "retries", what: "node work", raiseTo: 1 });
    await approvals(place.open()).approve(forNode?.id ?? "");
    expect(await retried.invoke(null, syncRun("node"))).toEqual({ said: ["done"] });
  });

  test("raised for a key, it is raised for all threads", async () => {
    const place = await newPlace();
    const { model } = await provider();
    const policy = { per: { key: "acme" }, calls: 1, onExhausted: "ask" } as const;
    const graph = asking(place, model(policy), 2);
    await graph.invoke({}, syncRun("a"));
    const [question] = await open(place);
    await approvals(place.open()).edit(question?.id ?? "", 4);
    expect((await graph.invoke(null, syncRun("a"))).said).toHaveLength(2);
    expect((await graph.invoke({}, syncRun("b"))).said).toHaveLength(2);
    expect(await open(place)).toEqual([]);
  });
});

test("outside of graphs there is nobody to ask, and it fails", async () => {
  const { api, model } = await provider();
  const used = model({ calls: 1, onExhausted: "ask" });
  await used.invoke("Hello");
  expect(await rejection(used.invoke("Hello"))).toMatchObject({ code: "BUDGET_EXCEEDED" });
  expect(api.requests).toHaveLength(1);
});
