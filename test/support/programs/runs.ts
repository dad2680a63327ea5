/**
 * Runs of a runtime: one that parks and is approved by a person, one that is cancelled while it waits, and
 * one that fails. Prints how they ended. Args: place. Env: WORLD_URL.
 */

import process from "node:process";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { approval, createRuntime, durable, effect, sleep } from "holdfast";
import { ask } from "../../../graphs/environment/world.ts";
import { openSaver } from "../open-saver.ts";

const [place = ""] = process.argv.slice(2);

const book = effect({
  name: "runs.book",
  run: (flight: { trip: string }, context) => ask("flight", flight, context),
  onUnknown: "repeat",
  undo: async (_, booked, context) => {
    if (booked !== undefined) await ask("cancel-flight", { flight: booked.id }, context);
  },
});
const tell = effect({
  name: "runs.tell",
  run: (mail: { trip: string }, context) => ask("email", mail, context),
  onUnknown: "repeat",
});

const State = Annotation.Root({
  trip: Annotation<string>(),
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});
const step = durable.for(State).with({ retry: { maxAttempts: 1 } });
const trip = new StateGraph(State)
  .addNode(
    "book",
    step(async (state) => {
      await book({ trip: state.trip }, { key: state.trip });
      return { log: ["booked"] };
    }),
  )
  .addNode(
    "rest",
    step(
      async () => {
        await sleep(30);
        return { log: ["rested"] };
      },
      { parkAfter: 1 },
    ),
  )
  .addNode(
    "confirm",
    step(async (state) => {
      if (state.trip === "fails") throw new Error("no such trip");
      await approval({ id: `ok-${state.trip}`, title: "Go?", payload: { trip: state.trip } });
      return { log: ["confirmed"] };
    }),
  )
  .addNode(
    "tell",
    step(async (state) => {
      await tell({ trip: state.trip }, { key: state.trip });
      return { log: ["told"] };
    }),
  )
  .addEdge(START, "book")
  .addEdge("book", "rest")
  .addEdge("rest", "confirm")
  .addEdge("confirm", "tell")
  .addEdge("tell", END)
  .compile();

const saver = openSaver(place);
const runtime = createRuntime({
  ...{ saver, graphs: { trip } },
  worker: { pollInterval: 20, maxCrashes: 10 },
});

async function run(name: string, act?: () => Promise<unknown>): Promise<string> {
  await runtime.start("trip", { trip: name }, { runId: name });
  let result = await runtime.result<typeof State.State>(name);
  if (result.status === "interrupted" && act !== undefined) {
    await act();
    while (result.status === "interrupted") {
      await new Promise((resolve) => setTimeout(resolve, 20));
      result = await runtime.result(name);
    }
  }
  return `${name}: ${result.status}, ${result.values.log.join(" ")}`;
}

const ended = [
  await run("approved", async () => {
    const [question] = await runtime.inbox.list({ threadId: "approved" });
    // Where it was approved before, and the process died then, a worker finds the answer by itself.
    if (question !== undefined) await runtime.approve(question.id, { by: "ada" });
  }),
  await run("cancelled", () => runtime.cancel("cancelled")),
  await run("fails"),
];
await runtime.close();
process.stdout.write(JSON.stringify(ended));
await saver.end();
