/** `holdfast stuck` and `holdfast status`: what stands still without saying so. */

import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { emptyCheckpoint, uuid6 } from "@langchain/langgraph-checkpoint";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import { createRuntime } from "../../src/runtime/create-runtime.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { claim } from "../../src/turns.ts";
import { createDatabase } from "../support/databases.ts";
import { openSaver } from "../support/open-saver.ts";
import { SLOW, SlowProject } from "./support/slow.ts";
import { TestProject } from "./support/project.ts";
import type { Said } from "./support/project.ts";

const graph = new StateGraph(Annotation.Root({ done: Annotation<boolean>() }))
  .addNode("node", () => ({ done: true }))
  .addEdge(START, "node")
  .addEdge("node", END)
  .compile();

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const DATABASES: [name: string, newUrl: (project: TestProject) => Promise<string>][] = [
  ["SQLite", (project) => Promise.resolve(`sqlite:${project.path("agents.db")}`)],
  ["Postgres", () => createDatabase()],
];

interface Row {
  kind: string;
  threadId: string;
  runId?: string;
  step?: string;
  since: number;
  lease: string;
}

describe.each(DATABASES)("what stands still, on %s", (_, newUrl) => {
  let project: SlowProject;
  let url: string;
  beforeEach(async () => {
    project = new SlowProject();
    url = await newUrl(project);
  });
  afterEach(() => project.remove());

  const call = (...words: string[]): Promise<Said> => project.call([...words, "--db", url]);
  const json = <T = Row[]>(...words: string[]): Promise<T> =>
    project.json<T>([...words, "--db", url]);

  /** An hour ago, as processes of then left it. */
  function past(): { saver: HoldfastSaver; clock: ManualClock } {
    const clock = new ManualClock(Date.now() - HOUR);
    const saver = openSaver(url, { clock });
    onTestFinished(() => saver.end());
    return { saver, clock };
  }

  async function accept(
    saver: HoldfastSaver,
    runId: string,
    threadId: string,
    attended = false,
  ): Promise<void> {
    const runtime = createRuntime({ saver, graphs: { plain: graph }, worker: false });
    await runtime.start("plain", {}, { runId, threadId, attended });
    await runtime.close();
  }

  /** @param lease how long, from an hour ago */
  async function take({ steps }: HoldfastSaver, threadId: string, lease: number): Promise<void> {
    await steps.queue.turn(threadId, (turn) =>
      claim(turn, {
        ...{ owner: "elsewhere:1:1#a", duration: lease, maxCrashes: 3, isDead: () => false },
        graphs: new Map([["plain", { fingerprint: "f1", pins: false }]]),
      }),
    );
  }

  it("is listed: silent under a lease, left by its worker, and taken by none", async () => {
    const { saver, clock } = past();
    const at = clock.now();
    for (const id of ["silent", "left", "due", "heard"]) await accept(saver, `r-${id}`, `t-${id}`);
    await accept(saver, "r-behind", "t-silent");
    for (const id of ["ours-left", "ours-due"]) await accept(saver, `r-${id}`, `t-${id}`, true);
    await take(saver, "t-ours-left", MINUTE);
    for (const id of ["silent", "heard"]) await take(saver, `t-${id}`, 2 * HOUR);
    await take(saver, "t-left", MINUTE);
    saver.steps.status.note("t-silent", { status: "running", currentStep: "ship" });
    await saver.steps.status.flush();
    const now = openSaver(url);
    onTestFinished(() => now.end());
    now.steps.status.note("t-heard", { status: "running", currentStep: "pay" });
    await now.steps.status.flush();
    // By a process without a runtime; and by a plain `invoke`, of which nobody knows.
    await saver.steps.leases.acquire("by-hand", "elsewhere:2:2#b", MINUTE);
    for (const threadId of ["by-hand", "invoked"]) {
      saver.steps.status.note(threadId, { status: "running", workflowName: "plain" });
    }
    await saver.steps.status.flush();

    const rows = await json("stuck", "ls");
    const of = (row: string): Row | undefined => rows.find(({ threadId }) => threadId === row);
    expect(rows.map(({ threadId }) => threadId).toSorted()).toEqual([
      ...["by-hand", "t-due", "t-left", "t-ours-due", "t-ours-left", "t-silent"],
    ]);
    expect(rows.map(({ since }) => since)).toEqual(
      rows.map(({ since }) => since).toSorted((a, b) => b - a),
    );
    expect(of("t-silent")).toEqual({
      ...{ kind: "silent", threadId: "t-silent", runId: "r-silent", graph: "plain" },
      ...{ status: "running", step: "ship", since: at, lease: "renewed" },
      ...{ owner: "elsewhere:1:1#a", attended: false },
    });
    expect(of("t-left")).toMatchObject({
      ...{ kind: "orphaned", runId: "r-left", since: at + MINUTE, lease: "expired" },
    });
    expect(of("t-due")).toMatchObject({
      ...{ kind: "untaken", runId: "r-due", status: "queued", since: at, lease: "none" },
    });
    expect(of("by-hand")).toMatchObject({ kind: "orphaned", graph: "plain", lease: "expired" });
    expect(of("by-hand")).not.toHaveProperty("runId");

    const { code, out } = await call("stuck", "ls");
    expect(code).toBe(0);
    expect(out).toMatch(/^WHAT +THREAD +RUN +GRAPH +STEP +SINCE +LEASE +NOTE\n/);
    expect(out).toMatch(
      /\nsilent +t-silent +r-silent +plain +ship +20.* renewed +no sign of life since 20.*needs a timeout \(elsewhere:1:1#a\); to end it: holdfast runs cancel r-silent --db /,
    );
    expect(out).toMatch(
      /\norphaned +t-left .* expired +its worker is gone, and no other took it over: is there one with the graph "plain"\? holdfast worker --graphs plain --db /,
    );
    expect(out).toMatch(/untaken +t-due .* none +queued, due since 20.*, and no worker took it: /);
    expect(out).toMatch(
      /untaken +t-ours-due .*and nobody goes on with it: holdfast resume t-ours-due/,
    );
    expect(out).toMatch(/orphaned +t-ours-left .*its process is gone: holdfast resume t-ours-left/);
    expect(out).toMatch(/orphaned +by-hand .*its process is gone: holdfast resume by-hand/);

    const left = await call("doctor", "t-left");
    expect(left).toMatchObject({ code: 1 });
    expect(left.out).toMatch(
      /fail +step +running, and its worker is gone, and no other took it over: .*worker --graphs plain/,
    );
    expect((await call("doctor", "t-silent")).out).toMatch(
      /warn +step +running at ship, no sign of life since .*needs a timeout/,
    );
    expect((await call("doctor", "t-heard")).out).toMatch(/ok +step +running at pay, by elsewhere/);
    expect((await call("doctor", "t-due")).out).toMatch(
      /fail +run r-due +queued, due since 20.*, and no worker took it: is there one with the graph "plain"\? holdfast worker --graphs plain/,
    );

    const ids = async (...words: string[]): Promise<string[]> =>
      (await json("stuck", "ls", ...words)).map(({ threadId }) => threadId).toSorted();
    expect(await ids("--silent", "2h")).toEqual([
      ...["by-hand", "t-due", "t-left", "t-ours-due", "t-ours-left"],
    ]);
    expect(await ids("--thread", "t-silent")).toEqual(["t-silent"]);
    expect(await ids("--thread", "t-heard")).toEqual([]);
    expect((await call("stuck", "ls", "--thread", "t-heard")).err).toBe("Nothing is stuck.\n");
    expect((await call("stuck", "ls", "--thread", "nobody")).code).toBe(3);
    expect(await call("stuck", "ls", "--silent", "soon")).toMatchObject({
      code: 2,
      err: expect.stringMatching(/^error: --silent: "soon" is neither/) as string,
    });
  });

  it("is marked in the status of threads", async () => {
    const { saver, clock } = past();
    const at = clock.now();
    for (const id of ["silent", "queued"]) await accept(saver, `r-${id}`, `t-${id}`);
    await take(saver, "t-silent", 2 * HOUR);
    const note = { status: "running", currentStep: "ship", progressNote: "half" } as const;
    saver.steps.status.note("t-silent", note);
    await saver.steps.status.flush();
    const { out } = await call("status");
    expect(out).toMatch(/\nt-silent +running +ship .* silent since 20\d\d-[^ ]+ [\d:]+: half\n/);
    expect(out).not.toMatch(/\nt-queued .*silent since/);
    const all = await json<Record<string, unknown>[]>("status");
    expect(all.find(({ threadId }) => threadId === "t-silent")).toMatchObject({
      ...{ silentSince: at, lease: "renewed", status: "running" },
    });
    const queued = all.find(({ threadId }) => threadId === "t-queued");
    expect(queued).not.toHaveProperty("silentSince");
    expect(queued).not.toHaveProperty("lease");
    expect((await call("status", "t-silent", "--silent", "2h")).out).not.toMatch(/^silent /m);
    // Plain nodes leave a checkpoint, and nothing else.
    const other = openSaver(url);
    onTestFinished(() => other.end());
    await putCheckpoint(other, "t-silent");
    expect((await call("status", "t-silent")).out).not.toMatch(/^silent /m);
    expect(await json("stuck", "ls", "--thread", "t-silent")).toEqual([]);
    expect(await json("status", "t-silent", "--silent", "1ms")).toHaveProperty("silentSince");
    expect((await call("status", "t-silent", "--silent", "1ms")).out).toMatch(
      /\nsilent +no sign of life since 20.*needs a timeout.*\nnote +half\n/,
    );
  });

  it("is seen of a run that hangs in a plain node, until it goes on", async () => {
    const stop = new AbortController();
    const worked = project.call(["worker", "--graph", SLOW, "--poll", "20", "--db", url], {
      signal: stop.signal,
    });
    try {
      await call("runs", "start", SLOW, "--run-id", "r", "-t", "t");
      await project.begun();
      expect(await json("stuck", "ls")).toEqual([]);
      await expect
        .poll(() => json("stuck", "ls", "--silent", "1ms"), { timeout: 20_000 })
        .toMatchObject([{ kind: "silent", threadId: "t", runId: "r", lease: "renewed" }]);
      project.go();
      expect((await call("runs", "wait", "r")).code).toBe(0);
      expect(await json("stuck", "ls", "--silent", "1ms")).toEqual([]);
    } finally {
      project.go();
      stop.abort();
      await worked;
    }
  });
});

/** One of now, by who has the thread. */
async function putCheckpoint(saver: HoldfastSaver, threadId: string): Promise<void> {
  const { token } = (await saver.steps.leases.read(threadId)) ?? {};
  await saver.put(
    { configurable: { thread_id: threadId, checkpoint_ns: "", __holdfast_lease_token: token } },
    { ...emptyCheckpoint(), id: uuid6(0), ts: new Date().toISOString() },
    { source: "loop", step: 1, parents: {} },
    {},
  );
}
