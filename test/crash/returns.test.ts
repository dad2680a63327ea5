import { describe, expect, test } from "vitest";
import { fakeWorld, type FakeWorld } from "../../src/testing/index.ts";
import { TIMEOUT, matrix } from "../support/matrix.ts";
import { PLACES } from "../support/places.ts";

describe.each(PLACES)("a return, killed at every operation, on %s", (name, newPlace) => {
  const returns = (script: (world: FakeWorld) => unknown = () => {}, how = "runToEnd") => ({
    script: new URL("../support/programs/returns.ts", import.meta.url),
    setUp: async () => {
      const world = await fakeWorld({ stock: { mug: 5 } });
      script(world);
      return {
        world,
        args: [(await newPlace()).url, how],
        env: { WORLD_URL: world.url },
        end: () => world.close(),
      };
    },
  });

  test("makes one label, one refund and one e-mail", { timeout: TIMEOUT }, async () => {
    const { kills, missed, points } = await matrix({
      ...returns(),
      name: `${name}, all well`,
      sample: 4,
      check: ({ setup: { world }, runs, undisturbed }) => {
        expect(world.counts()).toEqual({ label: 1, refund: 1, email: 1 });
        expect(JSON.parse(runs.at(-1)?.stdout ?? "")).toMatchObject({
          outcome: "completed",
          state: { problems: [], inStock: 5, label: "lb_1", refund: "re_1", email: "em_1" },
        });
        if (undisturbed) expect(runs.at(-1)?.stdout).toBe(undisturbed.stdout);
      },
    });
    expect(kills + missed.length).toBe(points);
  });

  test.each(["runToEnd", "invoke"])(
    "voids the label where the refund fails for good, once, by %s",
    { timeout: TIMEOUT },
    async (how) => {
      const { kills, missed, points } = await matrix({
        ...returns((world) => world.fail({ status: 402, on: "refund", times: Infinity }), how),
        name: `${name}, refund refused, by ${how}`,
        sample: 3,
        check: ({ setup: { world }, runs, undisturbed }) => {
          expect(world.counts()).toEqual({ label: 1, "void-label": 1 });
          expect(world.standing("label")).toEqual([]);
          expect(JSON.parse(runs.at(-1)?.stdout ?? "")).toMatchObject({
            outcome: "failed",
            error: expect.stringContaining("402"),
            stuck: 0,
          });
          if (undisturbed) expect(runs.at(-1)?.stdout).toBe(undisturbed.stdout);
        },
      });
      expect(kills + missed.length).toBe(points);
    },
  );

  test(
    "killed twice, where the bank's first answer is lost, refunds once",
    { timeout: TIMEOUT },
    async () => {
      const { kills, points } = await matrix({
        ...returns((world) => world.fail({ drop: "after", on: "refund" })),
        name: `${name}, answer lost`,
        sample: 2,
        kills: 2,
        check: ({ setup: { world }, runs, undisturbed }) => {
          expect(world.counts()).toEqual({ label: 1, refund: 1, email: 1 });
          if (undisturbed) expect(runs.at(-1)?.stdout).toBe(undisturbed.stdout);
        },
      });
      expect(kills).toBeGreaterThanOrEqual(points);
    },
  );
});
