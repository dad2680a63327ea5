/** `holdfast runs`: accepted, looked at, waited for, ended and sent on its way again. */

import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { OrdersProject, ORDERS } from "./support/orders.ts";
import { TestProject } from "./support/project.ts";
import type { Said } from "./support/project.ts";

/** A worker in this process, and calls beside it. */
class WorkedProject<P extends TestProject> {
  readonly project: P;
  readonly #words: readonly string[];
  #stop = new AbortController();
  #ended: Promise<Said> | undefined;

  constructor(project: P, ...words: string[]) {
    this.project = project;
    this.#words = words;
  }

  call(...words: string[]): Promise<Said> {
    return this.project.call([...words, ...this.#words]);
  }

  json<T = Record<string, unknown>>(...words: string[]): Promise<T> {
    return this.project.json<T>([...words, ...this.#words]);
  }

  work(): void {
    this.#stop = new AbortController();
    const words = ["worker", "--poll", "20", ...this.#words];
    this.#ended = this.project.call(words, { signal: this.#stop.signal });
  }

  async rest(): Promise<Said | undefined> {
    this.#stop.abort();
    const said = await this.#ended;
    this.#ended = undefined;
    return said;
  }
}

describe("runs", () => {
  let project: TestProject;
  let at: WorkedProject<TestProject>;
  beforeEach(() => {
    project = new TestProject();
    at = new WorkedProject(project);
  });
  afterEach(async () => {
    await at.rest();
    project.remove();
  });

  it("are accepted and printed by their ids, and done by a worker", async () => {
    const started = await at.call("runs", "start", "plain", "-i", '{"topic":"kelp"}', "-t", "t-1");
    expect(started.code).toBe(0);
    const runId = started.out.trim();
    expect(started.err).toBe(
      `Accepted; a worker does it. Wait for it with: holdfast runs wait ${runId}\n`,
    );
    expect(project.ran()).toEqual([]);
    expect((await at.call("runs", "ls")).out).toMatch(
      new RegExp(
        `^RUN +GRAPH +THREAD +STATUS +ATTEMPT +ACCEPTED.*\\n${runId} +plain +t-1 +queued +0 `,
      ),
    );
    at.work();
    const waited = await at.call("runs", "wait", runId.slice(0, 8));
    expect(waited).toMatchObject({
      code: 0,
      out: 'topic  kelp\nlog  ["plan","write","publish","tell"]\n',
    });
    expect(waited.err).toMatch(/completed {2}run /);
    expect(await at.rest()).toMatchObject({ code: 0, out: "" });
    const got = await at.json("runs", "get", runId);
    expect(got).toMatchObject({
      ...{ runId, threadId: "t-1", graph: "plain", status: "completed", attempt: 1 },
      ...{ input: { topic: "kelp" }, metadata: {} },
    });
    expect((await at.call("runs", "get", runId)).out).toMatch(
      /^[0-9a-f-]+ {2}completed\ngraph +plain\nthread +t-1\nattempts +1\naccepted +\d{4}-/,
    );
    expect((await at.call("threads", "state", "t-1")).out).toContain("topic  kelp");
  });

  it("take what they are started with", async () => {
    const words = ["--deadline", "10m", "--priority", "-3", "--at", "1h", "--run-id", "r-1"];
    expect(await at.json("runs", "start", "plain", ...words)).toMatchObject({ runId: "r-1" });
    const { enqueuedAt, startAt, deadlineAt, priority } = await at.json<Record<string, number>>(
      ...["runs", "get", "r-1"],
    );
    expect(priority).toBe(-3);
    expect(deadlineAt).toBe((enqueuedAt ?? 0) + 600_000);
    expect(Math.abs((startAt ?? 0) - (enqueuedAt ?? 0) - 3_600_000)).toBeLessThan(60_000);
    expect((await at.call("runs", "ls")).out).toMatch(/from \d{4}-/);
    expect((await at.call("runs", "start", "plain", ...words)).out).toBe("r-1\n");
    const other = await at.call("runs", "start", "plain", "--run-id", "r-1", "-t", "other");
    expect(other).toMatchObject({ code: 2, out: "" });
    const refused = ["runs", "start", "plain", "-t", "r-1", "--strategy", "reject"];
    expect(await at.call(...refused)).toMatchObject({ code: 1, out: "" });
    expect((await at.call("runs", "start", "plain", "-i", "null")).code).toBe(2);
    expect((await at.call("runs", "start", "plain", "-i", "[1]")).code).toBe(2);
    expect((await at.call("runs", "start", "nope")).code).toBe(3);
  });

  it("are found by graph, thread, status and time, and by a unique beginning", async () => {
    for (const [graph, id] of [
      ["plain", "aa-1"],
      ["gated", "aa-2"],
      ["plain", "b"],
    ] as const) {
      await at.call("runs", "start", graph, "--run-id", id, "-t", `t-${id}`);
    }
    const ids = async (...words: string[]): Promise<unknown[]> =>
      (await at.json<{ runId: string }[]>("runs", "ls", ...words)).map(({ runId }) => runId);
    expect(await ids()).toEqual(["b", "aa-2", "aa-1"]);
    expect(await ids("--graph", "plain")).toEqual(["b", "aa-1"]);
    expect(await ids("--graph", "elsewhere")).toEqual([]);
    expect(await ids("--thread", "t-aa-2")).toEqual(["aa-2"]);
    expect(await ids("--status", "queued", "--limit", "1")).toEqual(["b"]);
    expect(await ids("--status", "failed")).toEqual([]);
    expect(await ids("--since", "1h")).toHaveLength(3);
    expect(await ids("--since", "2999-01-01")).toEqual([]);
    expect((await at.json("runs", "get", "b"))["runId"]).toBe("b");
    const several = await at.call("runs", "get", "aa");
    expect(several).toMatchObject({ code: 2, out: "" });
    expect(several.err).toMatch(/beginning of several runs: aa-2, aa-1/);
    for (const verb of ["get", "wait", "cancel", "retry", "revive"]) {
      const { code, err } = await at.call("runs", verb, "nobody");
      expect({ code, err }).toEqual({ code: 3, err: 'error: There is no run "nobody".\n' });
    }
  });

  it("wait for a person, who answers on the command line", async () => {
    at.work();
    const gated = await at.call("runs", "start", "gated", "--run-id", "g", "--wait");
    expect(gated.code).toBe(5);
    expect(gated.err).toContain("Go on with: holdfast resume g --approve");
    const [gate] = await at.json<{ id: string }[]>("approvals", "ls");
    const approved = await at.call("approvals", "approve", gate?.id ?? "");
    expect(approved.err).toContain(
      "A worker goes on with it; wait for it with: holdfast runs wait g",
    );
    expect((await at.call("runs", "wait", "g")).code).toBe(0);

    await at.call("runs", "start", "twoGates", "--run-id", "two", "--wait");
    for (const [code, gates] of [
      [5, 1],
      [0, 0],
    ] as const) {
      const said = await at.call("resume", "two", "--approve");
      expect(said).toMatchObject({ code: 0, out: "two  queued\n" });
      expect((await at.call("runs", "wait", "two")).code).toBe(code);
      expect(await at.json<unknown[]>("approvals", "ls")).toHaveLength(gates);
    }

    const asking = await at.call("runs", "start", "asking", "--run-id", "a", "--wait");
    expect(asking.err).toContain("Go on with: holdfast resume a --value JSON");
    expect((await at.call("resume", "a", "--approve")).code).toBe(2);
    await at.call("resume", "a", "--value", '"yes"');
    expect(await at.json("runs", "wait", "a")).toMatchObject({ questions: [{ value: "sure?" }] });
    await at.call("resume", "a", "--value", "true");
    expect((await at.call("runs", "wait", "a")).out).toContain('"\\"yes\\""');

    await at.call("runs", "start", "panel", "--run-id", "p", "--wait");
    const { questions } = await at.json<{ questions: { id: string; value: string }[] }>(
      ...["runs", "wait", "p"],
    );
    expect(questions).toHaveLength(2);
    expect((await at.call("resume", "p", "--value", "1")).code).toBe(2);
    for (const { id, value } of questions) {
      await at.call("resume", "p", "--interrupt", id, "--value", JSON.stringify(value));
      await at.call("runs", "wait", "p");
    }
    expect((await at.call("runs", "wait", "p")).out).toMatch(/red=red\?.*blue=blue\?/);
  });

  it("are not run by hand beside their workers", async () => {
    at.work();
    await at.call("runs", "start", "gated", "--run-id", "g", "--wait");
    for (const words of [
      ["run", "gated", "-t", "g", "--abandon"],
      ["resume", "g", "--checkpoint", "1"],
    ]) {
      const { code, err } = await at.call(...words);
      expect(code).toBe(2);
      expect(err).toContain('Thread "g" has run "g", which is interrupted and done by workers.');
    }
    await at.call("runs", "cancel", "g");
    expect((await at.call("runs", "wait", "g")).code).toBe(1);
    expect((await at.call("run", "plain", "-t", "g", "--abandon")).code).toBe(0);
  });

  it("end at once where no worker has taken them", async () => {
    await at.call("runs", "start", "plain", "--run-id", "r");
    expect(await at.call("runs", "cancel", "r")).toMatchObject({ out: "r  cancelled\n", err: "" });
    expect(await at.call("runs", "wait", "r")).toMatchObject({ code: 1, out: "" });
    const { code, err } = await at.call("runs", "revive", "r");
    expect({ code, err }).toEqual({
      code: 2,
      err: 'error: Run "r" is cancelled, and only a dead one is revived.\n',
    });
    expect((await at.call("runs", "retry", "r")).out).toBe("r  queued\n");
    expect((await at.call("runs", "retry", "r")).err).toMatch(/nothing to retry/);
  });

  it("show without their graph, and are ended without it", async () => {
    at.work();
    await at.call("runs", "start", "plain", "--run-id", "done", "--wait");
    await at.rest();
    await at.call("runs", "start", "plain", "--run-id", "waits");
    project.write("agents.ts", "throw new Error('broken');");
    project.write("langgraph.json", '{ "graphs": { "plain": "./gone.ts:plain" } }');
    const waited = await at.call("runs", "wait", "done");
    expect(waited.err).toContain("Read without the graph");
    expect(waited).toMatchObject({ code: 0 });
    expect(waited.out).toContain('["plan","write","publish","tell"]');
    expect((await at.call("runs", "cancel", "waits")).out).toBe("waits  cancelled\n");
    expect((await at.call("runs", "retry", "waits")).out).toBe("waits  queued\n");
  });

  it("are followed, superstep by superstep", async () => {
    await at.call("runs", "start", "plain", "--run-id", "before", "-t", "t");
    await at.call("runs", "start", "gated", "--run-id", "r", "-t", "t");
    at.work();
    const said = await at.call("runs", "tail", "r");
    expect(said.code).toBe(5);
    const lines = said.out.replaceAll(/^\S+ \S+ {2}/gm, "").split("\n");
    expect(lines.slice(lines.indexOf("(input)"))).toEqual([
      ...["(input)", "✓ __start__", "✓ plan  log", "✓ write  log"],
      ...["interrupted  waits for an approval at a gate", ""],
    ]);
    await at.call("resume", "t", "--approve");
    await at.call("runs", "wait", "r");
    const events = (await at.call("runs", "tail", "r", "-o", "jsonl")).out.trim().split("\n");
    const heard = events.map((line) => JSON.parse(line) as { nodes?: string[]; status?: string });
    expect(heard.flatMap(({ nodes, status }) => nodes ?? status ?? []).slice(-3)).toEqual([
      ...["publish", "tell", "completed"],
    ]);
    expect((await at.call("runs", "tail", "nobody")).code).toBe(3);
  });

  it("are followed by what they stream, where that is kept", async () => {
    const words = ["plain", "--run-id", "r", "--stream", "updates,messages"];
    expect((await at.call("runs", "start", ...words)).code).toBe(0);
    at.work();
    const said = await at.call("runs", "tail", "r");
    expect(said).toMatchObject({ code: 0, err: "" });
    const lines = said.out
      .replaceAll(/^\S+ \S+ {2}/gm, "")
      .trim()
      .split("\n");
    expect(lines).toEqual([
      "running",
      ...["plan", "write", "publish", "tell"].map(
        (node) => `updates  {"${node}":{"log":["${node}"]}}`,
      ),
      "completed",
    ]);
    for (const format of ["json", "jsonl"]) {
      const out = (await at.call("runs", "tail", "r", "--after", "1.2", "-o", format)).out;
      const heard = out
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as { id: string; event: string; data: object });
      expect(heard.map(({ id }) => id)).toEqual(["1.3", "1.4", "1.5", "1.5.completed"]);
      expect(heard[0]).toMatchObject({ event: "updates", data: { write: { log: ["write"] } } });
    }
    const odd = await at.call("runs", "start", "plain", "--stream", "everything");
    expect(odd).toMatchObject({ code: 2 });
    expect(odd.err).toContain('not "everything"');
    await at.call("runs", "start", "plain", "--run-id", "silent");
    expect((await at.call("runs", "tail", "silent", "--after", "1.1")).err).toContain(
      "keeps nothing of its stream",
    );
  });

  it("are watched: on a terminal again and again, elsewhere change by change", async () => {
    await at.call("runs", "start", "plain", "--run-id", "r");
    const watching = (words: string[], columns?: number) => {
      const stop = new AbortController();
      let out = "";
      const ended = project.call(words, {
        signal: stop.signal,
        onOut: (said) => (out = said),
        ...(columns === undefined ? {} : { columns }),
      });
      return { stop, ended, out: () => out };
    };
    const list = watching(["runs", "ls", "-w"]);
    const one = watching(["runs", "get", "r", "-w", "-o", "text"]);
    const screen = watching(["runs", "ls", "-w"], 100);
    const status = watching(["status", "-w"]);
    const all = [list, one, screen, status];
    for (const { out } of [list, one, screen]) {
      await expect.poll(out, { timeout: 10_000 }).toContain("queued");
    }
    await at.call("runs", "cancel", "r");
    for (const { out } of [list, one, screen]) {
      await expect.poll(out, { timeout: 10_000 }).toContain("cancelled");
    }
    for (const { stop } of all) stop.abort();
    for (const { ended } of all) expect(await ended).toMatchObject({ code: 0, err: "" });
    for (const { out } of [list, one]) {
      const lines = out().trim().split("\n");
      expect(lines.map((line) => (JSON.parse(line) as { status: string }).status)).toEqual([
        "queued",
        "cancelled",
      ]);
    }
    const [before, after] = screen.out().replaceAll("\u001b", "^").split("^[?1049l");
    expect(before).toMatch(/^\^\[\?1049h.*every second; Ctrl-C ends.*queued.*cancelled/s);
    expect(after).toMatch(/^\^\[1mRUN.*\nr +plain +r +cancelled .*\n$/);
  });
});

describe("runs that do things to the world", () => {
  const orders = new OrdersProject();
  const at = new WorkedProject(orders, "--graph", ORDERS);
  afterAll(async () => {
    await at.rest();
    orders.remove();
  });

  it("fail, say what was undone, and go on by hand", async () => {
    at.work();
    const words = ["--run-id", "r", "-t", "t", "-i", '{"order":"o1"}', "--wait"];
    const failed = await at.call("runs", "start", ...words);
    expect(failed.code).toBe(1);
    expect(failed.err).toMatch(
      /error: Run "r" failed: the card was refused\nUndone: label\nLet it go on with: .*runs retry r/,
    );
    expect(await at.json("runs", "get", "r")).toMatchObject({
      ...{ status: "failed", undone: ["label"], stuck: [] },
      error: { message: "the card was refused" },
    });
    orders.turn("paid", true);
    expect((await at.call("runs", "retry", "r")).err).toContain("The next worker goes on with it.");
    expect((await at.call("runs", "wait", "r")).code).toBe(0);
    expect(orders.world()).toEqual(["label o1", "void lb_o1", "label o1"]);
    const { out } = await at.call("status", "t");
    expect(out).toMatch(/^t {2}completed\n/);
  });
});
