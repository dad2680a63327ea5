/** A provider that limits, and one whose context overflows, met by a durable model in a graph. */

import {
  BudgetExceededError,
  classify,
  durable,
  durableModel,
  events,
  type ModelPolicy,
} from "holdfast";
import { fakeOpenAI, type ChatRequest } from "holdfast/testing";
import { Annotation, Command, END, START, StateGraph } from "@langchain/langgraph";
import { ChatOpenAI } from "@langchain/openai";
import { describe, expect, onTestFinished, test } from "vitest";
import { rejection } from "../policy/server.ts";
import { PLACES, type Place } from "../support/places.ts";
import { syncRun } from "../support/small-graphs.ts";

async function provider() {
  const api = await fakeOpenAI();
  onTestFinished(() => api.close());
  const configuration = { baseURL: api.baseURL };
  const model = new ChatOpenAI({ model: "gpt-4o", apiKey: "test", maxTokens: 50, configuration });
  /** Between one request and the next, as the server saw them. */
  const gaps = (): number[] =>
    api.requests.slice(1).map(({ at }, i) => at - (api.requests[i]?.at ?? 0));
  return { api, model, gaps };
}

const Answered = Annotation.Root({ answer: Annotation<string>() });

/** A graph whose one node asks a model, and how long that is told to wait between attempts. */
function asking(place: Place, model: ChatOpenAI, policy: ModelPolicy) {
  const waits: number[] = [];
  const stop = events.on("attempt.failed", ({ nextAttemptAt }) => {
    if (nextAttemptAt !== undefined) waits.push(nextAttemptAt - Date.now());
  });
  onTestFinished(stop);
  const used = durableModel(model, policy);
  const graph = new StateGraph(Answered)
    .addNode("ask", async () => ({ answer: (await used.invoke("Hello")).text }))
    .addEdge(START, "ask")
    .addEdge("ask", END)
    .compile({ checkpointer: place.open() });
  return { waits, run: () => graph.invoke({}, syncRun("t")) };
}

describe.each(PLACES)("429, 429, 200, in real time, on %s", (_, newPlace) => {
  // Its own curve for rate limits begins at five seconds.
  const retry = { initialInterval: 1_000 };

  test("waits about one second, then about two", async () => {
    const { api, model, gaps } = await provider();
    api.fail({ status: 429, times: 2 });
    const { run, waits } = asking(await newPlace(), model, { retry });
    expect((await run()).answer).not.toBe("");
    expect(api.requests.map(({ outcome }) => outcome)).toEqual(["failed", "failed", "answered"]);
    // No wait is longer than it was to be, and none ends early.
    const [first = 0, second = 0] = waits;
    expect(first).toBeLessThanOrEqual(1_300);
    expect(second).toBeLessThanOrEqual(2_600);
    const [firstGap = 0, secondGap = 0] = gaps();
    expect(firstGap).toBeGreaterThanOrEqual(Math.max(700, first));
    expect(secondGap).toBeGreaterThanOrEqual(Math.max(1_400, second));
    expect(firstGap + secondGap).toBeGreaterThanOrEqual(2_100);
    expect(firstGap + secondGap).toBeLessThanOrEqual(4_500);
  });

  test("stops at its budget, and says what was spent, the limit and the attempts", async () => {
    const { api, model } = await provider();
    const usage = { prompt_tokens: 100, completion_tokens: 50, total_tokens: 150 };
    const error = { code: "rate_limit_exceeded", message: "Rate limit reached.", usage };
    api.fail({ status: 429, times: 2, body: { error } });
    const { run } = asking(await newPlace(), model, { retry, budget: { usd: 0.001 } });
    const failure = await rejection(run());
    expect(failure).toBeInstanceOf(BudgetExceededError);
    // What the first attempt is said to have used, at $2.50 and $10 for a million tokens.
    expect(failure).toMatchObject({ unit: "usd", spent: 0.00075, limit: 0.001, attempts: 1 });
    expect((failure as Error).message).toMatch(/0\.00075 of 0\.001 usd spent.* after 1 attempt\./);
    expect(api.requests).toHaveLength(1);
  });

  test("waits as told", async () => {
    const { api, model, gaps } = await provider();
    api.fail({ status: 429, times: 2, headers: { "retry-after": "2" } });
    const { run } = asking(await newPlace(), model, { retry });
    expect((await run()).answer).not.toBe("");
    expect(gaps()).toHaveLength(2);
    for (const gap of gaps()) expect(gap).toBeGreaterThanOrEqual(2_000);
  });
});

describe.each(PLACES)("an overflow, on %s", (_, newPlace) => {
  test("is asked once, and routed to a summarising step, from which the run completes", async () => {
    const { api, model } = await provider();
    /** What the model takes, in characters of the prompt. */
    const context = 2_000;
    const isOver = ({ messages }: ChatRequest): boolean =>
      messages.reduce((sum, { content }) => sum + String(content).length, 0) > context;
    api.fail({
      status: 400,
      body: {
        error: {
          code: "context_length_exceeded",
          type: "invalid_request_error",
          message: "This model's maximum context length is exceeded.",
        },
      },
      times: Infinity,
      when: isOver,
    });
    const used = durableModel(model);
    const State = Annotation.Root({
      document: Annotation<string>,
      failure: Annotation<string>,
      answer: Annotation<string>,
    });
    const ask = async ({ document }: typeof State.State) => ({
      answer: (await used.invoke(`What do otters eat?\n\n${document}`)).text,
    });
    const summarise = async ({ document }: typeof State.State) => {
      const pieces = document.match(new RegExp(`.{1,${context / 2}}`, "gs")) ?? [];
      const shorter = pieces.map((piece) => used.invoke(`Shorten this.\n\n${piece}`));
      return { document: (await Promise.all(shorter)).map(({ text }) => text).join("\n") };
    };
    const graph = new StateGraph(State)
      .addNode("ask", durable(ask), {
        ends: ["summarise"],
        errorHandler: (__, { error }) =>
          new Command({
            goto: "summarise",
            update: { failure: classify(error).kind },
          }),
      })
      .addNode("summarise", durable(summarise))
      .addEdge(START, "ask")
      .addEdge("summarise", "ask")
      .compile({ checkpointer: (await newPlace()).open() });

    const document = "Otters eat urchins, and urchins eat kelp. ".repeat(100);
    const done = await graph.invoke({ document, failure: "", answer: "" }, syncRun("o"));
    expect(done.failure).toBe("context-overflow");
    expect(done.answer).toContain("urchins");
    expect(done.document.length).toBeLessThan(context);
    expect(api.requests.filter(({ body }) => isOver(body))).toHaveLength(1);
    expect(api.requests.map(({ outcome }) => outcome)).toEqual([
      "failed",
      ...Array.from({ length: Math.ceil(document.length / (context / 2)) }, () => "answered"),
      "answered",
    ]);
    expect((await graph.getState(syncRun("o"))).next).toEqual([]);
  });
});
