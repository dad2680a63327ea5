import { mkdirSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { TestProject } from "./support/project.ts";

const project = new TestProject();
afterAll(() => project.remove());

describe("holdfast graph", () => {
  it("draws edges, conditions and gates", async () => {
    const { out } = await project.call(["graph", "routed"]);
    expect(out).toBe(`START      → review
review     ⇢ publish (yes) | revise (no)
⏸ publish  → END
revise     → review

⇢ on a condition   ⏸ waits for approval
`);
  });

  it("gives Mermaid, JSON, and the insides of subgraphs", async () => {
    expect((await project.call(["graph", "nested", "--mermaid"])).out).toContain("plan --> mail;");
    expect((await project.call(["graph", "nested", "--xray"])).out).toMatch(/draft +→ mail:send/);
    expect(await project.json(["graph", "gated"])).toMatchObject({
      graph: "gated",
      nodes: ["__start__", "plan", "write", "publish", "tell", "__end__"],
      interruptBefore: ["publish"],
    });
    expect((await project.call(["graph", "gated", "--mermaid", "--ascii"])).code).toBe(2);
  });
});

describe("a graph", () => {
  it("may be a builder, a function, a default export or one of many files", async () => {
    expect((await project.call(["run", "plain"])).code).toBe(0);
    const words = ["--configurable", '{"size": 3}', "-t", "made"];
    expect((await project.call(["run", "made", ...words])).out).toBe('log  ["size 3"]\n');
    project.write("one.ts", 'export { gated as default } from "./agents.ts";');
    expect((await project.call(["run", "./one.ts", "-t", "one"])).code).toBe(5);
    expect((await project.call(["run", "--graph", "agents.ts:asking", "-t", "two"])).code).toBe(5);
  });

  it("is remembered by its thread, from any folder of the project", async () => {
    mkdirSync(project.path("deep/er"), { recursive: true });
    const cwd = project.path("deep/er");
    expect((await project.call(["run", "../../one.ts", "-t", "deep"], { cwd })).code).toBe(5);
    expect((await project.call(["resume", "deep", "--approve"])).code).toBe(0);
    expect((await project.call(["resume", "two", "--value", "1"], { cwd })).code).toBe(5);
  });

  it.each([
    [["run", "nope"], 3, /There is no graph "nope".*has plain, gated/],
    [["run"], 2, /Which graph\?/],
    [["run", "./nope.ts:graph"], 3, /There is no file .*nope\.ts/],
    [["run", "./agents.ts:nope"], 3, /no export "nope"; it exports .*asking/],
    [["run", "./agents.ts:notAGraph"], 2, /is not a graph but object/],
    [["run", "./agent.py:graph"], 3, /There is no graph/],
    [["run", "plain", "-c", "nope.json"], 3, /Cannot read .*nope\.json/],
  ])("%j ends with %i", async (words, code, message) => {
    const said = await project.call(words);
    expect(said).toMatchObject({ code, out: "" });
    expect(said.err).toMatch(message);
    expect(said.err.trim().split("\n")).toHaveLength(1);
  });

  it("has one line for a broken project file", async () => {
    project.write("bad.json", "{ nope");
    project.write("odd.json", '{"graphs": {"a": 7}}');
    project.write("throws.ts", 'throw new Error("first\\nsecond");');
    for (const words of [
      ["run", "-c", "bad.json"],
      ["run", "-c", "odd.json"],
      ["run", "./throws.ts:graph"],
    ]) {
      const { code, err } = await project.call(words);
      expect(code).toBe(words[1] === "-c" ? 2 : 1);
      expect(err.trim().split("\n")).toHaveLength(1);
    }
  });
});

describe("in a process of its own", () => {
  it("TypeScript runs that Node alone does not: enums, no extension, tsconfig paths, JSX", async () => {
    mkdirSync(project.path("lib"), { recursive: true });
    project.write(
      "tsconfig.json",
      '{"compilerOptions": {"baseUrl": ".", "paths": {"@lib/*": ["./lib/*"]}}}',
    );
    project.write(
      "lib/names.ts",
      'export enum Name { One = "one" }\nexport interface Shape { a: string }',
    );
    project.write(
      "modern.ts",
      `import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
       import { Name, Shape } from "@lib/names";
       import { suffix } from "./suffix";
       const State = Annotation.Root({ said: Annotation<string>() });
       console.log("a log of the graph's own");
       const shape: Shape = { a: "!" };
       export const graph = new StateGraph(State)
         .addNode(Name.One, () => ({ said: process.env.GREETING + suffix + shape.a }))
         .addEdge(START, Name.One).addEdge(Name.One, END);`,
    );
    project.write("suffix.ts", 'export const suffix: string = ", world";');
    project.write(".env", "GREETING=hello\nHOLDFAST_DB=sqlite:./from-env.db\n");
    project.write("modern.json", '{"graphs": {"modern": "./modern.ts:graph"}, "env": ".env"}');
    const run = ["run", "-c", "modern.json", "-t", "m", "-o", "json"];
    const { code, out, err } = await project.spawn(run);
    expect({ code, err }).toMatchObject({ code: 0 });
    // The graph's own output is not data.
    expect(JSON.parse(out)).toMatchObject({ threadId: "m", values: { said: "hello, world!" } });
    expect(err).toContain("a log of the graph's own");
    const other = { env: { GREETING: "bye", HOLDFAST_DB: "sqlite:other.db" } };
    expect((await project.spawn(run, other)).out).toContain("bye, world!");
    expect((await project.call(["threads", "ls", "--db", "from-env.db"])).out).toContain(
      "graph_id=modern",
    );
  });

  it("CommonJS and what it exports runs too, and a missing package is one line", async () => {
    project.write(
      "old.cjs",
      `const { Annotation, END, START, StateGraph } = require("@langchain/langgraph");
       const State = Annotation.Root({ said: Annotation() });
       module.exports.graph = new StateGraph(State).addNode("say", () => ({ said: "old" }))
         .addEdge(START, "say").addEdge("say", END).compile();`,
    );
    expect((await project.spawn(["run", "./old.cjs:graph"])).out).toBe("said  old\n");
    project.write("lost.ts", 'import "not-installed-anywhere"; export const graph = 1;');
    const { code, err } = await project.spawn(["run", "./lost.ts:graph"]);
    expect(code).toBe(1);
    expect(err).toMatch(
      /^error: Graph ".\/lost.ts:graph" could not be loaded: .*not-installed-anywhere.*\n$/,
    );
  });
});
