import { defineConfig } from "vitest/config";
import base from "./vitest.config.ts";

/** `npm run test:packed`: the package as users get it, built, packed and installed elsewhere. */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: ["test/packed/**/*.test.ts"],
    exclude: [],
    reporters: ["default", "./test/support/reporter.ts"],
  },
});
