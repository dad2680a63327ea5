/**
 * Ten sub-agents at work at the same time, each with the one tool that always fails: it is left alone
 * after a few requests, and the model is asked no more often than if the tool worked.
 */

import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { HumanMessage, type BaseMessage, type ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { Annotation, END, MessagesAnnotation, Send, START, StateGraph } from "@langchain/langgraph";
import { ToolNode } from "@langchain/langgraph/prebuilt";
import { ChatOpenAI } from "@langchain/openai";
import { durableModel, durableTool, events, type ToolPolicy } from "holdfast";
import { fakeOpenAI, ManualClock } from "holdfast/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { PLACES } from "../support/places.ts";
import { syncRun } from "../support/small-graphs.ts";

const AGENTS = 10;
const MINUTE = 60_000;

/** A search engine that is out of order, and takes a moment to say so. */
async function brokenSearch(clock: ManualClock) {
  const requests: { at: number; query: string; underWay: number }[] = [];
  let underWay = 0;
  const answer = async (response: ServerResponse): Promise<void> => {
    await clock.sleep(300);
    underWay -= 1;
    response.writeHead(503).end("out of order");
  };
  const server = createServer((request, response) => {
    underWay += 1;
    const query = decodeURIComponent(request.url?.split("?q=")[1] ?? "");
    requests.push({ at: clock.now(), query, underWay });
    void answer(response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/search`, requests };
}

/** What is told of breakers while the test runs: when one opened, and how often one closed. */
function breakers(clock: ManualClock) {
  const told = { opened: [] as number[], closed: 0 };
  const stops = [
    events.on("breaker.opened", () => void told.opened.push(clock.now())),
    events.on("breaker.closed", () => void (told.closed += 1)),
  ];
  onTestFinished(() => stops.forEach((stop) => stop()));
  return told;
}

const Report = Annotation.Root({
  topics: Annotation<string[]>,
  found: Annotation<string[]>({ reducer: (all, more) => [...all, ...more], default: () => [] }),
});

describe.each(PLACES)("a storm of retries, on %s", (_, newPlace) => {
  async function storm(policy: Partial<ToolPolicy> = {}) {
    const clock = new ManualClock();
    const search = await brokenSearch(clock);
    const provider = await fakeOpenAI({
      answer: ({ messages }) => ({
        toolCalls: [{ name: "search", args: { query: messages.at(-1)?.content } }],
      }),
    });
    onTestFinished(() => provider.close());

    const searching = durableTool(
      tool(
        async ({ query }, { signal }) => {
          const response = await fetch(`${search.url}?q=${encodeURIComponent(query)}`, {
            ...(signal && { signal }),
          });
          if (!response.ok) throw new SearchError(response.status);
          return response.text();
        },
        {
          name: "search",
          description: "Searches the web.",
          schema: z.object({ query: z.string() }),
        },
      ),
      {
        onUnknown: "repeat",
        limit: { perSecond: 10, concurrency: 5 },
        ...policy,
      } as ToolPolicy,
    );
    const model = durableModel(
      new ChatOpenAI({
        model: "gpt-4o-mini",
        apiKey: "none",
        configuration: { baseURL: provider.baseURL },
      }),
      // By the test's clock, which must not overtake the answers.
      { httpTimeout: 24 * 60 * MINUTE },
    ).bindTools([searching]);

    const agent = new StateGraph(MessagesAnnotation)
      .addNode("think", async ({ messages }) => ({ messages: [await model.invoke(messages)] }))
      .addNode("tools", new ToolNode([searching]))
      .addEdge(START, "think")
      .addEdge("think", "tools")
      .addEdge("tools", END)
      .compile();
    const graph = new StateGraph(Report)
      .addNode("agent", async ({ topic }: { topic: string }) => {
        const { messages } = await agent.invoke({ messages: [new HumanMessage(topic)] });
        return { found: [lastOf(messages)] };
      })
      .addNode("write", () => ({}))
      .addConditionalEdges(
        START,
        ({ topics }) => topics.map((topic) => new Send("agent", { topic })),
        ["agent"],
      )
      .addEdge("agent", "write")
      .addEdge("write", END)
      .compile({ checkpointer: (await newPlace()).open({ clock }) });

    const told = breakers(clock);
    const topics = Array.from({ length: AGENTS }, (__, at) => `topic ${at}`);
    const { found } = await clock.runUntil(graph.invoke({ topics }, syncRun("storm")));
    return { found, told, requests: search.requests, asked: provider.requests };
  }
  type Storm = Awaited<ReturnType<typeof storm>>;

  function isCalm({ found, told, requests, asked }: Storm): void {
    expect(found).toHaveLength(AGENTS);
    for (const said of found) expect(said).toMatch(/^Error: /);
    // The reasoning is never paid for again because a tool fails.
    expect(asked).toHaveLength(AGENTS);

    expect(told).toMatchObject({ opened: [expect.any(Number)], closed: 0 });
    const [opened = 0] = told.opened;
    const before = requests.filter(({ at }) => at < opened + MINUTE);
    expect(before.length).toBeGreaterThanOrEqual(5);
    expect(before.length).toBeLessThan(10);
    let last = opened;
    for (const { at } of requests.slice(before.length)) {
      expect(at - last).toBeGreaterThanOrEqual(MINUTE);
      last = at;
    }

    for (const { underWay } of requests) expect(underWay).toBeLessThanOrEqual(5);
    // Nobody is passed over.
    expect(new Set(requests.map(({ query }) => query)).size).toBe(AGENTS);
  }

  test("dies down where the tool has its three retries for the whole run", async () => {
    const seen = await storm();
    isCalm(seen);
    // Each call's first attempt, and three more.
    expect(seen.requests).toHaveLength(AGENTS + 3);
  });

  test("dies down where each call has retries of its own", async () => {
    const seen = await storm({ retriesPerRun: AGENTS, retry: { maxAttempts: 2 } });
    isCalm(seen);
    expect(seen.requests).toHaveLength(2 * AGENTS);
  });
});

class SearchError extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`The search was answered with ${status}.`);
    this.status = status;
  }
}

function lastOf(messages: readonly BaseMessage[]): string {
  return (messages.at(-1) as ToolMessage).text;
}
