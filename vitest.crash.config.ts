import { defineConfig } from "vitest/config";
import base from "./vitest.config.ts";

/** `npm run crash`: every point of every crash matrix, where `npm test` kills at a sample. */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: ["test/crash/**/*.test.ts"],
    // The README's promises name tests of all of the suite.
    reporters: ["default", "./test/support/reporter.ts"],
    env: { CRASH_POINTS: "all" },
    testTimeout: 3_600_000,
    // Each matrix uses all processors itself.
    maxWorkers: 1,
  },
});
