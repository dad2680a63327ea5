import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { importsOf, violations } from "./support/architecture.ts";

const root = join(import.meta.dirname, "..");

describe("the architecture", () => {
  it("is what design and README say", () => {
    const files = globSync("{src,checkpointers,graphs,test,bench,scripts}/**/*.{ts,sql}", {
      cwd: root,
    });
    const sources = new Map(
      files.map((file) => [file.replaceAll("\\", "/"), readFileSync(join(root, file), "utf8")]),
    );
    const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      dependencies: Record<string, string>;
      peerDependencies: Record<string, string>;
    };
    const promised = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
    expect(files.length).toBeGreaterThan(20);
    expect(violations(sources, promised)).toEqual([]);
  });
});

describe("the check itself", () => {
  const found = (files: Record<string, string>, promised: string[] = []): string[] =>
    violations(new Map(Object.entries(files)), promised);

  it("finds every form of import", () => {
    expect(
      importsOf(`
import "./bare.ts";
import one from "./one.ts";
import type { Two } from "./two.ts";
import {
  three,
  type Four,
} from "./three.ts";
import * as five from "./five.ts";
export { six } from "./six.ts";
export * from "./seven.ts";
const eight = await import("./eight.ts");
type Nine = typeof import("./nine.ts");
const ten = createRequire(import.meta.url)("./ten.ts");
// import "./comment.ts";
/*
import "./block.ts";
*/
const text = 'import "./string.ts"';
`),
    ).toEqual([
      ...["./bare.ts", "./one.ts", "./two.ts", "./three.ts", "./five.ts", "./six.ts"],
      ...["./seven.ts", "./eight.ts", "./nine.ts", "./ten.ts"],
    ]);
  });

  it("refuses what points the wrong way", () => {
    expect(found({ "src/errors.ts": 'import { now } from "./clock.ts";\n' })).toEqual([]);
    expect(found({ "src/errors.ts": 'import "./store.ts";\n' })).toHaveLength(1);
    expect(found({ "src/policy/a.ts": 'import type { S } from "../store.ts";\n' })).toHaveLength(1);
    expect(found({ "src/history/a.ts": 'import "../../checkpointers/saver.ts";\n' })).toHaveLength(
      1,
    );
    expect(found({ "src/cli/a.ts": 'import "../../checkpointers/saver.ts";\n' })).toEqual([]);
    expect(found({ "checkpointers/saver.ts": 'import "../src/history/a.ts";\n' })).toHaveLength(1);
    expect(found({ "checkpointers/saver.ts": 'import "./sqlite/a.ts";\n' })).toHaveLength(1);
    expect(found({ "graphs/a.ts": 'import "../src/errors.ts";\n' })).toHaveLength(1);
    expect(found({ "src/history/a.ts": 'import "../../test/support/a.ts";\n' })).toHaveLength(1);
    expect(found({ "src/odd/a.ts": "" })).toHaveLength(1);
  });

  it("refuses a dialect that imports the other", () => {
    const files = {
      "checkpointers/sqlite/a.ts": 'import "../postgres/a.ts";\n',
      "checkpointers/postgres/a.ts": "",
    };
    expect(found(files)).toEqual([
      "checkpointers/sqlite/a.ts (sqlite) must not import checkpointers/postgres/a.ts (postgres).",
    ]);
  });

  it("keeps packages at home, and to those that package.json names", () => {
    const pg = 'import pg from "pg";\n';
    expect(found({ "src/history/a.ts": pg }, ["pg"])).toHaveLength(1);
    expect(found({ "checkpointers/saver.ts": pg }, ["pg"])).toHaveLength(1);
    expect(found({ "test/a.test.ts": pg }, ["pg"])).toEqual([]);
    const sqlite = 'const { DatabaseSync } = await import("node:sqlite");\n';
    expect(found({ "src/cli/a.ts": sqlite })).toHaveLength(1);
    expect(found({ "src/history/a.ts": 'import { z } from "zod";\n' }, ["pg"])).toHaveLength(1);
    expect(
      found({ "src/history/a.ts": 'import "@langchain/core/x";\n' }, ["@langchain/core"]),
    ).toEqual([]);
  });

  it("guards the doors to time, randomness and the process", () => {
    expect(found({ "src/history/a.ts": "const at = Date.now();\n" })).toHaveLength(1);
    expect(found({ "src/history/a.ts": "const at = new Date();\n" })).toHaveLength(1);
    expect(found({ "src/history/a.ts": "const at = new Date(row.at);\n" })).toEqual([]);
    expect(found({ "checkpointers/saver.ts": "const id = Math.random();\n" })).toHaveLength(1);
    expect(found({ "checkpointers/saver.ts": "if (process.env.DEBUG) {\n}\n" })).toHaveLength(1);
    expect(found({ "checkpointers/saver.ts": "// Date.now() would be wrong here\n" })).toEqual([]);
    expect(found({ "src/clock.ts": "export const now = () => Date.now();\n" })).toEqual([]);
  });

  it("wants twins, short files, an index without logic, and no cycles", () => {
    expect(
      found({
        "checkpointers/sqlite/a.ts": "",
        "checkpointers/sqlite/migrations/0001.sql": "",
        "checkpointers/postgres/a.ts": "",
        "checkpointers/postgres/b.ts": "",
      }),
    ).toEqual([
      "checkpointers/sqlite/migrations/0001.sql has no twin in the other dialect.",
      "checkpointers/postgres/b.ts has no twin in the other dialect.",
    ]);
    expect(found({ "src/store.ts": "\n".repeat(601) })).toHaveLength(1);
    expect(found({ "src/index.ts": 'export {\n  a,\n} from "./errors.ts";\n' })).toEqual([]);
    expect(found({ "src/index.ts": 'export * from "./errors.ts";\n' })).toHaveLength(1);
    expect(found({ "src/index.ts": "export const a = 1;\n" })).toHaveLength(1);
    expect(
      found({
        "src/history/a.ts": 'import "./b.ts";\n',
        "src/history/b.ts": 'import "./c.ts";\n',
        "src/history/c.ts": 'import "./a.ts";\n',
      }),
    ).toEqual([
      "Import cycle: src/history/a.ts -> src/history/b.ts -> src/history/c.ts -> src/history/a.ts",
    ]);
  });
});
