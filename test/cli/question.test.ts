import { Command } from "@langchain/langgraph";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { SqliteSaver } from "../../checkpointers/sqlite/index.ts";
import { loadGraph } from "../../src/cli/graph.ts";
import { withSaver } from "../../src/run/graph.ts";
import { TestProject } from "./support/project.ts";

const project = new TestProject();
afterAll(() => project.remove());
beforeEach(() => {
  project.trouble();
  project.ran();
});

interface Report {
  status: string;
  questions: { id: string; node: string; value: unknown }[];
  values: { log: string[] };
}

describe("a question", () => {
  it("stops a run with exit code 5, and says what is asked", async () => {
    const { code, err } = await project.call(["run", "asking", "-t", "q"]);
    expect(code).toBe(5);
    expect(err).toContain('waiting  review asks: {"ask":"publish?"}');
    expect(err).toContain("Go on with: holdfast resume q --value JSON");
  });

  it("is not answered by resuming, nor by an approval", async () => {
    expect((await project.call(["resume", "q"])).code).toBe(5);
    const approved = await project.call(["resume", "q", "--approve"]);
    expect(approved.code).toBe(2);
    expect(approved.err).toContain("--value");
    expect(project.ran()).toEqual([]);
  });

  it("takes an answer, which does not answer the next question too", async () => {
    const second = await project.json<Report>(["resume", "q", "--value", '"yes"']);
    expect(second).toMatchObject({ status: "waiting", questions: [{ value: "sure?" }] });
    // A thread that asks again is run up to its question, and no further.
    expect((await project.call(["resume", "q"])).code).toBe(5);
    const done = await project.json<Report>(["resume", "q", "--value", "false"]);
    expect(done).toMatchObject({ status: "done", values: { log: ['"yes"', "false"] } });
    expect((await project.call(["resume", "q", "--value", "1"])).code).toBe(2);
  });

  it("keeps an answer whose run was killed, and asks no second time", async () => {
    await project.call(["run", "asking", "-t", "killed"]);
    project.trouble({ kill: "between" });
    expect((await project.spawn(["resume", "killed", "--value", "@answer.json"])).code).toBe(3);
    project.write("answer.json", '{"ok": true}');
    expect((await project.spawn(["resume", "killed", "--value", "@answer.json"])).code).toBe(null);
    project.trouble();
    const resumed = await project.json<Report>(["resume", "killed"]);
    expect(resumed).toMatchObject({ status: "waiting", questions: [{ value: "sure?" }] });
    const done = await project.json<Report>(["resume", "killed", "--value", "[1]"]);
    expect(done.values.log).toEqual(['{"ok":true}', "[1]"]);
    expect(project.ran()).toEqual(["between", "between", "between"]);
  });

  it("is answered by id where there are several", async () => {
    const { questions } = await project.json<Report>(["run", "panel", "-t", "p"]);
    expect(new Set(questions.map(({ value }) => value))).toEqual(new Set(["red?", "blue?"]));
    expect(project.ran()).toEqual(["work"]);
    const scalar = await project.call(["resume", "p", "--value", '"yes"']);
    expect(scalar.code).toBe(2);
    expect(scalar.err).toContain("2 questions are open");

    const [one, other] = questions;
    const named = ["--value", "1", "--interrupt", one?.id.slice(0, 8) ?? ""];
    const left = await project.json<Report>(["resume", "p", ...named]);
    expect(left.questions).toEqual([other]);
    const wrong = await project.call(["resume", "p", "--value", "1", "--interrupt", "zz"]);
    expect(wrong.code).toBe(2);
    const done = await project.json<Report>([
      "resume",
      "p",
      "--value",
      JSON.stringify({ [other?.id ?? ""]: 2 }),
    ]);
    expect(done.status).toBe("done");
    expect(done.values.log).toHaveLength(3);
    expect(project.ran()).toEqual([]);
  });

  it("is asked again from an earlier checkpoint, where another answer makes another branch", async () => {
    await project.call(["run", "asking", "-t", "branch"]);
    await project.call(["resume", "branch", "--value", "1"]);
    await project.call(["resume", "branch", "--value", "2"]);
    const points = await project.json<{ checkpointId: string; next: string[] }[]>([
      "threads",
      "history",
      "branch",
    ]);
    const asked = points.find(({ next }) => next.includes("review"))?.checkpointId ?? "";
    const answered = await project.json<Report>([
      "resume",
      "branch",
      "--checkpoint",
      asked,
      "--value",
      "3",
    ]);
    expect(answered).toMatchObject({ status: "waiting", questions: [{ value: "sure?" }] });
    const done = await project.json<Report>(["resume", "branch", "--value", "4"]);
    expect(done.values.log).toEqual(["3", "4"]);
    const other = await project.call([
      "resume",
      "branch",
      "--checkpoint",
      points[0]?.checkpointId ?? "",
      "--value",
      "5",
    ]);
    expect(other.code).toBe(2);
  });

  it("is not answered by a plain resume value that another program left", async () => {
    const source = { name: "asking", file: project.path("agents.ts"), exported: "asking" };
    const saver = SqliteSaver.fromConnString(project.path("holdfast.db"));
    const graph = withSaver(await loadGraph(source, {}), saver);
    const options = { configurable: { thread_id: "plain" }, metadata: { graph_id: "asking" } };
    for (const input of [{}, new Command({ resume: "first" })]) {
      for await (const _ of await graph.stream(input, { ...options, durability: "sync" }));
    }
    await saver.end();
    // LangGraph's own `invoke(null)` would answer the second question with "first".
    const resumed = await project.json<Report>(["resume", "plain"]);
    expect(resumed).toMatchObject({ status: "waiting", questions: [{ value: "sure?" }] });
    const done = await project.json<Report>(["resume", "plain", "--value", '"second"']);
    expect(done.values.log).toEqual(['"first"', '"second"']);
  });
});
