/** A worker until it is killed, which says what it fires. Args: place. */

import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { events } from "../../../src/events.ts";
import { createRuntime } from "../../../src/runtime/create-runtime.ts";
import { say } from "../child-side.ts";
import { openSaver } from "../open-saver.ts";

const [place = ""] = process.argv.slice(2);
const State = Annotation.Root({ topic: Annotation<string>() });
const tick = new StateGraph(State)
  .addNode("tick", () => ({}))
  .addEdge(START, "tick")
  .addEdge("tick", END)
  .compile();
events.on("schedule.fired", ({ runId }) => say("fired", { runId }));
const runtime = createRuntime({ saver: openSaver(place), graphs: { tick }, worker: false });
await runtime.worker({ leaseDuration: 60_000, pollInterval: 50 }).start();
say("ready");
