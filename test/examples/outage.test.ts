import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { createRuntime, durable, events } from "holdfast";
import { ManualClock, fakeWorld } from "holdfast/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import { PLACES } from "../support/places.ts";

const RUNS = 40;
const MINUTE = 60_000;
const PER_SECOND = 10;
const OUTAGE = 10 * MINUTE;

const State = Annotation.Root({ order: Annotation<string>(), label: Annotation<string>() });

describe.each(PLACES)("an outage, on %s", (_, newPlace) => {
  test(
    "all runs park, nothing waits with them, and all finish at the shared rate",
    { timeout: 240_000 },
    async () => {
      const clock = new ManualClock();
      const world = await fakeWorld();
      onTestFinished(() => world.close());
      const saver = (await newPlace()).open({ clock });
      /** When each call went out. */
      const calls: number[] = [];
      const graph = new StateGraph(State)
        .addNode(
          "print",
          durable.for(State)(
            async ({ order }) => {
              calls.push(clock.now());
              const response = await fetch(`${world.url}/label`, {
                method: "POST",
                headers: { "Idempotency-Key": order, Connection: "close" },
                body: JSON.stringify({ order }),
              });
              return { label: ((await response.json()) as { id: string }).id };
            },
            {
              retry: { maxAttempts: 4, onExhausted: "park" },
              breaker: "carrier",
              limit: { name: "carrier", perSecond: PER_SECOND, concurrency: 10 },
            },
          ),
        )
        .addEdge(START, "print")
        .addEdge("print", END)
        .compile();
      let opened = 0;
      onTestFinished(events.on("breaker.opened", () => void (opened += 1)));
      const runtime = createRuntime({ saver, graphs: { order: graph }, worker: false });
      const ids = Array.from({ length: RUNS }, (__, i) => `order-${i}`);
      for (const runId of ids) await runtime.start("order", { order: runId }, { runId });

      await world.stop();
      const worker = runtime.worker({ concurrency: 50, pollInterval: 60_000 });
      await worker.start();
      onTestFinished(() => worker.stop());
      const inState = async (status: "parked" | "completed"): Promise<number> =>
        (await runtime.runs({ status, limit: RUNS })).length;
      const parked = (async () => {
        while ((await inState("parked")) < RUNS) await clock.sleep(5_000);
      })();
      await clock.runUntil(parked);
      // The breaker took the outage to itself: what came after it was not tried.
      expect(opened).toBe(1);
      const tried = calls.length;
      expect(tried).toBeLessThan(50);
      const over = clock.now() + OUTAGE;
      await clock.runUntil(clock.sleep(OUTAGE));
      expect(clock.now()).toBeGreaterThanOrEqual(over);
      // One trial a minute, and nothing is held by those that wait.
      expect(calls.length - tried).toBeLessThanOrEqual(OUTAGE / MINUTE + 2);
      expect(worker.runs.length).toBeLessThan(50);
      expect(await inState("completed")).toBe(0);
      await world.start();
      const back = calls.length;
      const done = (async () => {
        while ((await inState("completed")) < RUNS) await clock.sleep(1_000);
      })();
      await clock.runUntil(done);
      expect(world.counts()).toEqual({ label: RUNS });
      // L2: in no second more than the rate lets through.
      const after = calls.slice(back);
      for (const [i, at] of after.entries()) {
        const within = after.slice(i).filter((time) => time < at + 1_000).length;
        expect(within).toBeLessThanOrEqual(PER_SECOND + 1);
      }
    },
  );
});
