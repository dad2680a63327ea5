/** `holdfast worker` as processes: drained, broken off, killed. */

import { Annotation, START, StateGraph } from "@langchain/langgraph";
import type { ChildProcess } from "node:child_process";
import { onTestFinished, describe, expect, it } from "vitest";
import { createRuntime, localEngine } from "../../src/index.ts";
import { pgBossEngine } from "../../src/engine/pg-boss.ts";
import { createDatabase } from "../support/databases.ts";
import { openSaver } from "../support/open-saver.ts";
import type { TestProject } from "./support/project.ts";
import { SLOW, SlowProject } from "./support/slow.ts";

const DATABASES: [name: string, newUrl: () => Promise<string>][] = [
  ["SQLite", () => Promise.resolve("sqlite:agents.db")],
  ["Postgres", () => createDatabase()],
];

interface Worker {
  child: ChildProcess;
  said: { out: string; err: string };
  /** Settles once it has said so on stderr. */
  says(what: string | RegExp): Promise<void>;
  ended: Promise<number | null>;
}

function startWorker(project: TestProject, ...words: string[]): Worker {
  const child = project.start(["worker", "--poll", "50", ...words]);
  const said = { out: "", err: "" };
  child.stdout?.on("data", (chunk: Buffer) => (said.out += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (said.err += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  return {
    child,
    said,
    ended,
    says: async (what) => {
      await expect.poll(() => said.err, { timeout: 60_000 }).toMatch(what);
    },
  };
}

function newProject(): SlowProject {
  const project = new SlowProject();
  onTestFinished(() => project.remove());
  return project;
}

describe.each(DATABASES)("a worker on %s", (_, newUrl) => {
  it("leaves a run after its superstep on SIGTERM, and another worker finishes it", async () => {
    const project = newProject();
    const db = ["--graph", SLOW, "--db", await newUrl()];
    const start = ["runs", "start", "--run-id", "r-1", "--thread", "t-1", ...db];
    expect(await project.call(start)).toMatchObject({ code: 0, out: "r-1\n" });
    const first = startWorker(project, ...db);
    await project.begun();
    first.child.kill("SIGTERM");
    await first.says("Drains: 1 run");
    project.go();
    expect(await first.ended).toBe(0);
    expect(first.said.err).toMatch(/▸ takes {2}run r-1 {2}\.\/slow\.ts:graph {2}thread t-1/);
    expect(first.said.err).toMatch(/↩ leaves {2}run r-1[^]*Drained\.\n$/);
    expect(await project.json(["runs", "get", "r", ...db])).toMatchObject({ status: "queued" });
    const second = startWorker(project, ...db);
    const { code, out } = await project.call(["runs", "wait", "r-1", ...db]);
    expect({ code, out }).toEqual({ code: 0, out: 'log  ["first","slow","last"]\n' });
    await second.says("✓ completed  run r-1");
    expect(project.ran()).toEqual(["last"]);
    second.child.kill("SIGTERM");
    expect(await second.ended).toBe(0);
  });

  it("takes over at once from a worker of this machine that was killed", async () => {
    const project = newProject();
    const db = ["--graph", SLOW, "--db", await newUrl()];
    await project.call(["runs", "start", "--run-id", "r-1", ...db]);
    // Longer than any test: its expiry is not what is waited for.
    const first = startWorker(project, "--lease", "24h", ...db);
    await project.begun();
    const second = startWorker(project, ...db);
    await second.says("worker");
    project.go();
    first.child.kill("SIGKILL");
    expect((await project.call(["runs", "wait", "r-1", ...db])).code).toBe(0);
    expect(second.said.err).toMatch(/▸ takes {2}run r-1 .* attempt 2/);
    expect(await project.json(["runs", "get", "r-1", ...db])).toMatchObject({
      status: "completed",
      attempt: 2,
    });
  });
});

it.each([
  ["listen", () => localEngine({ listen: true })],
  ["pg-boss", () => pgBossEngine()],
])("hears of runs as the application's runtime tells of them: %s", async (name, newEngine) => {
  const project = newProject();
  const url = await createDatabase();
  const worker = startWorker(
    project,
    ...["--graphs", "plain", "--engine", name, "--poll", "24h", "--db", url],
  );
  await worker.says("worker");
  const saver = openSaver(url);
  // Known by its name.
  const graph = new StateGraph(Annotation.Root({ log: Annotation<string[]>() }))
    .addNode("any", () => ({}))
    .addEdge(START, "any")
    .compile();
  const runtime = createRuntime({
    ...{ saver, graphs: { plain: graph }, engine: newEngine(), worker: false },
  });
  onTestFinished(async () => {
    await runtime.close();
    await saver.end();
  });
  await runtime.start("plain", {}, { runId: "r-1" });
  await expect.poll(async () => (await runtime.run("r-1")).status).toBe("completed");
  worker.child.kill("SIGTERM");
  expect(await worker.ended).toBe(0);
  const wrong = await project.call(["worker", "--engine", "steam", "--db", url]);
  expect(wrong.err).toContain('--engine is "listen" or "pg-boss", not "steam".');
});

it("breaks off at the second signal, and what it was at is for others", async () => {
  const project = newProject();
  const graph = ["--graph", SLOW];
  await project.call(["runs", "start", "--run-id", "r-1", ...graph]);
  const first = startWorker(project, ...graph);
  await project.begun();
  first.child.kill("SIGINT");
  await first.says("Drains: 1 run");
  first.child.kill("SIGTERM");
  expect(await first.ended).toBe(130);
  expect(first.said.err).toContain("Breaks off");
  expect(await project.json(["runs", "get", "r-1"])).toMatchObject({ status: "queued" });
  const second = startWorker(project, ...graph);
  project.go();
  expect((await project.call(["runs", "wait", "r-1", ...graph])).out).toBe(
    'log  ["first","slow","last"]\n',
  );
  second.child.kill("SIGTERM");
  expect(await second.ended).toBe(0);
});

it("prints events as JSON lines", async () => {
  const project = newProject();
  const worker = startWorker(project, "--graphs", "plain, gated", "-o", "jsonl");
  project.trouble({ fail: "tell" });
  const bad = await project.call(["runs", "start", "plain", "--run-id", "bad", "--wait"]);
  expect(bad.code).toBe(1);
  const held = await project.call(["runs", "start", "gated", "--run-id", "held", "--wait"]);
  expect(held.code).toBe(5);
  project.trouble();
  expect((await project.call(["runs", "start", "plain", "--run-id", "ok", "--wait"])).code).toBe(0);
  worker.child.kill("SIGTERM");
  expect(await worker.ended).toBe(0);
  const heard = worker.said.out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(heard.map(({ event, runId, status }) => [event, runId, status].join(" ").trim())).toEqual([
    ...["run.started bad", "run.failed bad", "run.left bad failed"],
    ...["run.started held", "run.left held interrupted"],
    ...["run.started ok", "run.completed ok", "run.left ok completed"],
  ]);
  expect(heard[1]).toMatchObject({ error: { name: "Error", message: "no tell today" } });
  expect(worker.said.err).not.toContain("takes");
});

it("gives up a run that kills its workers, until a person revives it", async () => {
  const project = newProject();
  await project.call(["runs", "start", "plain", "--run-id", "poison"]);
  project.trouble({ kill: "write" });
  for (let died = 0; died < 4; died += 1) {
    expect(await startWorker(project, "--graphs", "plain").ended).toBe(null);
  }
  const last = startWorker(project, "--graphs", "plain");
  await expect
    .poll(async () => (await project.json(["runs", "get", "poison"]))["status"], {
      timeout: 60_000,
    })
    .toBe("dead");
  await last.says("✗ gives up  run poison  its worker died 4 times in a row");
  expect((await project.call(["status", "poison"])).out).toMatch(/^poison {2}dead\ngraph +plain\n/);
  const waited = await project.call(["runs", "wait", "poison"]);
  expect(waited.code).toBe(1);
  expect(waited.err).toContain("Let it go on with: holdfast runs revive poison");
  expect(project.ran()).toEqual(["plan", "write", "write", "write", "write"]);
  project.trouble();
  expect((await project.call(["runs", "revive", "poi"])).out).toBe("poison  queued\n");
  expect((await project.call(["runs", "wait", "poison"])).code).toBe(0);
  expect(project.ran()).toEqual(["write", "publish", "tell"]);
  last.child.kill("SIGTERM");
  expect(await last.ended).toBe(0);
});
