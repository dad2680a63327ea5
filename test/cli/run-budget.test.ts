/** `holdfast runs start --budget`, and what of it is used. */

import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDatabase } from "../support/databases.ts";
import { TestProject } from "./support/project.ts";
import type { Said } from "./support/project.ts";

const index = JSON.stringify(join(import.meta.dirname, "../../src/index.ts"));

/** Calls a tool as often as its input says. */
const SOURCE = `import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { tool } from "@langchain/core/tools";
import { z } from "zod";
import { durable, durableTool } from ${index};

const State = Annotation.Root({ times: Annotation<number>() });
const call = durableTool(
  tool(({ i }) => "did " + i, { name: "do", description: "does", schema: z.object({ i: z.number() }) }),
  { onUnknown: "repeat", onFailure: "throw" },
);

export const calls = new StateGraph(State)
  .addNode("call", durable(async ({ times }) => {
    for (let i = 0; i < times; i += 1) await call.invoke({ i });
    return {};
  }, { retry: { maxAttempts: 1 } }))
  .addEdge(START, "call")
  .addEdge("call", END)
  .compile();
`;

const DATABASES: [name: string, newUrl: () => Promise<string>][] = [
  ["SQLite", () => Promise.resolve("sqlite:agents.db")],
  ["Postgres", () => createDatabase()],
];

describe.each(DATABASES)("the budget of a run, on %s", (_, newUrl) => {
  let project: TestProject;
  let words: string[];
  let stop: AbortController;
  let worker: Promise<Said> | undefined;
  beforeEach(async () => {
    project = new TestProject();
    project.write("calls.ts", SOURCE);
    words = ["--graph", "./calls.ts:calls", "--db", await newUrl()];
    stop = new AbortController();
  });
  afterEach(async () => {
    stop.abort();
    await worker;
    project.remove();
  });

  const call = (...given: string[]): Promise<Said> => project.call([...given, ...words]);
  const start = (runId: string, ...given: string[]): Promise<Said> =>
    call("runs", "start", "--run-id", runId, ...given);
  const get = (runId: string): Promise<Record<string, unknown>> =>
    project.json(["runs", "get", runId, ...words]);
  const work = (): void => {
    worker = project.call(["worker", "--poll", "20", ...words], { signal: stop.signal });
  };

  it("is what the run keeps within, and is shown with what is used", async () => {
    work();
    const budget = "calls=3, usd=0.5";
    const within = await start("within", "-i", '{"times":2}', "--budget", budget, "--wait");
    expect(within.code).toBe(0);
    expect(await get("within")).toMatchObject({
      budget: { calls: 3, usd: 0.5, spent: { calls: 2 }, reserved: {}, raisedTo: {} },
    });
    expect((await call("runs", "get", "within")).out).toMatch(
      /\nbudget +\$0 of \$0.5, 2 of 3 calls\n\ninput /,
    );
    const over = await start("over", "-i", '{"times":4}', "--budget", "calls=3", "--wait");
    expect(over.code).toBe(1);
    expect(over.err).toMatch(/budget/i);
    expect((await call("runs", "get", "over")).out).toMatch(/\nbudget +3 of 3 calls\n/);
    await start("without", "-i", '{"times":4}', "--wait");
    expect(await get("without")).not.toHaveProperty("budget");
    expect((await call("runs", "get", "without")).out).not.toMatch(/^budget/m);
  });

  it("asks for more where it is told to, under its own name", async () => {
    work();
    const budget = "calls=1,onExhausted=ask,name=7";
    expect((await start("r", "-i", '{"times":2}', "--budget", budget, "--wait")).code).toBe(5);
    const [question] = await project.json<{ id: string }[]>(["approvals", "ls", ...words]);
    await call("approvals", "approve", question?.id ?? "");
    expect((await call("runs", "wait", "r")).code).toBe(0);
    expect(await get("r")).toMatchObject({
      budget: { name: "7", calls: 1, onExhausted: "ask", spent: { calls: 2 } },
    });
    expect((await call("runs", "get", "r")).out).toMatch(
      /\nbudget +2 of 2 \(raised from 1\) calls\n/,
    );
  });

  it.each([
    ["cost=2", /--budget: "cost" is no part of a budget\. Give limits such as usd=0\.5/],
    ["per=thread,calls=1", /--budget: "per" is no part of a budget/],
    ["calls=1.5", /--budget\.calls must be a whole number of 0 or more, not 1\.5/],
    ["usd=much", /--budget\.usd must be a finite number/],
    ["usd=-1", /--budget\.usd/],
    ["onExhausted=stop,calls=1", /--budget\.onExhausted must be one of "fail", "ask"/],
    ["name=mine", /--budget limits nothing: give one of usd, tokens, calls, retries/],
    ["calls", /--budget: "calls" is not key=value/],
    ["", /--budget: "" is not key=value/],
    ["calls=1,calls=2", /says the same twice/],
  ])("is refused as %j, and nothing is accepted", async (budget, says) => {
    const refused = await start("r", "--budget", budget);
    expect(refused).toMatchObject({ code: 2, out: "" });
    expect(refused.err).toMatch(says);
    expect((await call("runs", "get", "r")).code).toBe(3);
  });
});
