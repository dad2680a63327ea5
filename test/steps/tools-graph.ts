/** A graph that calls tools, without a model: built alike in tests and in their children. */

import { AIMessage } from "@langchain/core/messages";
import { tool, type StructuredToolInterface } from "@langchain/core/tools";
import { END, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { ToolNode } from "@langchain/langgraph/prebuilt";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { z } from "zod";
import { durableTool, type ToolCallConfig } from "../../src/steps/tool.ts";
import type { ToolPolicy } from "../../src/steps/tool/policy.ts";

export const forOrder = z.object({ order: z.string() });

/** One call of each tool for each order; ids are `TOOL-ORDER`. */
export function callsOf(
  tools: readonly StructuredToolInterface[],
  orders: readonly string[],
): AIMessage {
  const type = "tool_call" as const;
  const calls = tools.flatMap(({ name }) =>
    orders.map((order) => ({ name, args: { order }, id: `${name}-${order}`, type })),
  );
  return new AIMessage({ content: "", tool_calls: calls });
}

export function toolsGraph(
  saver: BaseCheckpointSaver,
  tools: readonly StructuredToolInterface[],
  orders: readonly string[],
  { handleToolErrors = true } = {},
) {
  return new StateGraph(MessagesAnnotation)
    .addNode("ask", () => ({ messages: [callsOf(tools, orders)] }))
    .addNode("tools", new ToolNode([...tools], { handleToolErrors }))
    .addEdge(START, "ask")
    .addEdge("ask", "tools")
    .addEdge("tools", END)
    .compile({ checkpointer: saver });
}

/** A tool that refunds an order in the outside world, under the key that it is given. */
export function refundTool(world: string, policy: ToolPolicy) {
  const refund = tool(
    async ({ order }, { idempotencyKey = "", signal }: ToolCallConfig) => {
      const answer = await fetch(`${world}/refund`, {
        method: "POST",
        headers: { "idempotency-key": idempotencyKey },
        body: JSON.stringify({ order }),
        ...(signal && { signal }),
      });
      if (!answer.ok) throw Object.assign(new Error("refused"), { status: answer.status });
      return ((await answer.json()) as { id: string }).id;
    },
    { name: "refund", description: "Refunds an order.", schema: forOrder },
  );
  return durableTool(refund, { ...{ retry: { initialInterval: 1 }, breaker: false }, ...policy });
}
