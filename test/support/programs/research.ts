/**
 * The research agent from beginning to end, as one who approves every draft would run it; goes on where
 * its thread is. Prints how many of its steps were done here. Args: place, documents, report's path.
 */

import process from "node:process";
import { runToEnd } from "holdfast";
import { createResearchGraph } from "../../../graphs/research.ts";
import { openSaver } from "../open-saver.ts";

const [place = "", folder = "", reportPath = ""] = process.argv.slice(2);
const saver = openSaver(place);
const graph = createResearchGraph({ checkpointer: saver });
const config = { configurable: { thread_id: "research" } };

let steps = 0;
const options = {
  approve: true,
  onChunk: (chunk: unknown) => {
    const [namespace, update] = chunk as [string[], object];
    if (namespace.length === 0 && !("__interrupt__" in update)) steps += 1;
  },
};

const begun = await saver.getTuple(config);
const input = { topic: "recovery of kelp forests", folder, reportPath };
let outcome = await runToEnd(graph, begun === undefined ? input : null, config, options);
while (outcome.status === "interrupted") outcome = await runToEnd(graph, null, config, options);
if (outcome.status !== "completed") throw new Error(`The run is ${outcome.status}.`);
process.stdout.write(String(steps));
await saver.end();
