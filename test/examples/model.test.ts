/** A provider that limits, and one whose context overflows, met by a durable model. */

import { durable, durableModel } from "holdfast";
import { fakeOpenAI } from "holdfast/testing";
import { Annotation, Command, END, START, StateGraph } from "@langchain/langgraph";
import { ChatOpenAI } from "@langchain/openai";
import { describe, expect, onTestFinished, test } from "vitest";
import { PLACES } from "../support/places.ts";
import { syncRun } from "../support/small-graphs.ts";

async function provider() {
  const api = await fakeOpenAI();
  onTestFinished(() => api.close());
  const configuration = { baseURL: api.baseURL };
  const model = new ChatOpenAI({ model: "gpt-4o-mini", apiKey: "test", configuration });
  const waits = (): number[] =>
    api.requests.slice(1).map(({ at }, i) => at - (api.requests[i]?.at ?? 0));
  return { api, model, waits };
}

describe("429, 429, 200, in real time", () => {
  const retry = { byKind: { "rate-limit": { initialInterval: 1_000 } } };

  test("waits about one second, then about two", async () => {
    const { api, model, waits } = await provider();
    api.fail({ status: 429, times: 2 });
    expect((await durableModel(model, { retry }).invoke("Hello")).text).not.toBe("");
    const [first = 0, second = 0] = waits();
    expect(first).toBeGreaterThanOrEqual(700);
    expect(first).toBeLessThan(1_400);
    expect(second).toBeGreaterThanOrEqual(1_400);
    expect(second).toBeLessThan(2_700);
  });

  test("waits as told", async () => {
    const { api, model, waits } = await provider();
    api.fail({ status: 429, times: 2, headers: { "retry-after": "2" } });
    await durableModel(model, { retry }).invoke("Hello");
    expect(waits()).toHaveLength(2);
    for (const wait of waits()) expect(wait).toBeGreaterThanOrEqual(1_990);
  });
});

describe.each(PLACES)("an overflow, on %s", (_, newPlace) => {
  test("is asked once, and routed to a summarising step", async () => {
    const { api, model } = await provider();
    const error = { code: "context_length_exceeded", message: "too long", type: "invalid_request" };
    api.fail({ status: 400, body: { error } });
    const used = durableModel(model);
    const State = Annotation.Root({ text: Annotation<string>, path: Annotation<string> });
    const ask = async ({ text }: typeof State.State) => ({ path: (await used.invoke(text)).text });
    const graph = new StateGraph(State)
      .addNode("ask", durable(ask), {
        ends: ["summarise"],
        errorHandler: () => new Command({ goto: "summarise" }),
      })
      .addNode("summarise", () => ({ path: "summarised" }))
      .addEdge(START, "ask")
      .addEdge("summarise", END)
      .compile({ checkpointer: (await newPlace()).open() });
    expect(await graph.invoke({ text: "long", path: "" }, syncRun("o"))).toMatchObject({
      path: "summarised",
    });
    expect(api.requests).toHaveLength(1);
  });
});
