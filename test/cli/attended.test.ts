/** `holdfast run`: a run like any other, which the command accepts, and works on itself. */

import { onTestFinished, describe, expect, it } from "vitest";
import { createRuntime } from "../../src/index.ts";
import { createDatabase } from "../support/databases.ts";
import { openSaver } from "../support/open-saver.ts";
import { builder } from "./fixture/agents.ts";
import { OrdersProject, ORDERS } from "./support/orders.ts";
import { TestProject, finished, type CallOptions, type Said } from "./support/project.ts";

const WAITING = `
import { Annotation, END, START, StateGraph, interrupt } from "@langchain/langgraph";
import { durable, sleep, waitForEvent } from ${JSON.stringify(new URL("../../src/index.ts", import.meta.url).pathname)};
const State = Annotation.Root({ said: Annotation() });
const one = (node) => new StateGraph(State).addNode("n", durable.for(State)(node)).addEdge(START, "n").addEdge("n", END);
export const event = one(async () => ({ said: (await waitForEvent("word"))?.payload }));
export const nap = one(async () => { await sleep(6_000); return { said: "slept" }; });
export const told = one((_, { configurable }) => {
  const { color, size, thread_id } = configurable;
  if (color !== "red") throw Object.assign(new Error("not red"), { status: 400 });
  return { said: [color, size, thread_id].join(" ") };
});
// A graph that a node calls by itself, which asks twice.
const asks = one(() => ({ said: interrupt("one?") + " " + interrupt("two?") }));
const calls = (inner) => one(async (_, config) => ({ said: (await inner.invoke({}, config)).said }));
export const inside = calls(asks.compile());
export const apart = calls(asks.compile({ checkpointer: true }));
export const made = ({ configurable: { color = "none" } }) => one(() => ({ said: color })).compile({ interruptBefore: ["n"] });
`;

const SLOW = `
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
const State = Annotation.Root({ said: Annotation() });
export const graph = new StateGraph(State)
  .addNode("quick", () => ({ said: "quick" }))
  .addNode("slow", () => new Promise(() => setTimeout(() => undefined, 600_000)))
  .addEdge(START, "quick").addEdge("quick", "slow").addEdge("slow", END);
`;

describe.each([
  ["SQLite", (project: TestProject) => Promise.resolve(`sqlite:${project.path("agents.db")}`)],
  ["Postgres", () => createDatabase()],
])("a run of the command line, on %s", (_, newUrl) => {
  async function newProject(project: TestProject = new TestProject()) {
    onTestFinished(() => project.remove());
    project.write("waiting.ts", WAITING);
    const url = await newUrl(project);
    const db = ["--db", url];
    const call = (words: string[], options?: CallOptions): Promise<Said> =>
      project.call([...words, ...db], options);
    const json = <T = Record<string, unknown>>(...words: string[]): Promise<T> =>
      project.json<T>([...words, ...db]);
    const runs = (): Promise<{ runId: string; status: string; attempt: number }[]> =>
      json("runs", "ls");
    return { project, url, db, call, json, runs };
  }

  it("is accepted, and done here", async () => {
    const { call, json, runs } = await newProject();
    const said = await call(["run", "plain", "-t", "t", "-i", '{"topic":"kelp"}']);
    expect(said).toMatchObject({
      code: 0,
      out: 'topic  kelp\nlog  ["plan","write","publish","tell"]\n',
    });
    expect(said.err).toMatch(/^thread t\n▸ plan\n✓ plan .*\n▸ write\n(.*\n)+done {2}thread t\n$/);
    const [run, ...others] = await runs();
    expect(others).toEqual([]);
    expect(run).toMatchObject({ status: "completed", attempt: 1, graph: "plain", threadId: "t" });
    expect(await json("runs", "get", run?.runId ?? "")).toMatchObject({ input: { topic: "kelp" } });
  });

  it("goes on after a kill: by resume, or by a worker", async () => {
    const { project, db, call, runs } = await newProject();
    project.trouble({ kill: "publish" });
    await project.spawn(["run", "plain", "-t", "a", ...db]);
    await project.spawn(["run", "plain", "-t", "b", ...db]);
    project.trouble();
    project.ran();
    expect(await runs()).toMatchObject([{ status: "running" }, { status: "running" }]);
    const resumed = await call(["resume", "a"]);
    expect(resumed).toMatchObject({ code: 0, out: 'log  ["plan","write","publish","tell"]\n' });
    expect(project.ran()).toEqual(["publish", "tell"]);
    const stop = new AbortController();
    const worker = call(["worker", "--poll", "20"], { signal: stop.signal });
    const b = (await runs())[0]?.runId ?? "";
    expect((await call(["runs", "wait", b])).code).toBe(0);
    stop.abort();
    await worker;
    expect(project.ran()).toEqual(["publish", "tell"]);
    expect(await runs()).toMatchObject([
      { status: "completed", attempt: 2 },
      { status: "completed", attempt: 2 },
    ]);
  });

  it("goes on that was left before anything of its thread was stored", async () => {
    const { url, call, runs } = await newProject();
    await call(["runs", "start", "plain", "-t", "t", "--run-id", "theirs", "--at", "1h"]);
    // It is for workers.
    expect((await call(["resume", "t"])).code).toBe(3);
    await call(["runs", "cancel", "theirs"]);
    const saver = openSaver(url);
    onTestFinished(() => saver.end());
    const graphs = { plain: builder.compile({ checkpointer: saver }) };
    const runtime = createRuntime({ saver, graphs, worker: false });
    await runtime.start("plain", {}, { threadId: "t", runId: "ours", attended: true });
    await runtime.close();
    expect((await call(["resume", "t"])).out).toBe('log  ["plan","write","publish","tell"]\n');
    expect((await runs())[0]).toMatchObject({ runId: "ours", status: "completed" });
  });

  it("that failed is tried again where it failed, as the same run, and keeps what it did", async () => {
    const orders = new OrdersProject();
    const { call, runs } = await newProject(orders);
    const failed = await call(["run", ORDERS, "-t", "o", "-i", '{"order":"o"}']);
    expect(failed.code).toBe(1);
    expect(failed.err).toMatch(
      /error: Node "pay" failed: the card was refused\n.*try again from there with: holdfast resume o.*\n.*can be undone with: holdfast compensate o/,
    );
    const [run] = await runs();
    expect(run).toMatchObject({ status: "failed", reason: "the card was refused" });
    expect((await call(["resume", "o"])).code).toBe(1);
    orders.turn("paid", true);
    expect((await call(["resume", "o"])).code).toBe(0);
    expect(orders.world()).toEqual(["label o"]);
    expect(await runs()).toMatchObject([{ runId: run?.runId, status: "completed", attempt: 3 }]);
  });

  it("stopped by Ctrl-C is left to who comes next, as the same run", async () => {
    const { project, db, call, runs } = await newProject();
    const child = project.start(["run", "./waiting.ts:nap", "-t", "n", ...db]);
    let said = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      if (/parked/.test(said)) child.kill("SIGINT");
    });
    const ended = await finished(child);
    expect(ended.code).toBe(130);
    expect(ended.err).toMatch(/\? n {2}waits\nparked {2}until \d{4}-.*: sleep\n/);
    expect(ended.err).toContain("Go on with: holdfast resume n");
    expect(await runs()).toMatchObject([{ status: "parked", attempt: 1 }]);
    expect(await call(["resume", "n"])).toMatchObject({ code: 0, out: "said  slept\n" });
    expect(await runs()).toHaveLength(1);
  });

  it("waits for an event elsewhere, and resume goes on with it", async () => {
    const { call, runs } = await newProject();
    const waiting = await call(["run", "./waiting.ts:event", "-t", "e"]);
    expect(waiting.code).toBe(5);
    expect(waiting.err).toMatch(/parked {2}for event word\nGo on then with: holdfast resume e/);
    expect((await call(["resume", "e"])).code).toBe(5);
    await call(["emit", "word", "--payload", '"hello"']);
    expect(await call(["resume", "e"])).toMatchObject({ code: 0, out: "said  hello\n" });
    expect(await runs()).toMatchObject([{ status: "completed" }]);
  });

  it("keeps what it was given for its nodes, and takes more when it goes on", async () => {
    const { call, json, runs } = await newProject();
    const words = ["./waiting.ts:told", "-t", "c", "--recursion-limit", "9"];
    const failed = await call(["run", ...words, "--configurable", '{"color":"blue","size":3}']);
    expect(failed.err).toContain("not red");
    expect((await call(["resume", "c"])).code).toBe(1);
    const more = ["--configurable", '{"color":"red"}', "--recursion-limit", "7"];
    expect((await call(["resume", "c", ...more])).out).toBe("said  red 3 c\n");
    const [run] = await runs();
    expect(await json("runs", "get", run?.runId ?? "")).toMatchObject({ stepLimit: 7, attempt: 3 });
    for (const name of ["thread_id", "checkpoint_id", "__pregel_read"]) {
      const taken = ["--configurable", JSON.stringify({ [name]: "x" })];
      const { code, err } = await call(["run", "plain", ...taken]);
      expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining(`"${name}"`) });
    }
    expect(await runs()).toHaveLength(1);
  });

  it("gives way where its thread goes on from another state, and nothing is undone", async () => {
    const { call, json, runs } = await newProject();
    expect((await call(["run", "gated", "-t", "g"])).code).toBe(5);
    const points = await json<{ checkpointId: string; next: string[] }[]>(
      ...["threads", "history", "g"],
    );
    const at = points.find(({ next }) => next[0] === "write")?.checkpointId ?? "";
    expect((await call(["resume", "g", "--checkpoint", at])).code).toBe(5);
    const [run] = await runs();
    expect(await json("runs", "get", run?.runId ?? "")).toMatchObject({
      ...{ status: "cancelled", undone: [], stuck: [] },
    });
    expect((await call(["resume", "g", "--approve"])).code).toBe(0);

    expect((await call(["run", "gated", "-t", "h"])).code).toBe(5);
    expect((await call(["run", "gated", "-t", "h"])).code).toBe(5);
    expect((await call(["run", "gated", "-t", "h", "--abandon"])).code).toBe(5);
    expect(await runs()).toMatchObject([
      { status: "interrupted" },
      { status: "cancelled", reason: expect.stringContaining("superseded") },
      { status: "cancelled" },
    ]);
    expect((await call(["resume", "h", "--approve"])).code).toBe(0);
  });

  it("is not begun beside another that is at work on its thread", async () => {
    const { project, db, call, runs } = await newProject();
    const child = project.start(["run", "./waiting.ts:nap", "-t", "n", ...db]);
    onTestFinished(() => void child.kill("SIGKILL"));
    const first = finished(child);
    await expect.poll(runs, { timeout: 30_000 }).toMatchObject([{ status: "parked" }]);
    const second = await call(["run", "./waiting.ts:nap", "-t", "n", "--abandon"], {
      signal: AbortSignal.timeout(20_000),
    });
    expect(second).toMatchObject({ code: 0, out: "said  slept\n" });
    expect((await first).err).toMatch(/error: Run .* is cancelled: for run /);
    expect(await runs()).toMatchObject([{ status: "completed" }, { status: "cancelled" }]);
  });

  it.each(["inside", "apart"])(
    "takes an answer also to a question that cannot be seen from outside (%s), once",
    async (graph) => {
      const { call } = await newProject();
      const asked = await call(["run", `./waiting.ts:${graph}`, "-t", "q"]);
      expect(asked).toMatchObject({ code: 5, err: expect.stringContaining("one?") });
      const again = await call(["resume", "q", "--value", '"yes"']);
      expect(again).toMatchObject({ code: 5, err: expect.stringContaining("two?") });
      expect((await call(["resume", "q"])).code).toBe(5);
      expect((await call(["resume", "q", "--value", '"no"'])).out).toBe("said  yes no\n");
    },
  );

  it("leaves what comes behind it on its thread to workers", async () => {
    const { project, db, call, runs } = await newProject();
    const child = project.start(["run", "./waiting.ts:nap", "-t", "n", ...db]);
    onTestFinished(() => void child.kill("SIGKILL"));
    const first = finished(child);
    await expect.poll(runs, { timeout: 30_000 }).toMatchObject([{ status: "parked" }]);
    await call(["runs", "start", "plain", "-t", "n", "--run-id", "theirs"]);
    expect(await first).toMatchObject({ code: 0, out: "said  slept\n" });
    expect(await runs()).toMatchObject([
      { runId: "theirs", status: "queued", attempt: 0 },
      { status: "completed" },
    ]);
    // It is for workers, and not to be dropped.
    for (const more of [[], ["--abandon"]]) {
      const said = await call(["run", "plain", "-t", "n", ...more]);
      expect(said).toMatchObject({ code: 2, err: expect.stringContaining("done by workers") });
    }
    expect((await runs())[0]).toMatchObject({ runId: "theirs", status: "queued" });
  });

  it("is left behind by one of another graph", async () => {
    const { project, db, call, runs } = await newProject();
    const child = project.start(["run", "./waiting.ts:nap", "-t", "n", ...db]);
    const ended = finished(child);
    await expect.poll(runs, { timeout: 30_000 }).toMatchObject([{ status: "parked" }]);
    child.kill("SIGINT");
    await ended;
    const refused = await call(["run", "plain", "-t", "n"]);
    expect(refused).toMatchObject({ code: 2, err: expect.stringContaining("holdfast resume n") });
    expect((await call(["run", "plain", "-t", "n", "--abandon"])).code).toBe(0);
    expect(await runs()).toMatchObject([{ status: "completed" }, { status: "cancelled" }]);
  });

  it("is not disturbed where it is at work, nor by a checkpoint that there is not", async () => {
    const { project, db, call, runs } = await newProject();
    project.write("slow.ts", SLOW);
    expect((await call(["run", "gated", "-t", "g"])).code).toBe(5);
    expect((await call(["resume", "g", "--checkpoint", "1f0a4c2e-0000"])).code).toBe(3);
    const [{ checkpointId } = { checkpointId: "" }] = await project.json<
      { checkpointId: string }[]
    >(["threads", "history", "g", ...db]);
    expect((await call(["resume", "g", "--checkpoint", checkpointId])).code).toBe(5);
    expect(await runs()).toMatchObject([{ status: "interrupted" }]);

    const child = project.start(["run", "./slow.ts:graph", "-t", "s", ...db]);
    const ended = finished(child);
    const steps = async (): Promise<number> =>
      (await call(["threads", "history", "s", "-o", "jsonl"])).out.trim().split("\n").length;
    await expect.poll(steps, { timeout: 30_000 }).toBe(3);
    const history = await project.json<{ checkpointId: string }[]>([
      ...["threads", "history", "s", ...db],
    ]);
    const early = history.at(-1)?.checkpointId ?? "";
    for (const words of [
      ["resume", "s"],
      ["resume", "s", "--checkpoint", early],
      ["threads", "fork", "s", "--checkpoint", early, "--run"],
      ["run", "./slow.ts:graph", "-t", "s", "--abandon"],
    ]) {
      const said = await call(words);
      expect(said.code).toBe(1);
      expect(said.err).toMatch(/error: Thread "s" is being run/);
    }
    child.kill("SIGINT");
    expect((await ended).code).toBe(130);
  });

  it("is told as it ended, and goes on when asked to, with what it was given", async () => {
    const { call, runs } = await newProject();
    const words = ["run", "./waiting.ts:made", "-t", "m", "--configurable", '{"color":"red"}'];
    expect((await call(words)).code).toBe(5);
    const [run] = await runs();
    await call(["runs", "cancel", run?.runId ?? ""]);
    expect(await call(["resume", "m"])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/error: Run ".*" is cancelled: cancelled by hand\n/),
    });
    expect((await call(["resume", "m", "--approve"])).out).toBe("said  red\n");
    expect(await runs()).toMatchObject([{ runId: run?.runId, status: "completed" }]);
  });
});
