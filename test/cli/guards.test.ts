/** Breakers, limits, budgets, usage and status, as the command line shows them. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { resolveBreaker } from "../../src/policy/breaker.ts";
import { resolveBudget } from "../../src/policy/budget.ts";
import { resolveLimit } from "../../src/policy/limit.ts";
import { enterBreaker } from "../../src/steps/breakers.ts";
import { accountOf, raiseBudget, reserveBudget } from "../../src/steps/budgets.ts";
import { acquirePermit } from "../../src/steps/limits.ts";
import type { StepStore } from "../../src/step-store.ts";
import { createDatabase } from "../support/databases.ts";
import { openSaver } from "../support/open-saver.ts";
import { TestProject, type Said } from "./support/project.ts";

describe.each([
  ["SQLite", (folder: string) => Promise.resolve(`sqlite:${folder}/guards.db`)],
  ["Postgres", createDatabase],
])("on %s", (_, newDatabase) => {
  const project = new TestProject();
  let url = "";
  beforeAll(async () => {
    url = await newDatabase(project.folder);
  });
  afterAll(() => project.remove());

  const call = (...words: string[]): Promise<Said> => project.call([...words, "--db", url]);
  const json = <T>(...words: string[]): Promise<T> => project.json<T>([...words, "--db", url]);

  /** Works on the database as an application would. */
  async function within(work: (steps: StepStore) => Promise<void>): Promise<void> {
    const saver = openSaver(url);
    try {
      await saver.setup();
      await work(saver.steps);
    } finally {
      await saver.end();
    }
  }

  it("a breaker is listed, isolated and reset", async () => {
    await within(async (steps) => {
      const policy = resolveBreaker("breaker", { failures: 1 });
      const pass = await enterBreaker(steps, "openai:gpt-4o", policy);
      if (pass instanceof Error) throw pass;
      await pass.end({ result: "failure" });
    });
    expect((await call("breakers", "ls")).out).toMatch(
      /openai:gpt-4o +open +1 +20\d\d-.+ +20\d\d-/,
    );

    const words = ["breakers", "isolate", "openai:gpt-4o", "--reason", "incident 7"];
    expect(await call(...words)).toMatchObject({ code: 0, out: "openai:gpt-4o  isolated\n" });
    expect(await json("breakers", "ls")).toMatchObject([
      { name: "openai:gpt-4o", state: "isolated", reason: "incident 7" },
    ]);
    await within(async (steps) => {
      const refused = await enterBreaker(steps, "openai:gpt-4o", resolveBreaker("breaker"));
      expect(refused).toMatchObject({ code: "BREAKER_OPEN" });
    });
    expect((await call("breakers", "reset", "openai:gpt-4o")).out).toBe("openai:gpt-4o  closed\n");
    expect((await call("breakers", "ls")).out).toMatch(/openai:gpt-4o +closed +0/);
    expect(await call("breakers", "reset", "openai:gpt-5")).toMatchObject({ code: 3, out: "" });
  });

  it("a limit shows who has a permit, and who waits", async () => {
    expect((await call("limits", "ls")).err).toContain("No limit has been asked yet.");
    await within(async (steps) => {
      const policy = resolveLimit("limit", { concurrency: 1 });
      const until = new AbortController();
      // Waits until it is told to stop.
      const wait = (at: number): Promise<void> => steps.clock.sleep(at - steps.clock.now());
      const held = await acquirePermit(steps, "search", policy, { wait });
      const waiting = acquirePermit(steps, "search", policy, { wait, signal: until.signal });
      const told = waiting.catch((error: unknown) => error);
      await expect
        .poll(() => json("limits", "ls"))
        .toMatchObject([{ name: "search", held: 1, waiting: 1, away: 0 }]);
      expect((await call("limits", "ls")).out).toMatch(/search +1 +1 +0 +20\d\d-/);
      until.abort(new Error("enough"));
      expect(await told).toMatchObject({ message: "enough" });
      await held.release();
    });
    expect(await json("limits", "ls")).toMatchObject([{ name: "search", held: 0, waiting: 0 }]);
  });

  it("budgets show what is spent, reserved and refused", async () => {
    await within(async (steps) => {
      const policy = { name: "tokens", per: { key: "acme" }, tokens: 100 } as const;
      const account = accountOf(policy, {});
      const limits = resolveBudget("budget", policy);
      const spend = (tokens: number): ReturnType<typeof reserveBudget> =>
        reserveBudget(steps, account, limits, { needed: { tokens }, attempts: 0 });
      await (await spend(50)).settle({ tokens: 42 });
      await spend(30);
      await expect(spend(40)).rejects.toMatchObject({ code: "BUDGET_EXCEEDED" });
      await raiseBudget(steps, account, "tokens", 200);
    });
    const [budget] = await json<unknown[]>("budgets", "ls");
    expect(budget).toMatchObject({
      ...{ name: "tokens", per: "key", key: "acme" },
      ...{ spent: { tokens: 42 }, reserved: { tokens: 30 }, exceeded: { tokens: 100 } },
      raisedTo: { tokens: 200 },
    });
    expect((await call("budgets", "ls")).out).toMatch(
      /tokens +key acme +42 tokens +30 tokens +100 tokens +200 tokens/,
    );
  });

  it("usage is added up by thread, run, node or model, most expensive first", async () => {
    await within((steps) => {
      const use = (threadId: string, model: string, usd: number, at: number): void =>
        steps.usage.add({
          ...{ threadId, runId: "r", node: "plan", model, usd, at },
          ...{ inputTokens: 100, outputTokens: 10, estimated: false, failed: false },
        });
      const now = steps.clock.now();
      use("a", "small", 0.25, now);
      use("a", "large", 2, now);
      use("b", "small", 0.5, now - 24 * 3_600_000);
      return Promise.resolve();
    });
    expect(await json("usage")).toMatchObject([
      { key: "large", calls: 1, usd: 2 },
      { key: "small", calls: 2, usd: 0.75, inputTokens: 200 },
    ]);
    expect(await json("usage", "--by", "thread", "--since", "12h")).toMatchObject([
      { key: "a", calls: 2, usd: 2.25 },
    ]);
    expect((await call("usage", "--by", "node")).out).toMatch(/NODE.*\nplan +3 +300 +30 +2\.7500/);
    expect((await call("usage", "--by", "colour")).code).toBe(2);
    expect((await call("usage", "--since", "yesterday")).code).toBe(2);
  });

  it("status tells how runs of the command line ended", async () => {
    const run = (graph: string, thread: string): Promise<Said> =>
      call("run", graph, "-t", thread, "-i", '{"topic":"kelp"}');
    await run("gated", "s-gated");
    project.trouble({ fail: "write" });
    await run("routed", "s-done");
    await run("./agents.ts:builder", "s-failed");
    project.trouble();
    expect(await json("status", "s-gated")).toMatchObject({
      ...{ status: "interrupted", workflowName: "gated" },
    });
    await call("resume", "s-gated", "--approve");
    expect(await json("status", "s-gated")).toMatchObject({ status: "completed" });
    expect((await call("status", "s-failed")).out).toMatch(
      /^s-failed {2}failed\n(.*\n)*.*no write today/,
    );
    const failed = await json<{ threadId: string }[]>("status", "--status", "failed");
    expect(failed.map(({ threadId }) => threadId)).toEqual(["s-failed"]);
    expect((await call("status")).out).toMatch(
      /^THREAD +STATUS +STEP +ATTEMPT +STARTED +HEARTBEAT/,
    );
    expect((await call("status", "nobody")).code).toBe(3);
    expect((await call("status", "--status", "odd")).code).toBe(2);
  });
});
