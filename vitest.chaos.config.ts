import { defineConfig } from "vitest/config";
import base from "./vitest.config.ts";

/**
 * `npm run chaos`: thousands of runs, where `npm test` does two hundred. `CHAOS_SEED` draws others;
 * `CHAOS_ENGINE=pg-boss`, or `listening`, has those on Postgres dispatched by another engine.
 */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: ["test/chaos/**/*.test.ts"],
    // The README's promises name tests of all of the suite.
    reporters: ["default", "./test/support/reporter.ts"],
    env: { CHAOS_RUNS: "5000" },
    maxWorkers: 1,
  },
});
