import { readFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vitest/config";

const root = import.meta.dirname;

/**
 * `holdfast/sqlite` and the like are our own sources. Vite doesn't resolve a package's imports of
 * itself; Node would, but as a second copy of each module beside the one that tests import by path.
 */
function ownEntryPoints(): Array<{ find: RegExp; replacement: string }> {
  const { name, exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    name: string;
    exports: Record<string, string | Record<string, string>>;
  };
  return Object.entries(exports).flatMap(([subpath, target]) =>
    typeof target === "string"
      ? []
      : [
          {
            find: new RegExp(`^${name}${subpath.slice(1)}$`),
            replacement: join(root, target["holdfast-source"] ?? ""),
          },
        ],
  );
}

export default defineConfig({
  resolve: { alias: ownEntryPoints() },
  test: {
    include: ["test/**/*.test.ts"],
    // Needs a build and an `npm install`: `npm run test:packed`.
    exclude: ["test/packed/**"],
    // For what tests run in processes of their own: `holdfast` means the sources there, too.
    execArgv: ["--conditions=holdfast-source"],
    setupFiles: ["test/support/setup.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    reporters: ["default", ["./test/support/reporter.ts", { promises: true }]],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Many tests start processes and a Postgres: more workers than this only disturb each other.
    maxWorkers: 2,
  },
});
