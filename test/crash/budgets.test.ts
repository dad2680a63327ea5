import { describe, expect, test } from "vitest";
import type { Amounts } from "../../src/policy/budget.ts";
import { listBudgets } from "../../src/steps/budgets.ts";
import { fakeOpenAI, ManualClock, type CrashRun } from "../../src/testing/index.ts";
import { textOf, usageOf, type ChatRequest } from "../../src/testing/wire.ts";
import { TIMEOUT, matrix } from "../support/matrix.ts";
import { PLACES } from "../support/places.ts";

const SAID = { content: "So it is." };
/** Calls that the program makes at the same time. */
const TOGETHER = { row: 1, pair: 2 };
const CALLS = 1_000;
const NOTHING = { spent: {}, reserved: {} };

describe.each(PLACES)("budgets, killed at every operation, on %s", (name, newPlace) => {
  async function setUp({ calls, refused = 0 }: { calls: number; refused?: number }) {
    const place = await newPlace();
    const provider = await fakeOpenAI({ answer: () => SAID });
    if (refused > 0) {
      provider.fail({ status: 503, times: refused, when: (request) => isOf("pair", request) });
    }
    return {
      ...{ place, provider },
      args: [place.url, String(calls)],
      env: { OPENAI_BASE_URL: provider.baseURL },
      end: () => provider.close(),
    };
  }
  type Setup = Awaited<ReturnType<typeof setUp>>;

  /** What the provider did, and what the database says of it: now, and when the dead are given up. */
  async function accounts({ place, provider }: Setup, budget: keyof typeof TOGETHER) {
    const asked = provider.requests.filter(({ body }) => isOf(budget, body));
    const answered = asked.filter(({ outcome }) => outcome === "answered");
    const tokens = answered.reduce((sum, { body }) => sum + usageOf(body, SAID).total_tokens, 0);
    const look = async (after: number) => {
      const { steps } = place.open({ clock: new ManualClock(Date.now() + after) });
      const found = (await listBudgets(steps)).filter((one) => one.name === budget);
      expect(found.length).toBeLessThanOrEqual(1);
      const { spent, reserved }: { spent: Amounts; reserved: Amounts } = found[0] ?? NOTHING;
      return { spent, reserved };
    };
    return {
      done: { calls: asked.length, tokens },
      now: await look(0),
      later: await look(2 * 3_600_000),
    };
  }

  /**
   * Nothing that was done is missing, and nothing is spent that was not done. What a dead process kept for
   * its calls stays kept, and is spent in the end: it may have made them.
   */
  async function conserved(setup: Setup, kills: number): Promise<void> {
    for (const budget of ["row", "pair"] as const) {
      const { done, now, later } = await accounts(setup, budget);
      const { calls: spent = 0, tokens: spentTokens = 0 } = now.spent;
      const { calls: kept = 0, tokens: keptTokens = 0 } = now.reserved;
      expect(spent).toBeLessThanOrEqual(done.calls);
      expect(spent + kept).toBeGreaterThanOrEqual(done.calls);
      expect(spent + kept - done.calls).toBeLessThanOrEqual(kills * TOGETHER[budget]);
      expect(kept).toBeLessThanOrEqual(kills * TOGETHER[budget]);

      expect(spentTokens).toBeLessThanOrEqual(done.tokens);
      expect(spentTokens + keptTokens).toBeGreaterThanOrEqual(done.tokens);
      if (kept === 0) expect({ calls: spent, tokens: spentTokens }).toEqual(done);

      expect(later.reserved).toEqual({});
      expect(later.spent.calls ?? 0).toBe(spent + kept);
      expect(later.spent.tokens ?? 0).toBe(spentTokens + keptTokens);
    }
  }

  const outcomeOf = (runs: readonly CrashRun[]) =>
    JSON.parse(runs.at(-1)?.stdout ?? "") as { outcome: string; error?: string };

  const script = new URL("../support/programs/spending.ts", import.meta.url);

  test("hold what was done, with failed calls in it", { timeout: TIMEOUT }, async () => {
    const { kills, missed, points } = await matrix({
      ...{ name, script, sample: 4 },
      setUp: () => setUp({ calls: CALLS, refused: 2 }),
      check: async ({ setup, runs, point, undisturbed }) => {
        expect(outcomeOf(runs).outcome).toBe("completed");
        if (undisturbed) expect(runs.at(-1)?.stdout).toBe(undisturbed.stdout);
        await conserved(setup, point === undefined ? 0 : 1);
      },
    });
    expect(kills + missed.length).toBe(points);
  });

  test("killed twice, hold what was done", { timeout: TIMEOUT }, async () => {
    await matrix({
      ...{ name: `${name}, twice`, script, sample: 2, kills: 2 },
      setUp: () => setUp({ calls: CALLS }),
      check: async ({ setup, runs, point }) => {
        expect(outcomeOf(runs).outcome).toBe("completed");
        await conserved(setup, point === undefined ? 0 : 2);
      },
    });
  });

  test("are never exceeded, where a crash leaves too little", { timeout: TIMEOUT }, async () => {
    const limit = 3;
    await matrix({
      ...{ name: `${name}, just enough`, script, sample: 3 },
      setUp: () => setUp({ calls: limit }),
      check: async ({ setup, runs, point }) => {
        const { done, now } = await accounts(setup, "row");
        const { calls: spent = 0 } = now.spent;
        const { calls: kept = 0 } = now.reserved;
        expect(done.calls).toBeLessThanOrEqual(limit);
        expect(spent + kept).toBeLessThanOrEqual(limit);
        const { outcome, error } = outcomeOf(runs);
        if (outcome === "completed") {
          expect(kept).toBe(0);
        } else {
          // A call that was made, or may have been, and whose answer is lost, is missing at the end.
          expect(point).toBeDefined();
          expect(error).toContain("row of the run");
          expect(spent + kept).toBe(limit);
        }
        await conserved(setup, point === undefined ? 0 : 1);
      },
    });
  });
});

function isOf(budget: string, { messages }: ChatRequest): boolean {
  return messages.some((message) => textOf(message).startsWith(budget));
}
