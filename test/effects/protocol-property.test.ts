/** The protocol of effects under random interleavings of calls, crashes, failures and the passing of time. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MUTANTS, simulate, type Scenario } from "./support/simulation.ts";

const scenario: fc.Arbitrary<Scenario> = fc.record({
  kind: fc.constantFrom("reconcile", "repeat", "ask"),
  local: fc.boolean(),
  choices: fc.array(fc.nat({ max: 200 }), { minLength: 5, maxLength: 60, size: "max" }),
});

/** A claim is taken over between the look that found it expired and the write. */
const LATE_RENEWAL: Scenario = {
  kind: "reconcile",
  local: false,
  choices: [3, 9, 0, 0, 42, 0, 0, 43, 91, 0, 3, 0, 0, 0, 0, 186],
};

describe("the protocol of effects", () => {
  it("keeps what each kind promises, whatever happens when", async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async (one) => {
        expect(await simulate(one)).toEqual([]);
      }),
      { numRuns: 150, examples: [[LATE_RENEWAL]] },
    );
  });

  it.each(Object.entries(MUTANTS))("is found out when it %s", async (_, mutant) => {
    const result = await fc.check(
      fc.asyncProperty(scenario, async (one) => (await simulate({ ...one, mutant })).length === 0),
      { numRuns: 1_000, endOnFailure: true, examples: [[LATE_RENEWAL]] },
    );
    expect(result.failed).toBe(true);
  });
});
