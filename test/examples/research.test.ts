import { cp, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { fakeOpenAI } from "../../src/testing/index.ts";
import { matrix } from "../support/matrix.ts";
import { newFile, PLACES } from "../support/places.ts";

const DOCUMENTS = join(import.meta.dirname, "../graphs/documents");

/**
 * How often each run is killed, before it is let go to its end. A fourth time in the same node would be
 * taken for the node's own doing (`AttemptCrashedError`).
 */
const KILLS = 3;

describe.each(PLACES)("the research agent, on %s", (name, newPlace) => {
  test("killed at random, again and again, publishes the report that it would have published", async () => {
    const reportOf = (path: string) => readFile(path, "utf8");
    let report: string | undefined;
    let steps = 0;
    const { failures, kills, points, summary } = await matrix({
      name,
      script: new URL("../support/programs/research.ts", import.meta.url),
      sample: 2,
      kills: KILLS,
      maxResumes: 0,
      setUp: async () => {
        const server = await fakeOpenAI();
        const path = newFile("report.md");
        // Of the same name in each, since the report names its files.
        const documents = join(dirname(path), "documents");
        await cp(DOCUMENTS, documents, { recursive: true });
        return {
          path,
          server,
          args: [(await newPlace()).url, documents, path],
          env: { OPENAI_BASE_URL: server.baseURL, OPENAI_API_KEY: "none" },
          end: () => server.close(),
        };
      },
      check: async ({ setup: { path }, runs, point }) => {
        if (point === undefined) {
          report = await reportOf(path);
          steps = Number(runs[0]?.stdout);
          return;
        }
        expect(await reportOf(path)).toBe(report);
        // What was done before the last kill is not done again after it.
        expect(Number(runs.at(-1)?.stdout)).toBeLessThanOrEqual(steps);
      },
    });
    expect(failures, summary).toEqual([]);
    expect(steps).toBeGreaterThan(20);
    expect(kills).toBeGreaterThan(points);
    expect(report).toContain("## Sources");
  });
});
