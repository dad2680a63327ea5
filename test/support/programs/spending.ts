/**
 * Calls of a model under budgets: three in a row under the run's, then two side by side under the
 * node's, one of which the provider may refuse at first. Prints the outcome. Args: place, calls that
 * the run may make. Env: OPENAI_BASE_URL.
 */

import process from "node:process";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { ChatOpenAI } from "@langchain/openai";
import { durable, durableModel } from "holdfast";
import { openSaver } from "../open-saver.ts";
import { toEnd } from "./drive.ts";

const [place = "", calls] = process.argv.slice(2);
const saver = openSaver(place);

const client = new ChatOpenAI({ model: "gpt-4o-mini", apiKey: "none", maxTokens: 40 });
const soon = { initialInterval: 5 };
const model = durableModel(client, { retry: { ...soon, byKind: { server: soon } } });
const ask = async (what: string): Promise<string> => (await model.invoke(what)).text;

const State = Annotation.Root({
  said: Annotation<string[]>({ reducer: (all, more) => [...all, ...more], default: () => [] }),
});

const graph = new StateGraph(State)
  .addNode(
    "row",
    durable(
      async () => {
        const said: string[] = [];
        for (const what of ["row: one", "row: two", "row: three"]) said.push(await ask(what));
        return { said };
      },
      // Far more dollars than it takes: the calls are what is scarce.
      { budget: { name: "row", calls: Number(calls), usd: 1 } },
    ),
  )
  .addNode(
    "pair",
    durable(async () => ({ said: await Promise.all(["pair: four", "pair: five"].map(ask)) }), {
      budget: { name: "pair", per: "node", calls: 1_000, tokens: 1_000_000 },
    }),
  )
  .addEdge(START, "row")
  .addEdge("row", "pair")
  .addEdge("pair", END)
  .compile({ checkpointer: saver });

process.stdout.write(JSON.stringify(await toEnd(graph, saver, "spending", {})));
await saver.end();
