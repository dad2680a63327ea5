import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { TestProject } from "./support/project.ts";

const project = new TestProject();
afterAll(() => project.remove());
beforeEach(() => {
  project.trouble();
  project.ran();
});

interface Report {
  threadId: string;
  checkpointId: string;
  status: string;
  gates?: { when: string; nodes: string[] }[];
  values: { log: string[] };
}

describe("a gate", () => {
  it("stops a run with exit code 5, and says how to go on", async () => {
    const { code, out, err } = await project.call([
      "run",
      "gated",
      "-t",
      "a",
      "-i",
      '{"topic":"kelp"}',
    ]);
    expect(code).toBe(5);
    expect(out).toBe('topic  kelp\nlog  ["plan","write"]\n');
    expect(err).toContain("waiting  for approval before publish");
    expect(err).toContain("Go on with: holdfast resume a --approve");
    expect(project.ran()).toEqual(["plan", "write"]);
  });

  it("holds however often the thread is resumed without an approval", async () => {
    for (let time = 0; time < 3; time++) {
      expect((await project.call(["resume", "a"])).code).toBe(5);
    }
    const report = await project.json<Report>(["resume", "a"]);
    expect(report).toMatchObject({
      status: "waiting",
      gates: [{ when: "before", nodes: ["publish"] }],
    });
    expect(project.ran()).toEqual([]);
  });

  it("refuses new input, which would discard the step, unless told to", async () => {
    const refused = await project.call(["run", "gated", "-t", "a"]);
    expect(refused.code).toBe(5);
    expect(refused.err).toContain("waits for a person");
    expect(project.ran()).toEqual([]);
    await project.call(["run", "gated", "-t", "abandoned"]);
    const again = await project.call(["run", "gated", "-t", "abandoned", "--abandon"]);
    expect(again.code).toBe(5);
    expect(project.ran()).toEqual(["plan", "write", "plan", "write"]);
  });

  it("opens with --approve, and only what lies behind it runs", async () => {
    const { code, out } = await project.call(["resume", "a", "--approve"]);
    expect(code).toBe(0);
    expect(out).toContain('log  ["plan","write","publish","tell"]');
    expect(project.ran()).toEqual(["publish", "tell"]);
    expect((await project.call(["resume", "a"])).code).toBe(0);
    expect((await project.call(["resume", "a", "--approve"])).code).toBe(2);
    expect(project.ran()).toEqual([]);
  });

  it("is approved for itself, not for the next one", async () => {
    await project.call(["run", "twoGates", "-t", "two"]);
    const first = await project.json<Report>(["resume", "two", "--approve"]);
    expect(first.gates).toMatchObject([{ nodes: ["tell"] }]);
    expect((await project.call(["resume", "two"])).code).toBe(5);
    expect((await project.call(["resume", "two", "--approve"])).code).toBe(0);
    expect(project.ran()).toEqual(["plan", "write", "publish", "tell"]);
  });

  it("cannot be approved before it was reached", async () => {
    project.trouble({ fail: "write" });
    const failed = await project.call(["run", "gated", "-t", "early"]);
    expect(failed.code).toBe(1);
    expect(failed.err).toContain('error: Node "write" failed: no write today');
    expect(failed.err).toContain("holdfast resume early");
    project.trouble();
    const early = await project.call(["resume", "early", "--approve"]);
    expect(early.code).toBe(2);
    expect(early.err).toContain("stands at no gate yet");
    expect((await project.call(["resume", "early"])).code).toBe(5);
    expect(project.ran()).toEqual(["plan", "write", "write"]);
  });

  it("stays open for a step that failed behind it", async () => {
    await project.call(["run", "gated", "-t", "retry"]);
    project.trouble({ fail: "publish" });
    expect((await project.call(["resume", "retry", "--approve"])).code).toBe(1);
    project.trouble();
    expect((await project.call(["resume", "retry"])).code).toBe(0);
    expect(project.ran()).toEqual(["plan", "write", "publish", "publish", "tell"]);
  });

  it("may stand behind a node", async () => {
    const stopped = await project.json<Report>(["run", "gatedAfter", "-t", "behind"]);
    expect(stopped.gates).toMatchObject([{ when: "after", nodes: ["plan"] }]);
    expect((await project.call(["resume", "behind"])).code).toBe(5);
    expect(project.ran()).toEqual(["plan"]);
    expect((await project.call(["resume", "behind", "--approve"])).code).toBe(0);
    expect(project.ran()).toEqual(["write", "publish", "tell"]);
  });

  it("behind a node does not hold a run that was begun anew", async () => {
    project.trouble({ fail: "plan" });
    expect((await project.call(["run", "gatedAfter", "-t", "anew"])).code).toBe(1);
    project.trouble({ fail: "plan" });
    expect((await project.call(["run", "gatedAfter", "-t", "anew", "--abandon"])).code).toBe(1);
    project.trouble();
    const resumed = await project.json<Report>(["resume", "anew"]);
    expect(resumed.gates).toMatchObject([{ when: "after", nodes: ["plan"] }]);
  });

  it("may stand before every node", async () => {
    const stops = [await project.json<Report>(["run", "gatedEverywhere", "-t", "all"])];
    for (let gate = 0; gate < 4; gate++) {
      expect((await project.call(["resume", "all"])).code).toBe(5);
      stops.push(await project.json<Report>(["resume", "all", "--approve"]));
    }
    expect(stops.map(({ gates, status }) => gates?.[0]?.nodes[0] ?? status)).toEqual([
      ...["plan", "write", "publish", "tell"],
      "done",
    ]);
    expect(project.ran()).toEqual(["plan", "write", "publish", "tell"]);
  });

  it("may stand in a subgraph", async () => {
    const stopped = await project.json<Report>(["run", "nested", "-t", "sub"]);
    expect(stopped.gates).toMatchObject([{ nodes: ["send"] }]);
    expect((await project.call(["resume", "sub"])).code).toBe(5);
    expect(project.ran()).toEqual(["plan", "draft"]);
    project.trouble({ fail: "send" });
    expect((await project.call(["resume", "sub", "--approve"])).code).toBe(1);
    project.trouble();
    expect((await project.call(["resume", "sub"])).code).toBe(0);
    expect(project.ran()).toEqual(["send", "send"]);
  });

  it("asks anew on a fork, and when an earlier checkpoint is gone on from", async () => {
    interface Point {
      checkpointId: string;
      node: string;
    }
    await project.call(["run", "gated", "-t", "forked"]);
    await project.call(["resume", "forked", "--approve"]);
    const points = await project.json<Point[]>(["threads", "history", "forked"]);
    const before = points.find(({ node }) => node === "write")?.checkpointId ?? "";
    project.ran();

    const refused = await project.call(["resume", "forked", "--checkpoint", before]);
    expect(refused.code).toBe(5);
    expect(refused.err).toContain(`holdfast resume forked --approve --checkpoint ${before}`);
    expect(
      (await project.call(["threads", "fork", "forked", "--checkpoint", before, "--run"])).code,
    ).toBe(5);
    expect((await project.call(["resume", "forked"])).code).toBe(5);
    expect(project.ran()).toEqual([]);

    const update = ["--update", '{"topic":"other"}', "--run"];
    expect(
      (await project.call(["threads", "fork", "forked", "--checkpoint", before, ...update])).code,
    ).toBe(5);
    expect((await project.call(["resume", "forked", "--approve"])).out).toContain("topic  other");
    expect(project.ran()).toEqual(["publish", "tell"]);
    expect(
      (await project.call(["resume", "forked", "--checkpoint", before, "--approve"])).code,
    ).toBe(0);
    expect(project.ran()).toEqual(["publish", "tell"]);
  });
});

describe("a process that was killed", () => {
  it("before the gate: goes on behind the last finished step, and stays at the gate", async () => {
    project.trouble({ kill: "write" });
    expect((await project.spawn(["run", "gated", "-t", "killed"])).code).toBe(null);
    expect(project.ran()).toEqual(["plan", "write"]);
    project.trouble();
    const resumed = await project.call(["resume", "killed"]);
    expect(resumed.code).toBe(5);
    expect(project.ran()).toEqual(["write"]);
    expect((await project.call(["resume", "killed"])).code).toBe(5);
    expect(project.ran()).toEqual([]);
  });

  it("behind the gate: goes on without asking again, since it was approved", async () => {
    project.trouble({ kill: "publish" });
    expect((await project.spawn(["resume", "killed", "--approve"])).code).toBe(null);
    project.trouble();
    expect((await project.call(["resume", "killed"])).code).toBe(0);
    expect(project.ran()).toEqual(["publish", "publish", "tell"]);
  });

  it("in a subgraph, behind its gate", async () => {
    await project.call(["run", "nested", "-t", "killed-sub"]);
    project.trouble({ kill: "send" });
    expect((await project.spawn(["resume", "killed-sub", "--approve"])).code).toBe(null);
    project.trouble();
    expect((await project.call(["resume", "killed-sub"])).code).toBe(0);
    expect(project.ran()).toEqual(["plan", "draft", "send", "send"]);
  });

  it("leaves a thread that new input does not overwrite", async () => {
    project.trouble({ kill: "write" });
    await project.spawn(["run", "plain", "-t", "unfinished"]);
    project.trouble();
    const refused = await project.call(["run", "plain", "-t", "unfinished"]);
    expect(refused.code).toBe(2);
    expect(refused.err).toContain("holdfast resume unfinished");
    const state = await project.json(["threads", "state", "unfinished"]);
    expect(state).toMatchObject({ status: "unfinished", next: ["write"] });
  });
});
