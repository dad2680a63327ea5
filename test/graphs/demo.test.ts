/**
 * The demo as a newcomer runs it, on documents of ours. What it claims is checked here once more,
 * from its log of executions and its database, not from its words.
 */

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChatOpenAI } from "@langchain/openai";
import { createRuntime } from "holdfast";
import { SqliteSaver } from "holdfast/sqlite";
import { fakeOpenAI } from "holdfast/testing";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { readJournal, type JournalLine } from "../../graphs/demo/journal.ts";
import { readThread } from "../../graphs/demo/thread.ts";
import { createBookingGraph } from "../../graphs/booking.ts";
import { createResearchGraph } from "../../graphs/research.ts";

const ROOT = join(import.meta.dirname, "../..");
const DOCUMENTS = join(import.meta.dirname, "documents");
const TOPIC = "recovery of kelp forests";
/** Runs the sources of the package, as `npm run demo` does. */
const SOURCES = ["--conditions=holdfast-source"];

let temporary: string;
beforeAll(async () => {
  temporary = await mkdtemp(join(tmpdir(), "holdfast-demo-test-"));
});
afterAll(async () => {
  await rm(temporary, { recursive: true, force: true });
});

/** Starts it with a folder for temporary files of its own, and without anybody's API key. */
async function startDemo(name: string, ...options: string[]) {
  const folder = await mkdtemp(join(temporary, name));
  const { OPENAI_API_KEY: _, ...environment } = process.env;
  const child: ChildProcess = spawn(
    process.execPath,
    [...SOURCES, "graphs/demo.ts", "--docs", DOCUMENTS, "--topic", TOPIC, ...options],
    { cwd: ROOT, env: { ...environment, TMPDIR: folder } },
  );
  const output = { text: "" };
  const collect = (chunk: Buffer) => (output.text += chunk.toString());
  child.stdout?.on("data", collect);
  child.stderr?.on("data", collect);
  const ended = once(child, "close").then(([code]) => code as number | null);
  return { folder, child, output, ended };
}

/** Runs it to its end, and returns what it left behind. */
async function runDemo(seed: number) {
  const { folder, output, ended } = await startDemo(`seed-${seed}-`, "--seed", `${seed}`, "--keep");
  expect(await ended, output.text).toBe(0);
  const [kept = ""] = await readdir(folder);
  const read = (file: string) => readFile(join(folder, kept, file), "utf8");
  const saver = SqliteSaver.fromConnString(join(folder, kept, "agents.db"));
  const points = await readThread(createResearchGraph({ checkpointer: saver }), `demo-${seed}`);
  await saver.end();
  const fleet = await readFleet(join(folder, kept, "fleet.db"));
  return {
    fleet,
    text: output.text,
    journal: readJournal(join(folder, kept, "executions.jsonl")),
    points,
    report: await read("report.md"),
    forked: await read("report-fork.md"),
  };
}

/** What became of the fleet's runs, by its database. */
async function readFleet(database: string) {
  const saver = SqliteSaver.fromConnString(database);
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => saver.end());
  const graphs = { booking: createBookingGraph() };
  const runtime = createRuntime({ saver, graphs, worker: false });
  const runs = await runtime.runs();
  const booked = runs.map(({ threadId }) => saver.steps.effects?.list({ threadId }) ?? []);
  return { runs, effects: (await Promise.all(booked)).flat() };
}

/** The report without a crash, in this process. */
async function runUndisturbed(): Promise<string> {
  await using server = await fakeOpenAI();
  const configuration = { baseURL: server.baseURL };
  const saver = SqliteSaver.fromConnString(":memory:");
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => saver.end());
  const graph = createResearchGraph({
    checkpointer: saver,
    model: new ChatOpenAI({ model: "gpt-4o-mini", apiKey: "none", configuration }),
  });
  const thread = { configurable: { thread_id: "undisturbed" }, durability: "sync" as const };
  const reportPath = join(temporary, "undisturbed.md");
  await graph.invoke({ topic: TOPIC, folder: DOCUMENTS, reportPath }, thread);
  await graph.invoke(null, thread);
  return await readFile(reportPath, "utf8");
}

/** Each process's lines, in the order in which the processes came. */
function byProcess(journal: readonly JournalLine[]): JournalLine[][] {
  const pids = [...new Set(journal.map(({ pid }) => pid))];
  return pids.map((pid) => journal.filter((line) => line.pid === pid));
}

function tasks(lines: readonly JournalLine[], event: JournalLine["event"]): string[] {
  return lines.filter((line) => line.event === event).map(({ task }) => task);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe("the demo, killed at two different steps", () => {
  const seeds = [1, 5];
  let runs: Awaited<ReturnType<typeof runDemo>>[];
  beforeAll(async () => {
    runs = await Promise.all(seeds.map(runDemo));
  });

  test.for(seeds.keys().toArray())("no finished step ran twice (run %i)", (index) => {
    const { journal, text } = runs[index]!;
    const [killed = [], resumed = []] = byProcess(journal);
    const drawn = Number(/kill -9 when step (\d+) begins/.exec(text)?.[1]);
    expect(tasks(killed, "began").length).toBeGreaterThanOrEqual(Math.min(drawn, 3));
    expect(tasks(killed, "returned").length).toBeLessThan(tasks(killed, "began").length);

    // The kill cost at most what was in flight: steps of the superstep that was interrupted.
    const again = resumed.filter(({ task }) => tasks(killed, "began").includes(task));
    const interrupted = killed.at(-1)?.node;
    expect(new Set(again.map(({ node }) => node))).toEqual(new Set([interrupted]));
    const stored = Number(/; (\d+) were stored when it died/.exec(text)?.[1]);
    const distinct = new Set([...tasks(killed, "began"), ...tasks(resumed, "began")]);
    expect(stored + tasks(resumed, "began").length).toBe(distinct.size);
    expect(text).toContain("Finished steps that ran twice: 0.");

    // Within a process each step ran once, and only the killed one left any unfinished.
    const [, ...others] = byProcess(journal);
    for (const lines of byProcess(journal))
      expect(new Set(tasks(lines, "began")).size).toBe(tasks(lines, "began").length);
    for (const lines of others)
      expect(tasks(lines, "returned").toSorted()).toEqual(tasks(lines, "began").toSorted());
    for (const { pid } of journal) expect(isAlive(pid)).toBe(false);
  });

  test("both reports are what an undisturbed run writes", async () => {
    const [one, two] = runs;
    const undisturbed = await runUndisturbed();
    expect(one!.report).toBe(undisturbed);
    expect(two!.report).toBe(undisturbed);
    expect(one!.forked).toBe(two!.forked);
    expect(one!.forked).not.toBe(one!.report);
    const died = runs.map(({ journal }) => tasks(byProcess(journal)[0]!, "began").length);
    expect(died[0]).not.toBe(died[1]);
  });

  test("review, publication and fork each had a process of their own", () => {
    for (const { journal } of runs) {
      const nodes = byProcess(journal).map((lines) => new Set(lines.map(({ node }) => node)));
      expect(nodes).toHaveLength(5);
      expect(nodes[1]).not.toContain("review");
      expect([...nodes[2]!]).toEqual(["review", "publish"]);
      expect([...nodes[3]!]).toEqual(["search", "shortlist", "read", "extract", "draft"]);
      expect([...nodes[4]!]).toEqual(["review", "publish"]);
    }
  });

  test("the fleet ended all its runs, each booking once", () => {
    for (const { fleet, text } of runs) {
      expect(text).toMatch(/Worker \d+ is killed \(SIGKILL\)/);
      expect(text).toMatch(/Worker \d+ is frozen \(SIGSTOP\)/);
      expect(fleet.runs.map(({ status }) => status)).toEqual(Array(18).fill("completed"));
      expect(fleet.runs.some(({ attempt }) => attempt > 1)).toBe(true);
      expect(fleet.effects.map(({ state }) => state)).toEqual(Array(36).fill("recorded"));
    }
  });

  test("the thread holds both branches, parted at the plan", () => {
    for (const { points } of runs) {
      const children = Map.groupBy(points, ({ parentId }) => parentId ?? "");
      const parting = points.filter((point) => (children.get(point.checkpointId)?.length ?? 0) > 1);
      expect(parting.map(({ node }) => node)).toEqual(["plan"]);
      const tips = points.filter(({ checkpointId }) => !children.has(checkpointId));
      expect(tips.map(({ values }) => values.outline?.length)).toEqual([5, 3]);
      expect(tips.map(({ next }) => next)).toEqual([[], []]);
    }
  });
});

test("Ctrl-C ends the workers and removes the folder", async () => {
  const { folder, child, output, ended } = await startDemo("interrupted-");
  await vi.waitFor(() => expect(output.text).toContain("survey"), { timeout: 20_000 });
  const [kept = ""] = await readdir(folder);
  const pids = new Set(readJournal(join(folder, kept, "executions.jsonl")).map(({ pid }) => pid));
  child.kill("SIGINT");

  expect(await ended, output.text).toBe(130);
  expect(await readdir(folder)).toEqual([]);
  expect(pids.size).toBe(1);
  for (const pid of pids) expect(isAlive(pid)).toBe(false);
});

test("wrong options are a usage error in one sentence", async () => {
  const { output, ended, folder } = await startDemo("wrong-", "--seed", "many");
  expect(await ended).toBe(2);
  expect(output.text.trim()).toBe(
    '--seed takes a whole number, not "many".\nTry: npm run demo -- --help',
  );
  expect(await readdir(folder)).toEqual([]);
});
