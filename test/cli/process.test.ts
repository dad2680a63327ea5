import { execFile, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { BIN, TestProject, finished } from "./support/project.ts";

const project = new TestProject();
afterAll(() => project.remove());

describe("the process", () => {
  it("prints its version and help, and nothing else", async () => {
    const { version } = JSON.parse(
      readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
    ) as {
      version: string;
    };
    expect(await project.spawn(["--version"])).toEqual({ code: 0, out: `${version}\n`, err: "" });
  });

  it("shows no warning of Node's, and no stack", async () => {
    const { code, err } = await project.spawn(["run", "plain", "-t", "quiet"]);
    expect(code).toBe(0);
    expect(err).not.toMatch(/Warning|\s+at /);
    const wrong = await project.spawn(["run", "plain", "-i", "{"]);
    expect(wrong.code).toBe(2);
    expect(wrong.err).toMatch(/^error: --input: .*\n$/);
  });

  it("ends a run on Ctrl-C with 130, and the run goes on later", async () => {
    project.write(
      "slow.ts",
      `import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
       import { existsSync } from "node:fs";
       const State = Annotation.Root({ done: Annotation<string>() });
       export const graph = new StateGraph(State)
         .addNode("quick", () => ({ done: "quick" }))
         .addNode("slow", async () => {
           if (!existsSync(new URL("fast", import.meta.url))) await new Promise((r) => setTimeout(r, 60_000));
           return { done: "slow" };
         })
         .addEdge(START, "quick").addEdge("quick", "slow").addEdge("slow", END);`,
    );
    const child = project.start(["run", "./slow.ts:graph", "-t", "slow"]);
    let said = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes("▸ slow")) child.kill("SIGINT");
    });
    const { code, out, err } = await finished(child);
    expect({ code, out }).toEqual({ code: 130, out: "done  quick\n" });
    expect(err).toContain("Go on with: holdfast resume slow");
    project.write("fast", "");
    expect((await project.call(["resume", "slow"])).out).toBe("done  slow\n");
  });

  it("ends quietly when nobody reads on", async () => {
    const child = project.start(["threads", "ls", "-o", "jsonl"]);
    child.stdout?.destroy();
    let err = "";
    child.stderr?.on("data", (chunk: Buffer) => (err += chunk.toString()));
    const code = await new Promise((resolve) => child.on("close", resolve));
    expect({ code, err }).toEqual({ code: 0, err: "" });
  });

  it("says in one sentence that a Node is too old, and loads nothing for it", async () => {
    const source = stripTypeScriptTypes(readFileSync(BIN, "utf8"), { mode: "strip" });
    // Nothing that an old parser does not know: the oldest in use know dynamic import, and no more.
    expect(source).not.toMatch(/^\s*import\s+[^(]|\?\.|\?\?|#[a-z]|\bawait\b/m);
    project.write("bin.mjs", source);
    const old = `Object.defineProperty(process, "versions", { value: { node: "20.20.2" } }); await import("./bin.mjs");`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", old], {
      cwd: project.folder,
    });
    expect(await finished(child)).toEqual({
      code: 1,
      out: "",
      err: "holdfast needs Node 22.18 or newer; this is 20.20.2. See https://nodejs.org.\n",
    });
  });

  it("says it on a Node that is really too old, where one is installed", async (context) => {
    const run = promisify(execFile);
    const version = await run("/usr/bin/node", ["--version"]).catch(() => undefined);
    if (version === undefined || !/^v(1[89]|20|21)\./.test(version.stdout)) return context.skip();
    const said = await run("/usr/bin/node", [project.path("bin.mjs")]).catch(
      (error: unknown) => error,
    );
    expect(said).toMatchObject({ code: 1, stdout: "" });
    expect((said as { stderr: string }).stderr).toMatch(
      /^holdfast needs Node 22\.18 or newer; this is .*\n$/,
    );
  });
});
