import { describe, expect, test } from "vitest";
import { crashMatrix, fakeWorld } from "../../src/testing/index.ts";
import { TIMEOUT, matrix } from "../support/matrix.ts";
import { PLACES } from "../support/places.ts";

const script = new URL("../support/programs/deliver.ts", import.meta.url);

describe.each(PLACES)("three steps over a saver alone, on %s", (name, newPlace) => {
  async function setUp() {
    const world = await fakeWorld();
    return { world, args: [(await newPlace()).url, world.url], end: () => world.close() };
  }

  test(
    "killed anywhere, do each thing once, since their keys stay the same",
    { timeout: TIMEOUT },
    async () => {
      const { kills, missed, points, operations } = await matrix({
        name,
        script,
        setUp,
        sample: 4,
        check: ({ setup: { world }, runs, undisturbed }) => {
          expect(world.counts()).toEqual({ label: 1, email: 1, charge: 1 });
          expect(runs.at(-1)?.stdout).toBe(undisturbed?.stdout ?? '["lb_1","em_1","ch_1"]');
        },
      });
      expect(kills + missed.length).toBe(points);
      expect(operations.filter((what) => what.startsWith("POST "))).toHaveLength(3);
    },
  );

  test("killed twice at each point, too", { timeout: TIMEOUT }, async () => {
    const { kills, points } = await matrix({
      name,
      script,
      setUp,
      sample: 2,
      kills: 2,
      check: ({ setup: { world } }) => {
        expect(world.counts()).toEqual({ label: 1, email: 1, charge: 1 });
      },
    });
    expect(kills).toBeGreaterThanOrEqual(points);
  });

  test("are found out where their keys are new at each try", { timeout: TIMEOUT }, async () => {
    const { failures, points } = await crashMatrix({
      ...flawed("careless"),
      points: ({ what, side }) => what.startsWith("POST ") && side === "after",
      check: ({ setup: { world } }) => {
        expect(world.counts()).toEqual({ label: 1, email: 1, charge: 1 });
      },
    });
    expect(points).toBe(3);
    expect(failures.map(({ point }) => point.what.split("/").at(-1))).toEqual([
      "label",
      "email",
      "charge",
    ]);
    expect(failures[0]?.point.stack).toContain("deliver.ts");
  });

  test("are found out where they begin anew", { timeout: TIMEOUT }, async () => {
    const { failures, summary } = await crashMatrix({
      ...flawed("forgetful"),
      points: ({ what }) => what.startsWith("POST "),
      check: ({ runs, undisturbed }) => {
        if (undisturbed) expect(runs.at(-1)?.stdout).toBe(undisturbed.stdout);
      },
    });
    expect(failures.map(({ point }) => point.what.split("/").at(-1))).toEqual(["charge", "charge"]);
    expect(summary).toContain("2 failures");
    expect(summary).toContain("/charge");
  });

  function flawed(flaw: string) {
    return {
      script,
      execArgv: ["--conditions=holdfast-source"],
      setUp: async () => {
        const { args, ...rest } = await setUp();
        return { ...rest, args: [...args, flaw] };
      },
    };
  }
});
