import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it, onTestFinished } from "vitest";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import { createRuntime } from "../../src/runtime/create-runtime.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { durable } from "../../src/steps/durable.ts";
import { sleep } from "../../src/steps/sleep.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { createDatabase } from "../support/databases.ts";
import { openSaver } from "../support/open-saver.ts";
import { PLACES } from "../support/places.ts";
import { withClient } from "../support/raw-tables.ts";

const HOUR = 3_600_000;

const State = Annotation.Root({
  rest: Annotation<number>(),
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});

const graph = () =>
  new StateGraph(State)
    .addNode(
      "nap",
      durable.for(State)(async ({ rest }) => {
        if (rest > 0) await sleep(rest);
        return { log: [`rested ${rest}`] };
      }),
    )
    .addNode("end", ({ rest }: typeof State.State) => ({ log: [`ended ${rest}`] }))
    .addEdge(START, "nap")
    .addEdge("nap", "end")
    .addEdge("end", END)
    .compile();

function runtimeOn(saver: HoldfastSaver): Runtime {
  const runtime = createRuntime({ saver, graphs: { graph: graph() }, worker: false });
  onTestFinished(async () => {
    await runtime.close();
    await saver.end();
  });
  return runtime;
}

describe.each(PLACES)("the runs of a thread on %s", (_, newPlace) => {
  it("go on when they have begun, before one that was accepted earlier for later", async () => {
    const clock = new ManualClock();
    const saver = (await newPlace()).open({ clock });
    const runtime = runtimeOn(saver);
    const start = (runId: string, rest: number, startIn: number) =>
      runtime.start(
        "graph",
        { rest },
        { threadId: "t", runId, startAt: new Date(clock.now() + startIn) },
      );
    await start("later", 0, HOUR);
    await start("sleeper", 2 * HOUR, 0);
    const worker = runtime.worker({ pollInterval: HOUR / 4, leaseDuration: 10 * HOUR });
    await worker.start();
    const parked = async (): Promise<string> => (await runtime.run("sleeper")).status;
    await clock.runUntil(expect.poll(parked, { timeout: 20_000 }).toBe("parked"));
    await worker.drain();
    // The first one is due, and has to wait: nothing is offered in vain.
    await clock.advance(1.5 * HOUR);
    expect(await saver.steps.queue?.due({ graphs: [{ name: "graph" }], limit: 10 })).toEqual([]);
    await runtime.worker({ pollInterval: HOUR / 4, leaseDuration: 10 * HOUR }).start();
    const over = (): Promise<string> => runtime.run("later").then(({ status }) => status);
    await clock.runUntil(expect.poll(over, { timeout: 20_000 }).toBe("completed"));
    expect((await runtime.state("t"))["log"]).toEqual([
      ...[`rested ${2 * HOUR}`, `ended ${2 * HOUR}`],
      ...["rested 0", "ended 0"],
    ]);
  });
});

it("are done in a Postgres schema that others use, too", async () => {
  const url = await createDatabase();
  await withClient(url, (client) => client.query("CREATE TABLE public.runs (theirs text)"));
  const runtime = runtimeOn(openSaver(url, { schema: "public" }));
  await runtime.worker({ pollInterval: 50 }).start();
  const { runId } = await runtime.start("graph", { rest: 0 });
  expect(await runtime.result(runId)).toMatchObject({ status: "completed" });
  await runtime.schedule("s", "@yearly", "graph", { rest: 0 });
  expect(await runtime.schedules()).toMatchObject([{ name: "s" }]);
  expect(await runtime.unschedule("s")).toBe(true);
});
