import { globSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SURROUNDINGS, examplesIn } from "../support/markdown.ts";
import { run } from "../support/run.ts";

const root = join(import.meta.dirname, "../..");

const examples = ["README.md", ...globSync("docs/*.md", { cwd: root })].flatMap((name) =>
  examplesIn(name, readFileSync(join(root, name), "utf8")),
);

describe("the examples in README and docs", () => {
  // Inside the repository, so that `holdfast` is this package, as it is for a user's project.
  let folder: string;

  beforeAll(async () => {
    await mkdir(join(root, ".tmp"), { recursive: true });
    folder = await mkdtemp(join(root, ".tmp/examples-"));
    // Each is a module of its own, whether it imports anything or not.
    const modules = examples.map(({ code }) => `${code}export {};\n`);
    await Promise.all(modules.map((code, i) => writeFile(join(folder, `example-${i}.ts`), code)));
    await writeFile(join(folder, "surroundings.d.ts"), SURROUNDINGS);
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("pass the compiler", async () => {
    const tsconfig = {
      extends: "../../tsconfig.json",
      // An example may name what only the text around it goes on to use.
      compilerOptions: { noUnusedLocals: false },
      include: ["."],
    };
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify(tsconfig));
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    const { stdout } = await run(process.execPath, [tsc, "-p", "."], folder);
    const named = stdout.replaceAll(
      /\S*example-(\d+)\.ts/g,
      (_, i: string) => examples[Number(i)]?.where ?? "",
    );
    expect(named).toBe("");
  });

  for (const [i, { where, runnable, output }] of examples.entries()) {
    if (!runnable) continue;
    it(`run: ${where}`, async () => {
      const { stdout, stderr, exitCode } = await run(
        process.execPath,
        ["--conditions=holdfast-source", `example-${i}.ts`],
        folder,
      );
      expect(stderr).toBe("");
      expect(exitCode).toBe(0);
      if (output !== undefined) expect(stdout).toBe(output);
    });
  }
});

describe("the quick start", () => {
  it("is the README's first example, runs, and fits on a screen", () => {
    const [first] = examples;
    expect(first?.where).toMatch(/^README/);
    expect(first?.runnable).toBe(true);
    expect(first?.output).toBeDefined();
    expect(first?.code.trimEnd().split("\n").length).toBeLessThanOrEqual(25);
  });
});
