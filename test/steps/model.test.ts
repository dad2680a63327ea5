/** Durable models: LangChain's own client against a real server, alone and in graphs. */

import { Annotation, END, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { AIMessage, HumanMessage } from "@langchain/core/messages";
import { ChatOpenAI } from "@langchain/openai";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { events, type EventName, type HoldfastEvents } from "../../src/events.ts";
import { durable } from "../../src/steps/durable.ts";
import { durableModel } from "../../src/steps/model.ts";
import { fakeOpenAI, type FakeOpenAIOptions } from "../../src/testing/index.ts";
import { rejection } from "../policy/server.ts";
import { PLACES } from "../support/places.ts";
import { syncRun } from "../support/small-graphs.ts";

function heard<Name extends EventName>(name: Name): HoldfastEvents[Name][] {
  const all: HoldfastEvents[Name][] = [];
  onTestFinished(events.on(name, (data) => void all.push(data)));
  return all;
}

async function provider(options: FakeOpenAIOptions = {}) {
  const api = await fakeOpenAI(options);
  onTestFinished(() => api.close());
  // LangChain's own 6 retries, and the client's, are what must be off.
  const model = (name = "gpt-4o-mini") =>
    new ChatOpenAI({
      model: name,
      apiKey: "test",
      configuration: { baseURL: api.baseURL, maxRetries: 5 },
    });
  const keys = (): unknown[] => api.requests.map(({ headers }) => headers["idempotency-key"]);
  return { api, model, keys };
}

const soon = { retry: { initialInterval: 1 } } as const;

describe("a durable model", () => {
  test("makes four attempts in all, under one key, and marks what it gave up on", async () => {
    const { api, model, keys } = await provider();
    api.fail({ status: 503, times: Infinity });
    const used = durableModel(model(), { ...soon, breaker: false });
    await rejection(used.invoke("Hello"));
    expect(api.requests).toHaveLength(4);
    expect(new Set(keys()).size).toBe(1);
    expect(keys()[0]).toMatch(/^[0-9a-f]{32}$/);
    await rejection(used.invoke("Hello"));
    expect(new Set(keys()).size).toBe(2);
  });

  test("asks once where another attempt is no use", async () => {
    const { api, model } = await provider();
    const error = { code: "context_length_exceeded", message: "too long", type: "invalid_request" };
    api.fail({ status: 400, body: { error } });
    await rejection(durableModel(model(), soon).invoke("Hello"));
    expect(api.requests).toHaveLength(1);
  });

  test("opens its breaker, by provider and model, and goes to a fallback", async () => {
    const { api, model } = await provider();
    const opened = heard("breaker.opened");
    const used = heard("fallback.used");
    const isMini = ({ model: name }: { model: string }): boolean => name === "gpt-4.1-nano";
    api.fail({ status: 500, times: Infinity, when: isMini });
    const two = durableModel(model("gpt-4.1-nano"), {
      retry: { initialInterval: 1, maxAttempts: 6 },
      fallbacks: [model("gpt-4.1")],
    });
    for (const _ of [1, 2]) await two.invoke("Hello");
    expect(opened).toMatchObject([{ name: "openai:gpt-4.1-nano" }]);
    expect(used).toMatchObject([{ name: "openai:gpt-4.1" }, { name: "openai:gpt-4.1" }]);
    // Five that opened the breaker; then the first model is left alone.
    expect(api.requests.filter(({ body }) => isMini(body))).toHaveLength(5);
    expect(api.requests).toHaveLength(7);
  });

  test("streams piece by piece, binds tools and fills schemas as the model does", async () => {
    const { model, keys } = await provider();
    const used = durableModel(model(), soon);
    const pieces: string[] = [];
    for await (const { text } of await used.stream("What are otters?")) pieces.push(text);
    expect(pieces.length).toBeGreaterThan(3);
    expect(await used.withStructuredOutput(z.object({ color: z.string() })).invoke("Red?")).toEqual(
      { color: "Red?" },
    );
    const weather = {
      name: "weather",
      schema: z.object({ city: z.string() }),
      description: "Weather",
    };
    const said = await used.bindTools([weather]).invoke("What is the weather?");
    expect(said.tool_calls).toMatchObject([{ name: "weather" }]);
    expect(await used.batch(["a", "b"])).toHaveLength(2);
    expect(new Set(keys()).size).toBe(5);
  });

  test("what a failed attempt had streamed is no part of the answer, and is counted", async () => {
    const { api, model } = await provider({ answer: () => "one two three four five six" });
    const usage = heard("usage.recorded");
    api.fail({ cut: true });
    const used = durableModel(model(), { ...soon, stream: "whole" });
    let text = "";
    for await (const chunk of await used.stream("Count")) text += chunk.text;
    expect(text).toBe("one two three four five six");
    expect(usage).toMatchObject([{ estimated: true }, { estimated: false }]);
    expect(usage[0]?.outputTokens).toBeGreaterThan(0);
  });

  test("who stops listening stops the call, and pays for what had come", async () => {
    const { api, model } = await provider({ answer: () => "one two three four five six" });
    const usage = heard("usage.recorded");
    api.fail({ hang: "midway" });
    for await (const { text } of await durableModel(model(), soon).stream("Count")) {
      if (text.trim() !== "") break;
    }
    await expect
      .poll(() => usage)
      .toMatchObject([{ model: "openai:gpt-4o-mini", estimated: true }]);
    expect(usage[0]?.outputTokens).toBeGreaterThan(0);
    await expect.poll(() => api.requests).toMatchObject([{ outcome: "aborted" }]);
  });

  test("gives up on a provider that accepts and never answers, or falls silent", async () => {
    const { api, model } = await provider({ answer: () => "one two three four five six" });
    const failed = heard("attempt.failed");
    api.fail({ hang: true });
    const used = durableModel(model(), { ...soon, httpTimeout: 200, stream: "whole" });
    expect((await used.invoke("Count")).text).toBe("one two three four five six");
    api.fail({ hang: "midway" });
    let text = "";
    for await (const chunk of await used.stream("Count")) text += chunk.text;
    expect(text).toBe("one two three four five six");
    expect(failed).toMatchObject([{ kind: "timeout" }, { kind: "timeout" }]);
  });

  test("stops before a call that its budget does not cover", async () => {
    const { api, model } = await provider();
    const used = durableModel(model("gpt-4o"), { ...soon, budget: { usd: 0.001 } });
    expect(await rejection(used.invoke("Hello"))).toMatchObject({
      code: "BUDGET_EXCEEDED",
      limit: 0.001,
      spent: 0,
      attempts: 0,
    });
    expect(api.requests).toHaveLength(0);
  });
});

describe.each(PLACES)("a durable model in a graph, on %s", (_, newPlace) => {
  test("is asked once, however often its node runs", async () => {
    const { api, model, keys } = await provider();
    const used = durableModel(model(), soon);
    let tries = 0;
    const answers: AIMessage[] = [];
    const saver = (await newPlace()).open();
    const ask = durable(
      async ({ messages }: typeof MessagesAnnotation.State) => {
        const said = await used.invoke(messages);
        answers.push(said);
        tries += 1;
        if (tries < 3) throw Object.assign(new Error("a later tool failed"), { status: 503 });
        return { messages: [said] };
      },
      { retry: { initialInterval: 1, maxAttempts: 2 } },
    );
    const graph = new StateGraph(MessagesAnnotation)
      .addNode("ask", ask)
      .addEdge(START, "ask")
      .addEdge("ask", END)
      .compile({ checkpointer: saver });
    const input = { messages: [new HumanMessage("What are otters?")] };
    await rejection(graph.invoke(input, syncRun("m")));
    const { messages } = await graph.invoke(null, syncRun("m"));
    expect(tries).toBe(3);
    expect(api.requests).toHaveLength(1);
    expect(new Set(keys()).size).toBe(1);
    const [first, ...others] = answers;
    for (const other of [...others, messages.at(-1)]) {
      expect(other?.id).toBe(first?.id);
      expect(other).toMatchObject({
        content: first?.content,
        usage_metadata: first?.usage_metadata,
        response_metadata: first?.response_metadata,
      });
    }
    const totals = await saver.steps.usage.totals({ by: "model", threadId: "m" });
    expect(totals).toMatchObject([{ key: "openai:gpt-4o-mini", calls: 1 }]);
  });

  test("no layer multiplies another's attempts", async () => {
    const { api, model } = await provider();
    api.fail({ status: 503, times: Infinity });
    const used = durableModel(model(), { ...soon, breaker: false });
    const State = Annotation.Root({ text: Annotation<string> });
    const graph = new StateGraph(State)
      .addNode(
        "ask",
        durable(async () => ({ text: (await used.invoke("Hello")).text }), soon),
      )
      .addEdge(START, "ask")
      .addEdge("ask", END)
      .compile({ checkpointer: (await newPlace()).open() });
    await rejection(graph.invoke({ text: "" }, syncRun("n")));
    expect(api.requests).toHaveLength(4);
  });
});
