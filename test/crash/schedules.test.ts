import { describe, expect, test } from "vitest";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { createRuntime } from "../../src/runtime/create-runtime.ts";
import { ManualClock, fakeWorld } from "../../src/testing/index.ts";
import { TIMEOUT, matrix } from "../support/matrix.ts";
import { PLACES } from "../support/places.ts";

/** Only its name is needed here. */
const digest = new StateGraph(Annotation.Root({ topic: Annotation<string>() }))
  .addNode("send", () => ({}))
  .addEdge(START, "send")
  .addEdge("send", END)
  .compile();

const INSTANTS = ["2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z", "2026-01-01T00:03:00Z"];

describe.each(PLACES)("three instants of a schedule, on %s", (name, newPlace) => {
  const scheduled = {
    script: new URL("../support/programs/scheduled.ts", import.meta.url),
    setUp: async () => {
      const world = await fakeWorld();
      const place = await newPlace();
      // Declared before its instants, which are due when the program begins.
      const saver = place.open({ clock: new ManualClock(new Date("2026-01-01T00:00Z")) });
      const runtime = createRuntime({ saver, graphs: { digest }, worker: false });
      const options = { missed: "all" as const };
      await runtime.schedule("digest", "1,2,3 0 1 1 *", "digest", { topic: "old" }, options);
      return {
        ...{ world, place },
        args: [place.url, String(Date.now())],
        env: { WORLD_URL: world.url },
        end: () => world.close(),
      };
    },
  };

  test.each([
    [1, 4],
    [2, 2],
  ])(
    "are each fired and done once, killed %i times",
    { timeout: TIMEOUT },
    async (kills, sample) => {
      const done = await matrix({
        ...scheduled,
        name: `${name}, ${kills} times`,
        ...{ sample, kills },
        check: async ({ setup: { world, place }, runs }) => {
          expect(JSON.parse(runs.at(-1)?.stdout ?? "")).toEqual(
            INSTANTS.map((instant) => `${instant} completed`),
          );
          expect(world.counts()).toEqual({ email: 3 });
          const { steps } = place.open();
          const found = (await steps.queue.list()).map(({ runId }) => runId);
          expect(found.toSorted()).toEqual(INSTANTS.map((instant) => `cron:digest:${instant}`));
          expect(await steps.schedules.list()).toMatchObject([
            {
              nextAt: Date.parse("2027-01-01T00:01Z"),
              lastAt: Date.parse("2026-01-01T00:03Z"),
              lastRun: found[0],
            },
          ]);
        },
      });
      expect(done.kills + done.missed.length).toBeGreaterThanOrEqual(done.points);
    },
  );
});
