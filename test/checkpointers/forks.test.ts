/**
 * The property test: random graphs and scripts (test/fuzz/) tell the same story on a holdfast saver
 * as on the oracle, checkpoint by checkpoint, also after reopening the database.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { check, explain } from "../fuzz/check.ts";
import { MUTANTS, mutantFactory } from "../fuzz/mutants.ts";
import { DifferenceError, runCase } from "../fuzz/run-case.ts";
import type { SubjectFactory } from "../fuzz/run.ts";
import { holdfastAt, slowOracle } from "../fuzz/savers.ts";
import { KEPT } from "../fuzz/seeds.ts";
import type { Feature } from "../fuzz/stats.ts";
import { usesDelta } from "../fuzz/case.ts";
import { createDatabase } from "../support/databases.ts";

const FIVE_MINUTES = 300_000;

/** A seed of the day would make a failure that nobody can repeat; `npm run fuzz` is for news. */
const SEED = 20_260_101;

describe.each([
  { name: "SQLite", cases: 300, open: openSqlite },
  { name: "Postgres", cases: 40, open: async () => holdfastAt(await createDatabase()) },
])("forks on $name", ({ cases, open }) => {
  let factory: SubjectFactory;
  beforeAll(async () => {
    factory = await open();
  });

  test(
    `${cases} random scripts tell the oracle's story`,
    async () => {
      const { totals, failure } = await check(factory, { cases, seed: SEED, shrinkTime: 30_000 });
      if (failure) expect.fail(explain(failure));
      expect(totals.cases).toBe(cases);
      // A generator that has gone lame would let everything pass.
      const atLeast: [Feature, number][] = [
        ["forks", 0.5],
        ["concurrent forks", 0.15],
        ["interrupts", 0.2],
        ["sends", 0.2],
        ["subgraphs", 0.25],
        ["failures", 0.1],
        ["delta", 0.15],
        ["in place", 0.1],
        ["updates", 0.4],
      ];
      for (const [feature, share] of atLeast) {
        expect(totals.share(feature), feature).toBeGreaterThan(share);
      }
    },
    FIVE_MINUTES,
  );

  test.each(KEPT)("once wrong: $found", async (kept) => {
    await runCase(kept.case, factory);
  });
});

describe("the property test", () => {
  test.each(Object.entries(MUTANTS))(
    "catches a saver that %s",
    async (_, mutant) => {
      const { failure } = await check(mutantFactory(mutant), {
        cases: 120,
        seed: SEED,
        shrinkTime: 0,
        only: ({ graph }) => usesDelta(graph) === (mutant.shownBy === "delta"),
      });
      expect(failure?.error).toBeInstanceOf(DifferenceError);
    },
    FIVE_MINUTES,
  );

  test(
    "finds no difference between the oracle and itself, slowed down at random",
    async () => {
      const { failure } = await check(slowOracle, {
        cases: 20,
        seed: SEED,
        shrinkTime: 30_000,
        only: ({ graph }) => !usesDelta(graph),
      });
      if (failure) expect.fail(explain(failure));
    },
    FIVE_MINUTES,
  );
});

async function openSqlite(): Promise<SubjectFactory> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-forks-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return holdfastAt(`sqlite:${join(folder, "forks.db")}`);
}
