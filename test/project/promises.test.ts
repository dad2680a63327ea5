import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { brokenPromises, promisesIn } from "../support/promises.ts";

const root = join(import.meta.dirname, "../..");

describe("the README's table of promises", () => {
  const promises = promisesIn(readFileSync(join(root, "README.md"), "utf8"));

  it("names a test for each promise, in a file that exists", () => {
    expect(promises.map((promise) => promise.id)).toEqual([
      ...["P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9"],
    ]);
    for (const { id, proofs } of promises) {
      expect(proofs, id).not.toEqual([]);
      for (const proof of proofs) {
        const file = proof.split(" > ")[0] ?? "";
        expect(existsSync(join(root, file)), `${id}: ${file}`).toBe(true);
      }
    }
  });
});

// The reporter applies this check after every full run; here is that it can fail.
describe("the check that the named tests ran", () => {
  const table =
    "| # | Promise | Proof |\n|---|---|---|\n| P3 | True. | `test/a.test.ts > x > y`, `test/b.test.ts` |\n";

  it("is content when each named test passed", () => {
    const passed = new Set(["test/a.test.ts > x > y", "test/b.test.ts > z"]);
    expect(brokenPromises(promisesIn(table), passed)).toEqual([]);
  });

  it("tells of a test that was renamed, skipped or failed", () => {
    expect(brokenPromises(promisesIn(table), new Set(["test/a.test.ts > x > other"]))).toEqual([
      'promise P3 names "test/a.test.ts > x > y", which did not pass in this run.',
      'promise P3 names "test/b.test.ts", which did not pass in this run.',
    ]);
  });

  it("tells of a promise without a test, and of a table that is gone", () => {
    expect(brokenPromises(promisesIn("| P3 | True. | soon |"), new Set())).toEqual([
      "promise P3 names no test.",
    ]);
    expect(brokenPromises(promisesIn("# holdfast"), new Set())).toHaveLength(1);
  });
});
