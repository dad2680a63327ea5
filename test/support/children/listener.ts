/** A worker with a listener: begins a run of "notes" from each event "e". Args: place. */

import process from "node:process";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { createRuntime } from "../../../src/runtime/create-runtime.ts";
import { say } from "../child-side.ts";
import { openSaver } from "../open-saver.ts";

const State = Annotation.Root({ n: Annotation<number>() });
const notes = new StateGraph(State)
  .addNode("note", ({ n }) => {
    say("noted", { n });
    return {};
  })
  .addEdge(START, "note")
  .addEdge("note", END)
  .compile();

const runtime = createRuntime({
  saver: openSaver(process.argv[2] ?? ""),
  graphs: { notes },
  worker: { pollInterval: 20 },
});
await runtime.on<number>("e", "notes", { input: ({ payload }) => ({ n: payload }) });
say("ready");
