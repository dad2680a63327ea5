import process from "node:process";
import { expect, onTestFinished, test } from "vitest";
import { startPostgres } from "../support/postgres.ts";
import type { EngineName } from "../support/engines.ts";
import { newFile } from "../support/places.ts";
import { chaos, type ChaosReport } from "./chaos.ts";

const { CHAOS_RUNS = "200", CHAOS_SEED = "1", CHAOS_ENGINE: engine = "local" } = process.env;
const runs = Number(CHAOS_RUNS);
const seed = Number(CHAOS_SEED);
/** As often as befits so many runs. */
const times = (of200: number): number => Math.ceil((of200 * runs) / 200);
const TIMEOUT = 600_000 + runs * 500;

function told(what: string, report: ChaosReport): ChaosReport {
  const { faults, ...counts } = report;
  const said = Object.entries(counts).map(([name, count]) => `${count} ${name}`);
  console.log(`chaos on ${what}, seed ${seed}: ${said.join(", ")}, ${faults.length} faults`);
  return report;
}

test(
  "chaos on Postgres, which restarts: all is as if nothing had happened",
  { timeout: TIMEOUT },
  async () => {
    const postgres = await startPostgres();
    onTestFinished(() => postgres.stop());
    const restarts = { times: times(3), restart: () => postgres.restart() };
    const report = told(
      `Postgres, engine ${engine}`,
      await chaos({
        ...{ place: await postgres.createDatabase(), engine: engine as EngineName },
        ...{ seed, runs, restarts },
        ...{ kills: times(30), stops: times(10), drains: times(5) },
      }),
    );
    expect(report.faults).toEqual([]);
    expect(report).toMatchObject({ runs, kills: times(30), stops: times(10) });
    expect(report.takeovers).toBeGreaterThan(0);
  },
);

test("chaos on SQLite: all is as if nothing had happened", { timeout: TIMEOUT }, async () => {
  const report = told(
    "SQLite",
    await chaos({
      ...{ place: `sqlite:${newFile()}`, seed, runs: runs / 4 },
      ...{ kills: times(8), stops: times(4), drains: times(2) },
    }),
  );
  expect(report.faults).toEqual([]);
  expect(report.takeovers).toBeGreaterThan(0);
});

test("the chaos finds out workers whose writes carry no token", { timeout: TIMEOUT }, async () => {
  const report = told(
    "SQLite, unfenced",
    await chaos({
      ...{ place: `sqlite:${newFile()}`, seed, runs: 60, fenced: false },
      ...{ kills: 0, stops: 12, drains: 0 },
    }),
  );
  expect(report.faults).not.toEqual([]);
});
