/** Answers that a model gave once, given again: to a process after a kill, whole and in pieces. */

import type { AIMessageChunk } from "@langchain/core/messages";
import { HumanMessage } from "@langchain/core/messages";
import { END, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { ChatOpenAI } from "@langchain/openai";
import { describe, expect, onTestFinished, test } from "vitest";
import { durableModel } from "../../src/steps/model.ts";
import { fakeOpenAI, type ChatAnswer } from "../../src/testing/index.ts";
import { startChild } from "../support/child.ts";
import { PLACES } from "../support/places.ts";
import { syncRun } from "../support/small-graphs.ts";
import { asked, factsOf, weather, type Way } from "./told.ts";

async function provider(said?: ChatAnswer) {
  const api = await fakeOpenAI({ answer: () => said });
  onTestFinished(() => api.close());
  return api;
}

const question = { messages: [new HumanMessage("What is the weather in Monterey?")] };

describe.each(PLACES)("a process killed after its model answered, on %s", (_, newPlace) => {
  test.each<Way>(["invoke", "stream"])(
    "asked by %s, is answered again for nothing",
    async (way) => {
      const api = await provider();
      const place = await newPlace();
      const args = [place.url, "t", api.baseURL, way];
      const first = startChild("model-run.ts", ...args, "hang");
      const told = await first.next("told");
      await first.kill();
      expect(await first.ended).toMatchObject({ signal: "SIGKILL" });

      const second = startChild("model-run.ts", ...args);
      expect(await second.next("told")).toEqual(told);
      expect(await second.ended).toMatchObject({ code: 0 });
      expect(told).toMatchObject({
        tool_calls: [{ name: "weather", args: { city: expect.any(String) as string } }],
        usage_metadata: { total_tokens: expect.any(Number) as number },
        response_metadata: { finish_reason: "tool_calls" },
      });
      expect(api.requests).toHaveLength(1);
      const totals = await place.open().steps.usage.totals({ by: "model", threadId: "t" });
      expect(totals).toMatchObject([{ key: "openai:gpt-4o", calls: 1 }]);
    },
  );
});

/** Two calls at once. */
const callsTools: ChatAnswer = {
  content: "Let me look.",
  toolCalls: ["Monterey", "Carmel"].map((city, at) => ({
    id: `call_${at}`,
    name: "weather",
    args: { city },
  })),
};
const ANSWERS: [name: string, said: ChatAnswer][] = [
  ["text", { content: "Otters hold hands while they sleep." }],
  ["calls of tools", callsTools],
];
const WAYS: [first: Way, again: Way][] = [
  ["invoke", "stream"],
  ["stream", "invoke"],
  ["stream", "stream"],
];

describe.each(PLACES)("a recorded answer, on %s", (_, newPlace) => {
  describe.each(ANSWERS)("of %s", (_, said) => {
    test.each(WAYS)("asked for by %s, is the same by %s", async (first, again) => {
      const api = await provider(said);
      const configuration = { baseURL: api.baseURL };
      const provided = new ChatOpenAI({ model: "gpt-4o", apiKey: "test", configuration });
      const model = durableModel(provided).bindTools([weather]);
      const answers: AIMessageChunk[] = [];
      const graph = new StateGraph(MessagesAnnotation)
        .addNode("ask", async ({ messages }) => {
          answers.push(await asked(model, messages, answers.length === 0 ? first : again));
          if (answers.length === 1) throw new Error("the process fails after its model answered");
          return { messages: answers.slice(-1) };
        })
        .addEdge(START, "ask")
        .addEdge("ask", END)
        .compile({ checkpointer: (await newPlace()).open() });
      await expect(graph.invoke(question, syncRun("t"))).rejects.toThrow("after its model");
      const { messages } = await graph.invoke(null, syncRun("t"));
      expect(api.requests).toHaveLength(1);
      const [given, recorded] = answers.map(factsOf);
      expect(given?.content).toBe(said.content);
      expect(recorded).toEqual(given);
      expect(factsOf(messages.at(-1) as AIMessageChunk)).toEqual(given);
    });
  });
});
