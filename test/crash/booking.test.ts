import { describe, expect, test } from "vitest";
import { fakeOpenAI, fakeWorld, type FakeOpenAI, type FakeWorld } from "../../src/testing/index.ts";
import { TIMEOUT, matrix } from "../support/matrix.ts";
import { PLACES } from "../support/places.ts";

interface Outside {
  world: FakeWorld;
  provider: FakeOpenAI;
}

describe.each(PLACES)("a booking, killed at every operation, on %s", (name, newPlace) => {
  const booking = (script: (outside: Outside) => unknown = () => {}, how = "runToEnd") => ({
    script: new URL("../support/programs/booking.ts", import.meta.url),
    setUp: async () => {
      const [world, provider] = [await fakeWorld(), await fakeOpenAI()];
      script({ world, provider });
      return {
        world,
        provider,
        args: [(await newPlace()).url, how],
        env: {
          WORLD_URL: world.url,
          OPENAI_BASE_URL: provider.baseURL,
          OPENAI_API_KEY: "none",
        },
        end: async () => {
          await world.close();
          await provider.close();
        },
      };
    },
  });

  test("books each once", { timeout: TIMEOUT }, async () => {
    const { kills, missed, points } = await matrix({
      ...booking(),
      name: `${name}, all well`,
      sample: 3,
      check: ({ setup: { world }, runs, undisturbed }) => {
        expect(world.counts()).toEqual({ flight: 1, hotel: 1 });
        expect(JSON.parse(runs.at(-1)?.stdout ?? "")).toMatchObject({
          outcome: "completed",
          state: { flight: "fl_1", hotel: "ho_1" },
        });
        if (undisturbed) expect(runs.at(-1)?.stdout).toBe(undisturbed.stdout);
      },
    });
    expect(kills + missed.length).toBe(points);
  });

  test.each(["runToEnd", "invoke"])(
    "cancels the hotel, then the flight, where the model fails for good, each once, by %s",
    { timeout: TIMEOUT },
    async (how) => {
      const { kills, missed, points } = await matrix({
        ...booking(({ provider }) => provider.fail({ status: 400, times: Infinity }), how),
        name: `${name}, model fails, by ${how}`,
        sample: 3,
        check: ({ setup: { world }, runs, undisturbed }) => {
          expect(world.performed().map(({ kind }) => kind)).toEqual([
            "flight",
            "hotel",
            "cancel-hotel",
            "cancel-flight",
          ]);
          expect(world.standing("flight")).toEqual([]);
          expect(world.standing("hotel")).toEqual([]);
          expect(JSON.parse(runs.at(-1)?.stdout ?? "")).toMatchObject({
            outcome: "failed",
            stuck: 0,
          });
          if (undisturbed) expect(runs.at(-1)?.stdout).toBe(undisturbed.stdout);
        },
      });
      expect(kills + missed.length).toBe(points);
    },
  );
});
