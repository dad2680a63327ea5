/** Durable tools in graphs, with LangGraph's own ToolNode. */

import { AIMessage, HumanMessage, type ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { END, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { ToolNode } from "@langchain/langgraph/prebuilt";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { durableTool } from "../../src/steps/tool.ts";
import type { ToolPolicy } from "../../src/steps/tool/policy.ts";
import { PLACES } from "../support/places.ts";
import { syncRun } from "../support/small-graphs.ts";

const down = (): Error => Object.assign(new Error("down"), { status: 503 });

describe.each(PLACES)("a durable tool, on %s", (_, newPlace) => {
  async function agent(body: (query: string) => unknown, policy: Partial<ToolPolicy>, calls = 1) {
    const search = durableTool(
      tool(({ query }) => body(query), {
        name: "search",
        description: "Searches.",
        schema: z.object({ query: z.string() }),
      }),
      {
        onUnknown: "repeat",
        retry: { initialInterval: 1 },
        breaker: false,
        ...policy,
      } as ToolPolicy,
    );
    const asked = new AIMessage({
      content: "",
      tool_calls: Array.from({ length: calls }, (_, at) => ({
        ...{
          name: "search",
          args: { query: `q${at}` },
          id: `call_${at}`,
          type: "tool_call" as const,
        },
      })),
    });
    const graph = new StateGraph(MessagesAnnotation)
      .addNode("ask", () => ({ messages: [asked] }))
      .addNode("tools", new ToolNode([search]))
      .addEdge(START, "ask")
      .addEdge("ask", "tools")
      .addEdge("tools", END)
      .compile({ checkpointer: (await newPlace()).open() });
    const { messages } = await graph.invoke({ messages: [new HumanMessage("?")] }, syncRun("t"));
    return messages.slice(2) as unknown as ToolMessage[];
  }

  test("is retried alone, and answers each of parallel calls", async () => {
    const made: string[] = [];
    const body = (query: string): string => {
      made.push(query);
      if (made.length <= 2) throw down();
      return `found ${query}`;
    };
    const said = await agent(body, {}, 2);
    expect(said.map(({ content }) => content)).toEqual(["found q0", "found q1"]);
    expect(said.map(({ tool_call_id }) => tool_call_id)).toEqual(["call_0", "call_1"]);
    expect(made).toHaveLength(4);
  });

  test("has three retries for all its calls in a run, and answers every call all the same", async () => {
    let made = 0;
    const body = (): never => {
      made += 1;
      throw down();
    };
    const said = await agent(body, {}, 4);
    expect(said).toHaveLength(4);
    for (const message of said) expect(message.status).toBe("error");
    expect(made).toBe(7);
  });

  test("answers a call whose time was up", async () => {
    const said = await agent(() => new Promise(() => undefined), { timeout: 20, retry: false });
    expect(said).toMatchObject([{ status: "error", tool_call_id: "call_0" }]);
  });
});
