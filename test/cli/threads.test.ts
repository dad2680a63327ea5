import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestProject } from "./support/project.ts";

const project = new TestProject();
afterAll(() => project.remove());

interface Point {
  checkpointId: string;
  node?: string;
  step: number;
  branch: string;
  changed: string[];
  next: string[];
  values?: { log: string[] };
}

beforeAll(async () => {
  await project.call(["run", "plain", "-t", "order-1", "-i", '{"topic":"kelp"}']);
  await project.call(["run", "gated", "-t", "order-2"]);
  await project.call(["run", "plain", "-t", "other"]);
});

describe("threads ls", () => {
  it("lists the latest first, with what it knows of them", async () => {
    const { threads } = { threads: await project.json<{ threadId: string }[]>(["threads", "ls"]) };
    expect(threads.map(({ threadId }) => threadId)).toEqual(["other", "order-2", "order-1"]);
    expect(threads[1]).toMatchObject({ metadata: { graph_id: "gated" }, checkpoints: 4 });
  });

  it("filters by beginning, metadata and time", async () => {
    const ids = async (...words: string[]): Promise<string[]> =>
      (await project.json<{ threadId: string }[]>(["threads", "ls", ...words])).map(
        (t) => t.threadId,
      );
    expect(await ids("order")).toEqual(["order-2", "order-1"]);
    expect(await ids("--metadata", "graph_id=plain")).toEqual(["other", "order-1"]);
    expect(await ids("--since", "1h")).toHaveLength(3);
    expect(await ids("--until", "1h")).toEqual([]);
    expect(await ids("--until", "2999-01-01")).toHaveLength(3);
  });

  it("goes on by cursor", async () => {
    const first = await project.call(["threads", "ls", "--limit", "2", "-o", "jsonl"]);
    expect(first.out.trim().split("\n")).toHaveLength(2);
    const cursor = /--cursor (\S+)/.exec(first.err)?.[1] ?? "";
    const rest = await project.call([
      "threads",
      "ls",
      "--limit",
      "2",
      "--cursor",
      cursor,
      "-o",
      "jsonl",
    ]);
    expect(JSON.parse(rest.out)).toMatchObject({ threadId: "order-1" });
    expect(rest.err).toBe("");
    expect((await project.call(["threads", "ls", "--cursor", "nope"])).code).toBe(2);
  });

  it("is a table within the width of the terminal", async () => {
    const { out } = await project.call(["threads", "ls"], {
      columns: 54,
      env: { NO_COLOR: "1" },
    });
    for (const line of out.trimEnd().split("\n")) expect(line.length).toBeLessThanOrEqual(54);
    expect(out).toContain("…");
    const full = await project.call(["threads", "ls"]);
    expect(full.out).not.toContain("…");
    expect(full.out.split("\n")[0]).toMatch(/^THREAD +UPDATED +CHECKPOINTS +METADATA$/);
  });

  it("says so where there is nothing yet, and makes no database", async () => {
    const fresh = new TestProject();
    const { code, out, err } = await fresh.call(["threads", "ls", "-o", "json"]);
    expect({ code, out }).toEqual({ code: 0, out: "[]\n" });
    expect(err).toContain("No threads");
    expect((await fresh.call(["threads", "state", "x"])).code).toBe(3);
    expect((await fresh.call(["threads", "ls", "--db", "sqlite:nope.db"])).code).toBe(3);
    expect(await fresh.call(["threads", "ls"])).toMatchObject({ code: 0 });
    fresh.remove();
  });
});

describe("ids", () => {
  it("may be cut to a unique beginning", async () => {
    expect(await project.json(["threads", "state", "oth"])).toMatchObject({ threadId: "other" });
    const ambiguous = await project.call(["threads", "state", "order"]);
    expect(ambiguous.code).toBe(2);
    expect(ambiguous.err).toMatch(/order-2, order-1/);
    const missing = await project.call(["threads", "state", "nobody"]);
    expect(missing).toMatchObject({
      code: 3,
      out: "",
      err: 'error: There is no thread "nobody".\n',
    });
  });

  it("of a whole thread win over longer ones that begin so", async () => {
    await project.call(["threads", "copy", "other", "oth"]);
    expect(await project.json(["threads", "state", "oth"])).toMatchObject({ threadId: "oth" });
    await project.call(["threads", "rm", "oth", "--yes"]);
  });

  it("may be anything, and cannot speak to the terminal", async () => {
    const hostile = 'a\'b "c" %* \u001b[2J\n__proto__ é 海';
    await project.call([
      "run",
      "plain",
      `--thread=${hostile}`,
      "-i",
      JSON.stringify({ topic: "\u001b]0;x\u0007" }),
    ]);
    const { out } = await project.call(["threads", "ls"]);
    expect(out).toContain('a\'b "c" %* \\u001b[2J\\n__proto__ é 海');
    const state = await project.call(["threads", "state", hostile]);
    expect(state.code).toBe(0);
    expect(state.out).toContain("\\u001b]0;x\\u0007");
    expect(await project.json(["threads", "state", hostile])).toMatchObject({ threadId: hostile });
    expect((await project.call(["threads", "rm", hostile, "--yes"])).code).toBe(0);
  });
});

describe("threads history", () => {
  it("tells who wrote what, newest first", async () => {
    const points = await project.json<Point[]>(["threads", "history", "order-1"]);
    expect(points.map(({ node, step }) => [node, step])).toEqual([
      ["tell", 4],
      ["publish", 3],
      ["write", 2],
      ["plan", 1],
      ["__start__", 0],
      [undefined, -1],
    ]);
    expect(points[2]).toMatchObject({ changed: ["log"], next: ["publish"], branch: "main" });
    expect(points[0]).not.toHaveProperty("values");
  });

  it("gives values, a limit and other formats", async () => {
    const { out } = await project.call([
      "threads",
      "history",
      "order-1",
      "--values",
      "-n",
      "2",
      "-o",
      "jsonl",
    ]);
    const points = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Point);
    expect(points.map(({ values }) => values?.log.length)).toEqual([4, 3]);
    const table = await project.call(["threads", "history", "order-1"]);
    expect(table.out).toMatch(/write +log +main +publish/);
    const shown = await project.call(["threads", "history", "order-1", "--values", "-n", "1"]);
    expect(shown.out).toContain('  log  ["plan","write","publish","tell"]');
    expect((await project.call(["threads", "history", "order-1", "-n", "0"])).code).toBe(2);
  });

  it("reads on without a graph that does not load", async () => {
    project.write("broken.ts", 'throw new Error("no key");');
    project.write("broken.json", '{"graphs": {"plain": "./broken.ts:graph"}}');
    const words = ["threads", "history", "order-1", "-c", "broken.json"];
    const { code, out, err } = await project.call(words);
    expect(code).toBe(0);
    expect(out).toContain("publish");
    expect(err).toContain("Read without the graph");
    const state = await project.call(["threads", "state", "order-1", "-c", "broken.json"]);
    expect(state.out).toContain("topic  kelp");
  });
});

describe("threads state and diff", () => {
  it("show a state now and then, and what lies between", async () => {
    const points = await project.json<Point[]>(["threads", "history", "order-1"]);
    const [after, , before] = points.map(({ checkpointId }) => checkpointId) as [
      string,
      string,
      string,
    ];
    expect(await project.json(["threads", "state", "order-1"])).toMatchObject({
      checkpointId: after,
      status: "done",
      values: { topic: "kelp", log: ["plan", "write", "publish", "tell"] },
    });
    const then = await project.json([
      "threads",
      "state",
      "order-1",
      "--checkpoint",
      before.slice(0, 18),
    ]);
    expect(then).toMatchObject({ checkpointId: before, values: { log: ["plan", "write"] } });
    const diff = await project.call(["threads", "diff", "order-1", before, after]);
    expect(diff.out).toBe('+ log[2]: "publish"\n+ log[3]: "tell"\n');
    expect(
      await project.json<unknown[]>(["threads", "diff", "order-1", after, before]),
    ).toHaveLength(2);
    const ambiguous = await project.call(["threads", "diff", "order-1", before.slice(0, 4), after]);
    expect(ambiguous.code).toBe(2);
    expect((await project.call(["threads", "diff", "order-1", "ffff", after])).code).toBe(3);
  });
});

describe("threads fork", () => {
  it("begins a branch, and leaves the other one as it is", async () => {
    const before = await project.json<Point[]>(["threads", "history", "order-1"]);
    const at = before.find(({ node }) => node === "write")?.checkpointId ?? "";
    const branch = await project.json<{ checkpointId: string }>([
      ...["threads", "fork", "order-1", "--checkpoint", at],
      ...["--update", '{"log":["changed"]}', "--as-node", "publish"],
    ]);
    const after = await project.json<Point[]>(["threads", "history", "order-1"]);
    expect(after[0]).toMatchObject({ checkpointId: branch.checkpointId, next: ["tell"] });
    expect(after.slice(1).map(({ checkpointId }) => checkpointId)).toEqual(
      before.map(({ checkpointId }) => checkpointId),
    );
    expect(await project.json(["resume", "order-1"])).toMatchObject({
      status: "done",
      values: { log: ["plan", "write", "changed", "tell"] },
    });
    const wrong = ["threads", "fork", "order-1", "--checkpoint", at];
    expect((await project.call([...wrong, "--as-node", "nope"])).code).toBe(2);
    expect((await project.call([...wrong, "--update", "{"])).code).toBe(2);
    expect((await project.call(["threads", "fork", "order-1"])).code).toBe(2);
  });
});

describe("threads copy, rm and stats", () => {
  it("copy a thread, and delete it", async () => {
    expect((await project.call(["threads", "copy", "order-1", "copied"])).code).toBe(0);
    expect((await project.call(["threads", "copy", "order-1", "copied"])).code).toBe(2);
    const stats = await project.json<{ checkpoints: number; channels: unknown[] }>([
      "threads",
      "stats",
      "copied",
    ]);
    expect(stats.checkpoints).toBeGreaterThan(6);
    expect(stats.channels.length).toBeGreaterThan(1);
    expect((await project.call(["threads", "stats"])).out).toMatch(/threads +4/);

    const unasked = await project.call(["threads", "rm", "copied"]);
    expect(unasked).toMatchObject({ code: 2 });
    const no = await project.call(["threads", "rm", "copied"], { typed: "n" });
    expect(no).toMatchObject({ code: 1 });
    expect(no.err).toContain("Delete 1 thread for good (copied)?");
    expect((await project.call(["threads", "rm", "copied"], { typed: "y" })).code).toBe(0);
    expect((await project.call(["threads", "rm", "copied", "--yes"])).code).toBe(3);
  });
});

describe("threads prune", () => {
  it("needs to be told what and whose", async () => {
    for (const words of [
      [],
      ["other"],
      ["--all"],
      ["other", "--all", "--latest-only"],
      ["other", "--latest-only", "--keep-last", "2"],
      ["other", "--older-than", "soon"],
      ["other", "--keep-last", "none"],
    ]) {
      expect(await project.call(["threads", "prune", ...words]), words.join(" ")).toMatchObject({
        code: 2,
        out: "",
      });
    }
  });

  it("says what would go, and then takes it", async () => {
    await project.call(["threads", "copy", "other", "pruned"]);
    const words = ["threads", "prune", "pruned", "--keep-last", "2"];
    const planned = await project.json([...words, "--dry-run"]);
    expect(planned).toMatchObject({ checkpoints: 4, kept: 2, dryRun: true });
    expect(await project.json<Point[]>(["threads", "history", "pruned"])).toHaveLength(6);
    expect(await project.json(words)).toMatchObject({ checkpoints: 4, kept: 2, dryRun: false });
    expect(await project.json<Point[]>(["threads", "history", "pruned"])).toHaveLength(2);
    expect(await project.json(["threads", "prune", "--all", "--older-than", "1d"])).toMatchObject({
      checkpoints: 0,
    });
    const latest = await project.call(["threads", "prune", "--all", "--latest-only"]);
    expect(latest.out).toMatch(/^\d+ checkpoints of \d threads removed \(.+\), 4 kept\n$/);
    // The gate is still there.
    expect((await project.call(["resume", "order-2"])).code).toBe(5);
    expect((await project.call(["resume", "order-2", "--approve"])).code).toBe(0);
  });
});
