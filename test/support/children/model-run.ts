/**
 * A thread whose node asks a model, and says what it was told. Begins it, or goes on with it. Args:
 * place, thread, the provider's URL, how it asks (`invoke` or `stream`), and `hang` to go no further.
 */

import { END, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { HumanMessage } from "@langchain/core/messages";
import { ChatOpenAI } from "@langchain/openai";
import { durableModel } from "../../../src/steps/model.ts";
import { asked, factsOf, weather, type Way } from "../../steps/told.ts";
import { say } from "../child-side.ts";
import { openSaver } from "../open-saver.ts";
import { syncRun } from "../small-graphs.ts";

const [place = "", thread = "", baseURL = "", way = "invoke", then = "return"] =
  process.argv.slice(2);

const provider = new ChatOpenAI({ model: "gpt-4o", apiKey: "test", configuration: { baseURL } });
const model = durableModel(provider).bindTools([weather]);
const saver = openSaver(place);
const graph = new StateGraph(MessagesAnnotation)
  .addNode("ask", async ({ messages }) => {
    const said = await asked(model, messages, way as Way);
    say("told", factsOf(said));
    if (then === "hang") await new Promise(() => setInterval(() => undefined, 1_000));
    return { messages: [said] };
  })
  .addEdge(START, "ask")
  .addEdge("ask", END)
  .compile({ checkpointer: saver });

const known = await saver.getTuple(syncRun(thread));
const input = { messages: [new HumanMessage("What is the weather in Monterey?")] };
await graph.invoke(known === undefined ? input : null, syncRun(thread));
await saver.end();
process.disconnect();
