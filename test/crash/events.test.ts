import { describe, expect, test } from "vitest";
import { TIMEOUT, matrix } from "../support/matrix.ts";
import { PLACES } from "../support/places.ts";

const script = new URL("../support/programs/events.ts", import.meta.url);

const run = (graph: string, runId: string, threadId: string) =>
  `run.completed {"runId":"${runId}","threadId":"${threadId}","graph":"${graph}","status":"completed"}`;

describe.each(PLACES)("events between two runs, killed anywhere, on %s", (name, newPlace) => {
  test("leave once, are heard once, and begin one run", { timeout: TIMEOUT }, async () => {
    const { kills, missed, points, operations } = await matrix({
      name,
      script,
      sample: 8,
      setUp: async () => ({ args: [(await newPlace()).url], end: () => undefined }),
      check: ({ runs }) => {
        const told = JSON.parse(runs.at(-1)?.stdout ?? "") as { events: string[] };
        expect(told).toMatchObject({
          ...{ status: "completed", log: ["asked", "yes"], answered: "completed", runs: 2 },
        });
        expect(told.events.slice(0, 3)).toEqual([
          'answer {"order":"o1","says":"yes"}',
          'asked {"order":"o1"}',
          "beside undefined",
        ]);
        expect(told.events.slice(3)).toEqual([
          expect.stringMatching(/^run.completed .*"threadId":"answer to o1"/),
          run("order", "order", "order"),
        ]);
      },
    });
    expect(kills + missed.length).toBe(points);
    expect(operations.length).toBeGreaterThan(20);
  });
});
