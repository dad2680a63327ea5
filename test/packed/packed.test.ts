/**
 * The package as users get it: built, packed, and installed in an empty folder with nothing but its
 * required peers. Versions are those that package.json tests with.
 */

import { execFileSync } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDatabase } from "../support/databases.ts";
import { examplesIn } from "../support/markdown.ts";
import { run } from "../support/run.ts";
import type { Ended } from "../support/run.ts";

const root = join(import.meta.dirname, "../..");

interface Manifest {
  version: string;
  exports: Record<string, string | Record<string, string>>;
  peerDependencies: Record<string, string>;
  peerDependenciesMeta: Record<string, { optional?: boolean }>;
  devDependencies: Record<string, string>;
  overrides: Record<string, string>;
}
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest;
const entryPoints = Object.entries(manifest.exports).flatMap(([subpath, target]) =>
  typeof target === "string" ? [] : [{ name: `holdfast${subpath.slice(1)}`, target }],
);

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "holdfast-packed-"));
  // `prepack` builds.
  await npm(root, "pack", "--pack-destination", folder);
  const [tarball = ""] = globSync("*.tgz", { cwd: folder });
  const { "@langchain/langgraph-sdk": sdk = "" } = manifest.overrides;
  await writeFile(
    join(folder, "package.json"),
    JSON.stringify({
      name: "a-user-of-holdfast",
      private: true,
      type: "module",
      overrides: { "@langchain/langgraph-sdk": sdk },
    }),
  );
  const peers = Object.keys(manifest.peerDependencies).filter(
    (name) => manifest.peerDependenciesMeta[name]?.optional !== true,
  );
  await install(`./${tarball}`, ...peers.map(tested));
}, 300_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the package in an empty folder, with the required peers only", () => {
  it("has none of the optional packages", () => {
    for (const name of ["pg", "pg-boss", "hono", "@opentelemetry/api", "@langchain/openai"]) {
      expect(existsSync(join(folder, "node_modules", name)), name).toBe(false);
    }
  });

  it("ships code, types, migrations and docs, and no sources or tests", () => {
    const files = globSync("**/*", { cwd: join(folder, "node_modules/holdfast") });
    expect(files).toContain("docs/semantics.md");
    expect(files).toContain("LICENSE");
    for (const dialect of ["sqlite", "postgres"]) {
      const migrations = `checkpointers/${dialect}/migrations/*.sql`;
      const shipped = globSync(`dist/${migrations}`, {
        cwd: join(folder, "node_modules/holdfast"),
      });
      expect(shipped.map((file) => file.slice("dist/".length))).toEqual(
        globSync(migrations, { cwd: root }),
      );
      expect(shipped).not.toEqual([]);
    }
    const foreign = files.filter((file) =>
      /\.test\.|^(src|test|bench|graphs|scripts)(\/|$)/.test(file),
    );
    expect(foreign).toEqual([]);
    expect(files.filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))).toEqual([]);
  });

  it.each(entryPoints)("exports from $name what the sources export", async ({ name, target }) => {
    const source = (await import(join(root, target["holdfast-source"] ?? ""))) as object;
    const packed = await node(`
      const names = Object.keys(await import(${JSON.stringify(name)}));
      console.log(JSON.stringify(names.toSorted()));
    `);
    expect(packed.stderr).toBe("");
    expect(JSON.parse(packed.stdout)).toEqual(Object.keys(source).toSorted());
  });

  it("runs the README's quick start, on SQLite", async () => {
    const { code, output } = quickStart();
    await writeFile(join(folder, "quickstart.ts"), code);
    const { stdout, stderr, exitCode } = await run(process.execPath, ["quickstart.ts"], folder);
    expect({ stdout, stderr, exitCode }).toEqual({ stdout: output, stderr: "", exitCode: 0 });
  });

  it("says which package to install for Postgres", async () => {
    const { stdout } = await node(`
      const { PostgresSaver } = await import("holdfast/postgres");
      try {
        await PostgresSaver.fromConnString("postgres://127.0.0.1:1/none").setup();
      } catch (error) {
        console.log(error.code, error.message);
      }
    `);
    expect(stdout).toMatch(/^MISSING_DEPENDENCY .*npm install pg\n$/);
  });

  it("has a command", async () => {
    const npx = (...args: string[]): Promise<Ended> =>
      run("npx", ["--no-install", ...args], folder);
    expect((await npx("holdfast", "--version")).stdout.trim()).toBe(manifest.version);
    const listed = await npx("holdfast", "--db", "sqlite:agents.db", "threads", "ls", "-o", "json");
    expect(listed.stdout).toContain('"kelp-1"');
  });
});

describe("a Node that is too old", () => {
  const old = findOldNode();

  it.skipIf(old === undefined)("is told so in one sentence by the command", async () => {
    const bin = join(folder, "node_modules/.bin/holdfast");
    const { stdout, stderr, exitCode } = await run(old ?? "", [bin, "threads", "ls"], folder);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^holdfast needs Node 22\.18 or newer; this is [\d.]+\.[^\n]*\n$/);
    expect(exitCode).not.toBe(0);
  });

  it.skipIf(old === undefined)("is told so in one sentence by the SQLite saver", async () => {
    const program = `
      try {
        const { SqliteSaver } = await import("holdfast/sqlite");
        await SqliteSaver.fromConnString(":memory:").setup();
      } catch (error) {
        console.log(error.message);
      }
    `;
    await writeFile(join(folder, "old.mjs"), program);
    const { stdout } = await run(old ?? "", ["old.mjs"], folder);
    expect(stdout).toMatch(/^[^\n]*needs Node 22\.18 or newer[^\n]*\n$/);
  });
});

describe("the package with Postgres and a compiler", () => {
  beforeAll(
    () => install(...["pg", "@types/pg", "@types/node", "typescript"].map(tested)),
    300_000,
  );

  it("keeps a thread in Postgres", async () => {
    const { stdout, stderr } = await node(`
      const { PostgresSaver } = await import("holdfast/postgres");
      const { Annotation, StateGraph } = await import("@langchain/langgraph");
      const { history } = await import("holdfast");
      const checkpointer = PostgresSaver.fromConnString(${JSON.stringify(await createDatabase())});
      const graph = new StateGraph(Annotation.Root({ n: Annotation() }))
        .addNode("one", () => ({ n: 1 }))
        .addEdge("__start__", "one")
        .compile({ checkpointer });
      await graph.invoke({}, { configurable: { thread_id: "t" } });
      const nodes = [];
      for await (const point of history(graph, "t")) nodes.push(point.node);
      console.log(JSON.stringify(nodes));
      await checkpointer.end();
    `);
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual(["one", "__start__", null]);
  });

  it("says which package to install for an engine on pg-boss", async () => {
    const { stdout } = await node(`
      const { PostgresSaver } = await import("holdfast/postgres");
      const { pgBossEngine } = await import("holdfast/pg-boss");
      const { createRuntime } = await import("holdfast");
      const saver = PostgresSaver.fromConnString(${JSON.stringify(await createDatabase())});
      const runtime = createRuntime({ saver, graphs: {}, engine: pgBossEngine() });
      await runtime.worker().start().catch(({ code, message }) => console.log(code, message));
      await runtime.close();
      await saver.end();
    `);
    expect(stdout).toMatch(/^MISSING_DEPENDENCY .*npm install pg-boss\n$/);
  });

  // Other people's declarations aren't ours to check, so only what concerns us counts.
  it.each([
    { module: "nodenext", moduleResolution: "nodenext" },
    { module: "preserve", moduleResolution: "bundler" },
  ])("compiles a user's program with $moduleResolution resolution", async (resolution) => {
    const everything = entryPoints.map(({ name }, i) => `export * as all${i} from "${name}";`);
    await writeFile(join(folder, "quickstart.ts"), quickStart().code);
    await writeFile(join(folder, "everything.ts"), everything.join("\n"));
    await writeFile(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: {
          ...resolution,
          target: "es2023",
          lib: ["es2023", "esnext.disposable"],
          strict: true,
          exactOptionalPropertyTypes: true,
          noEmit: true,
          skipLibCheck: false,
          types: ["node"],
        },
        files: ["quickstart.ts", "everything.ts"],
      }),
    );
    const { stdout } = await run(
      process.execPath,
      ["node_modules/typescript/bin/tsc", "-p", "."],
      folder,
    );
    const ours = stdout
      .split("\n")
      .filter((line) => /^\S/.test(line))
      .filter((line) => !/^(\.\.\/)*node_modules\/(?!holdfast\/)/.test(line));
    expect(ours).toEqual([]);
  });

  it("has declarations that name no TypeScript sources", async () => {
    const dist = join(folder, "node_modules/holdfast/dist");
    for (const file of globSync("**/*.d.ts", { cwd: dist })) {
      expect(await readFile(join(dist, file), "utf8"), file).not.toMatch(/"\.[^"]*(?<!\.d)\.ts"/);
    }
  });
});

function node(program: string): Promise<Ended> {
  return run(process.execPath, ["--input-type=module", "--eval", program], folder);
}

async function npm(cwd: string, ...args: string[]): Promise<void> {
  const { exitCode, stderr, stdout } = await run("npm", args, cwd);
  if (exitCode !== 0) throw new Error(`npm ${args.join(" ")}:\n${stdout}\n${stderr}`);
}

async function install(...packages: string[]): Promise<void> {
  const quietly = ["--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];
  await npm(folder, "install", ...quietly, ...packages);
}

/** `name@version`, as this repository is tested with it. */
function tested(name: string): string {
  return `${name}@${manifest.devDependencies[name] ?? "latest"}`;
}

function quickStart(): { code: string; output: string } {
  const [first] = examplesIn("README.md", readFileSync(join(root, "README.md"), "utf8"));
  return { code: first?.code ?? "", output: first?.output ?? "" };
}

/** The machine's own Node, where that is older than the package allows. */
function findOldNode(): string | undefined {
  for (const place of (process.env["PATH"] ?? "").split(delimiter)) {
    const candidate = join(place, "node");
    if (place.includes("node_modules") || !existsSync(candidate)) continue;
    const version = execFileSync(candidate, ["--version"], { encoding: "utf8" });
    if (Number(/^v(\d+)\./.exec(version)?.[1]) < 22) return candidate;
  }
  return undefined;
}
