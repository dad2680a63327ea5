/**
 * A program for the crash matrix: one run asks by an event, a listener begins another run that answers by
 * one, and the first goes on with the answer. Its asking node fails once, after it has emitted, and has a
 * sibling that emits, too. Args: place.
 */

import process from "node:process";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { createRuntime, durable, emit, waitForEvent } from "holdfast";
import { openSaver } from "../open-saver.ts";

const [place = ""] = process.argv.slice(2);
const saver = openSaver(place);

const State = Annotation.Root({
  order: Annotation<string>(),
  log: Annotation<string[]>({ reducer: (all, more) => [...all, ...more], default: () => [] }),
});
const retry = { maxAttempts: 10, initialInterval: 1, maxInterval: 1 };
let asked = 0;

const order = new StateGraph(State)
  .addNode(
    "ask",
    durable.for(State)(
      async (state) => {
        await emit("asked", { order: state.order });
        if ((asked += 1) === 1) throw Object.assign(new Error("not yet"), { status: 503 });
        return { log: ["asked"] };
      },
      { retry },
    ),
  )
  .addNode(
    "beside",
    durable.for(State)(async () => {
      await emit("beside");
      return {};
    }),
  )
  .addNode(
    "wait",
    durable.for(State)(async (state) => {
      const answer = await waitForEvent<{ says: string }>("answer", {
        match: { order: state.order },
      });
      return { log: [answer?.payload.says ?? "nothing"] };
    }),
  )
  .addEdge(START, "ask")
  .addEdge(START, "beside")
  .addEdge(["ask", "beside"], "wait")
  .addEdge("wait", END)
  .compile();

const answer = new StateGraph(State)
  .addNode(
    "answer",
    durable.for(State)(async (state) => {
      await emit("answer", { order: state.order, says: "yes" });
      return {};
    }),
  )
  .addEdge(START, "answer")
  .addEdge("answer", END)
  .compile();

const runtime = createRuntime({
  saver,
  graphs: { order, answer },
  worker: { pollInterval: 20 },
});
await runtime.on<{ order: string }>("asked", "answer", {
  input: ({ payload }) => ({ order: payload.order }),
  key: ({ payload }) => `answer to ${payload.order}`,
});
await runtime.start("order", { order: "o1" }, { runId: "order", threadId: "order" });
const { status, values } = await runtime.result("order");
const [other] = await runtime.runs({ graph: "answer" });
const answered = await runtime.result(other?.runId ?? "");
const events = await saver.steps.events.list();
const told = {
  ...{ status, log: values["log"], answered: answered.status },
  runs: (await runtime.runs()).length,
  events: events.map(({ name, payload }) => `${name} ${JSON.stringify(payload)}`).toSorted(),
};
process.stdout.write(JSON.stringify(told));
await runtime.close();
await saver.end();
