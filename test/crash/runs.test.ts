import { describe, expect, test } from "vitest";
import { fakeWorld } from "../../src/testing/index.ts";
import { TIMEOUT, matrix } from "../support/matrix.ts";
import { PLACES } from "../support/places.ts";

const script = new URL("../support/programs/runs.ts", import.meta.url);

describe.each(PLACES)("runs of a runtime, on %s", (name, newPlace) => {
  const setUp = async () => {
    const world = await fakeWorld();
    const { url } = await newPlace();
    return { world, args: [url], env: { WORLD_URL: world.url }, end: () => world.close() };
  };

  test.each([
    [1, 6],
    [2, 3],
  ])(
    "park, wait for people, are cancelled and fail as they should, killed %i times",
    { timeout: TIMEOUT },
    async (kills, sample) => {
      const done = await matrix({
        ...{ script, setUp, sample, kills },
        name: `${name}, ${kills} times`,
        check: ({ setup: { world }, runs }) => {
          expect(JSON.parse(runs.at(-1)?.stdout ?? "")).toEqual([
            "approved: completed, booked rested confirmed told",
            "cancelled: cancelled, booked rested",
            "fails: failed, booked rested",
          ]);
          expect(world.counts()).toEqual({ flight: 3, "cancel-flight": 2, email: 1 });
        },
      });
      expect(done.kills + done.missed.length).toBeGreaterThanOrEqual(done.points);
    },
  );
});
