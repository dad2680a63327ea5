/**
 * A report in three steps: fetches what is in stock, transforms it, mails it. Begins the thread, or
 * goes on with it by its id. Says which nodes begin. Args: place, the world's URL, thread.
 */

import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { say } from "../child-side.ts";
import { openSaver } from "../open-saver.ts";

const [place = "", world = "", thread = ""] = process.argv.slice(2);
const saver = openSaver(place);

const State = Annotation.Root({
  stock: Annotation<{ sku: string; inStock: number }[]>(),
  lines: Annotation<string[]>(),
  mail: Annotation<string>(),
});

const graph = new StateGraph(State)
  .addNode("fetch", async () => {
    say("began", { node: "fetch" });
    const skus = ["mug", "pot"];
    const answers = await Promise.all(skus.map((sku) => fetch(`${world}/stock/${sku}`)));
    return { stock: await Promise.all(answers.map((answer) => answer.json())) };
  })
  .addNode("transform", ({ stock }) => {
    say("began", { node: "transform" });
    return { lines: stock.map(({ sku, inStock }) => `${sku}: ${inStock}`) };
  })
  .addNode("report", async ({ lines }) => {
    say("began", { node: "report" });
    const answer = await fetch(`${world}/email`, {
      method: "POST",
      body: JSON.stringify({ to: "ada@example.com", text: lines.join("\n") }),
    });
    return { mail: ((await answer.json()) as { id: string }).id };
  })
  .addEdge(START, "fetch")
  .addEdge("fetch", "transform")
  .addEdge("transform", "report")
  .addEdge("report", END)
  .compile({ checkpointer: saver });

const config = { configurable: { thread_id: thread }, durability: "sync" } as const;
const begun = await saver.getTuple(config);
const state = await graph.invoke(begun === undefined ? { stock: [] } : null, config);
await saver.end();
say("done", state);
process.disconnect();
