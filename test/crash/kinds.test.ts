import { describe, expect, test } from "vitest";
import { crashMatrix, fakeWorld, type CrashRun } from "../../src/testing/index.ts";
import { TIMEOUT, matrix } from "../support/matrix.ts";
import { PLACES } from "../support/places.ts";

const script = new URL("../support/programs/kinds.ts", import.meta.url);

describe.each(PLACES)("effects in a world that ignores keys, on %s", (name, newPlace) => {
  async function setUp(env: Record<string, string> = {}) {
    const world = await fakeWorld({ ignoresKeys: true });
    return {
      world,
      args: [(await newPlace()).url],
      env: { WORLD_URL: world.url, ...env },
      end: () => world.close(),
    };
  }
  type Setup = Awaited<ReturnType<typeof setUp>>;

  /** Each order once, whoever asked for it. */
  function onceEach({ world }: Setup, runs: readonly CrashRun[]): void {
    const orders = world.performed("charge").map(({ details }) => details["order"]);
    expect(orders.toSorted()).toEqual(["five", "four", "one", "three"]);
    expect(world.performed("email")).toHaveLength(1);
    expect(JSON.parse(runs.at(-1)?.stdout ?? "")).toMatchObject({
      outcome: "completed",
      payments: [{ amount: 42 }],
    });
  }

  test(
    "looked up or asked about, happen once, killed at every operation",
    { timeout: TIMEOUT },
    async () => {
      const { kills, missed, points } = await matrix({
        name,
        script,
        setUp,
        sample: 5,
        check: ({ setup, runs, undisturbed }) => {
          onceEach(setup, runs);
          if (undisturbed) expect(runs.at(-1)?.stdout).toBe(undisturbed.stdout);
        },
      });
      expect(kills + missed.length).toBe(points);
    },
  );

  test("killed twice, too", { timeout: TIMEOUT }, async () => {
    await matrix({
      name: `${name}, twice`,
      script,
      setUp,
      sample: 2,
      kills: 2,
      check: ({ setup, runs }) => {
        onceEach(setup, runs);
      },
    });
  });

  test(
    "happen twice under a protocol that claims nothing, and the matrix finds it",
    { timeout: TIMEOUT },
    async () => {
      const { failures, points } = await crashMatrix({
        script,
        execArgv: ["--conditions=holdfast-source"],
        setUp: () => setUp({ BROKEN_PROTOCOL: "yes" }),
        points: ({ what, side }) => what.endsWith("/email") && side === "after",
        check: ({ setup, runs }) => {
          onceEach(setup, runs);
        },
      });
      expect(points).toBe(1);
      expect(failures).toHaveLength(1);
      expect(String(failures[0]?.error)).toContain("length");
    },
  );
});
