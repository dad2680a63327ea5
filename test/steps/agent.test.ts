/** A durable model with durable tools in LangGraph's own agent, and in LangChain's. */

import { HumanMessage } from "@langchain/core/messages";
import { tool, type StructuredTool } from "@langchain/core/tools";
import { createReactAgent } from "@langchain/langgraph/prebuilt";
import { ChatOpenAI } from "@langchain/openai";
import { createAgent } from "langchain";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import { events } from "../../src/events.ts";
import { durableModel } from "../../src/steps/model.ts";
import { durableTool } from "../../src/steps/tool.ts";
import { fakeOpenAI } from "../../src/testing/index.ts";
import { PLACES } from "../support/places.ts";
import { syncRun } from "../support/small-graphs.ts";

type Parts = Pick<Parameters<typeof createReactAgent>[0], "tools"> & {
  model: ReturnType<typeof durableModel>;
  checkpointer: HoldfastSaver;
};

const MAKERS = {
  createReactAgent: ({ model, ...rest }: Parts) => createReactAgent({ llm: model, ...rest }),
  createAgent: ({ model, tools, checkpointer }: Parts) =>
    createAgent({ model, tools: tools as StructuredTool[], checkpointer }),
};

describe.each(PLACES)("an agent, on %s", (_, newPlace) => {
  test.each(["createReactAgent", "createAgent"] as const)(
    "of %s asks its model twice, though the tool between fails twice",
    async (maker) => {
      const api = await fakeOpenAI();
      onTestFinished(() => api.close());
      let made = 0;
      const recorded: string[] = [];
      onTestFinished(events.on("effect.recorded", ({ effect }) => void recorded.push(effect)));
      const weather = tool(
        ({ city }) => {
          made += 1;
          if (made < 3) throw Object.assign(new Error("down"), { status: 503 });
          return `Sunny in ${city}`;
        },
        { name: "weather", description: "The weather.", schema: z.object({ city: z.string() }) },
      );
      const configuration = { baseURL: api.baseURL };
      const agent = MAKERS[maker]({
        model: durableModel(new ChatOpenAI({ model: "gpt-4o", apiKey: "test", configuration })),
        tools: [durableTool(weather, { onUnknown: "repeat", retry: { initialInterval: 1 } })],
        checkpointer: (await newPlace()).open(),
      });
      const input = { messages: [new HumanMessage("What is the weather in Monterey?")] };
      const pieces: unknown[] = [];
      const run = { ...syncRun("a"), streamMode: "messages" as const };
      for await (const piece of await agent.stream(input, run)) pieces.push(piece);
      expect(made).toBe(3);
      expect(recorded).toEqual(["model openai:gpt-4o", "weather", "model openai:gpt-4o"]);
      expect(api.requests).toHaveLength(2);
      expect(pieces.length).toBeGreaterThan(5);
      const { values } = await agent.getState(syncRun("a"));
      expect((values as { messages: unknown[] }).messages).toHaveLength(4);
    },
  );
});
