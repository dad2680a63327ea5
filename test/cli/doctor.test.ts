/** `holdfast doctor THREAD`: each case of docs/troubleshooting.md is found. */

import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SqliteSaver } from "../../checkpointers/sqlite/index.ts";
import { effect } from "../../src/effects/effect.ts";
import { durable } from "../../src/steps/durable.ts";
import { sleep } from "../../src/steps/sleep.ts";
import { ORDERS, OrdersProject } from "./support/orders.ts";

interface Check {
  status: string;
  what: string;
  detail: string;
}

describe("holdfast doctor, of a thread", () => {
  let project: OrdersProject;
  beforeEach(() => {
    project = new OrdersProject();
  });
  afterEach(() => project.remove());

  async function found(thread: string): Promise<string[]> {
    const checks = await project.json<Check[]>(["doctor", thread]);
    return checks.map(({ status, what, detail }) => `${status} ${what}: ${detail}`);
  }

  async function withSaver<T>(work: (saver: SqliteSaver) => Promise<T>): Promise<T> {
    const saver = SqliteSaver.fromConnString(project.path("holdfast.db"));
    try {
      return await work(saver);
    } finally {
      await saver.end();
    }
  }

  it("finds a thread that ended well well", async () => {
    await project.call(["run", "plain", "-t", "t-1"]);
    const { code, out } = await project.call(["doctor", "t-1"]);
    expect(code).toBe(0);
    expect(out).toMatch(/ok +step +completed/);
    expect(out).toMatch(/ok +state +latest checkpoint/);
    expect(out).toMatch(/ok +size +\d+ checkpoints, /);
    expect(out).not.toMatch(/^(warn|fail)/m);
    expect((await project.call(["doctor", "nobody"])).code).toBe(3);
  });

  it("finds a gate that waits for a person", async () => {
    await project.call(["run", "gated", "-t", "t-1"]);
    expect(await found("t-1")).toEqual(
      expect.arrayContaining([expect.stringMatching(/^warn question .*: holdfast approvals show/)]),
    );
  });

  it("finds a process that is gone, and an effect of which nobody knows", async () => {
    project.turn("kill-label", true);
    await project.spawn(["run", ORDERS, "-i", '{"order":"o-1"}', "-t", "t-1"]);
    const { code, out } = await project.call(["doctor", "t-1"]);
    expect(code).toBe(1);
    expect(out).toMatch(/fail +step .*its process is gone: holdfast resume t-1/);
    expect(out).toMatch(/fail +effect label +nobody knows whether it was performed/);
  });

  it("finds what failed, and what could not be undone", async () => {
    await project.call(["run", ORDERS, "-i", '{"order":"o-1"}', "-t", "t-1"]);
    expect(await found("t-1")).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^fail step: failed.*the card was refused/),
        expect.stringMatching(/^warn task: .*the card was refused/),
        "ok effects: 1 effect",
      ]),
    );
    project.turn("undo-fails", true);
    await project.call(["compensate", "t-1", ORDERS, "--yes"]);
    expect(await found("t-1")).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^fail undo of label: stuck: .*carrier says no/),
      ]),
    );
  });

  it("finds keys that are not stable, and a node that waits", async () => {
    const State = Annotation.Root({ done: Annotation<boolean>() });
    const pay = effect({
      name: "doctor-pay",
      run: () => Promise.resolve({ ok: true }),
      onUnknown: "repeat",
    });
    await withSaver(async (saver) => {
      const graph = new StateGraph(State)
        .addNode("pay", async () => {
          for (const key of ["a1f9", "77c2"]) await pay({ amount: 5 }, { key });
          return { done: true };
        })
        .addNode(
          "rest",
          durable.for(State)(
            async () => {
              await sleep(3_600_000);
              return {};
            },
            { parkAfter: 1 },
          ),
        )
        .addEdge(START, "pay")
        .addEdge("pay", "rest")
        .addEdge("rest", END)
        .compile({ checkpointer: saver });
      await graph.invoke({}, { configurable: { thread_id: "t-1" }, durability: "sync" });
    });
    expect(await found("t-1")).toEqual(
      expect.arrayContaining([
        expect.stringMatching(
          /^warn effect doctor-pay: performed 2 times with the same arguments under different keys/,
        ),
        expect.stringMatching(/^ok step: parked at rest: /),
      ]),
    );
  });

  it("finds accepted runs that nobody takes, that wait, and that are dead", async () => {
    for (const id of ["r-1", "r-2"]) {
      await project.call(["runs", "start", "plain", "--run-id", id, "-t", "t-1"]);
    }
    const change = (to: object): Promise<unknown> =>
      withSaver(async ({ steps }) =>
        steps.queue?.turn("t-1", ({ runs: [first] }) => ({
          put: first === undefined ? [] : [{ ...first, ...to }],
          result: undefined,
        })),
      );
    expect(await found("t-1")).toEqual(
      expect.arrayContaining([
        "ok run r-1: queued, due",
        "ok run r-2: queued behind run r-1, which is queued",
      ]),
    );
    await change({ startAt: 1_000_000 });
    expect(await found("t-1")).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^fail run r-1: queued, due since .* no worker/),
      ]),
    );
    await change({ status: "dead", startAt: undefined, crashes: 4, endedAt: 1 });
    expect(await found("t-1")).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^fail run r-1: dead: its workers died 4 times .*runs revive r-1/),
      ]),
    );
  });
});
