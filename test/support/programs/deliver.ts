/**
 * A program for the crash matrix: label, e-mail and charge, one after the other, over a saver alone.
 * What makes each happen once is the key that it sends. With "careless" the keys are new at each try;
 * with "forgetful" the thread is begun anew after a crash that follows the e-mail.
 *
 * node deliver.ts PLACE WORLD [careless|forgetful]
 */

import { randomUUID } from "node:crypto";
import process from "node:process";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { openSaver } from "../open-saver.ts";

const [place = "", world = "", flaw] = process.argv.slice(2);
const saver = openSaver(place);

const State = Annotation.Root({
  done: Annotation<string[]>({ reducer: (all, more) => [...all, ...more], default: () => [] }),
});

function ask(kind: string) {
  return async (): Promise<{ done: string[] }> => {
    const response = await fetch(`${world}/${kind}`, {
      method: "POST",
      headers: { "idempotency-key": flaw === "careless" ? randomUUID() : kind },
      body: JSON.stringify({ order: "o1" }),
    });
    const { id } = (await response.json()) as { id: string };
    return { done: [id] };
  };
}

const graph = new StateGraph(State)
  .addNode("label", ask("label"))
  .addNode("email", ask("email"))
  .addNode("charge", ask("charge"))
  .addEdge(START, "label")
  .addEdge("label", "email")
  .addEdge("email", "charge")
  .addEdge("charge", END)
  .compile({ checkpointer: saver });

const config = { configurable: { thread_id: "o1" }, durability: "sync" } as const;
const before = await graph.getState(config);
const hasBegun = before.config.configurable?.["checkpoint_id"] !== undefined;
const forgets = flaw === "forgetful" && before.next[0] === "charge";
const { done } = await graph.invoke(hasBegun && !forgets ? null : { done: [] }, config);
process.stdout.write(JSON.stringify(done));
await saver.end();
