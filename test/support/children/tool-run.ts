/**
 * A thread whose tools node has two refunds to make. Begins it, or goes on with it. Args: place, thread,
 * the world's URL.
 */

import { HumanMessage } from "@langchain/core/messages";
import { say } from "../child-side.ts";
import { openSaver } from "../open-saver.ts";
import { syncRun } from "../small-graphs.ts";
import { refundTool, toolsGraph } from "../../steps/tools-graph.ts";

const [place = "", thread = "", world = ""] = process.argv.slice(2);

const saver = openSaver(place);
const refund = refundTool(world, { onUnknown: "repeat" });
const graph = toolsGraph(saver, [refund], ["o1", "o2"]);
const known = await saver.getTuple(syncRun(thread));
const input = { messages: [new HumanMessage("Refund them.")] };
const { messages } = await graph.invoke(known === undefined ? input : null, syncRun(thread));
say("done", {
  said: messages.slice(2).map((message) => {
    const { content, tool_call_id, status } = message as unknown as Record<string, unknown>;
    return { content, tool_call_id, status };
  }),
});
await saver.end();
process.disconnect();
