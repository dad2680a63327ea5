/** Workers whose network swallows everything, and tells nobody. */

import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import { createRuntime } from "../../src/runtime/create-runtime.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { fakeWorld, type FakeWorld } from "../../src/testing/index.ts";
import { startChild, type Child } from "../support/child.ts";
import { createDatabase } from "../support/databases.ts";
import { newEngine, type EngineName } from "../support/engines.ts";
import { openSaver } from "../support/open-saver.ts";
import { orderGraph } from "../support/order-graph.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";

const HOUR = 3_600_000;

let world: FakeWorld;
beforeEach(async () => {
  world = await fakeWorld();
});
afterEach(() => world.close());

interface Begun {
  url: string;
  /** Between the database and some worker. */
  proxy: TcpProxy;
  saver: HoldfastSaver;
  runtime: Runtime;
}

async function begin(engine: EngineName): Promise<Begun> {
  const url = await createDatabase();
  const proxy = await startTcpProxy(url);
  const saver = openSaver(url);
  const graphs = { order: orderGraph() };
  const runtime = createRuntime({ saver, graphs, engine: newEngine(engine), worker: false });
  onTestFinished(async () => {
    await runtime.close();
    await saver.end();
  });
  return { url, proxy, saver, runtime };
}

async function startWorker(url: string, name: string, options: object): Promise<Child> {
  // An attempt at the database takes a second, and not ten.
  const child = startChild("worker.ts", url, world.url, name, { retryTimeout: 3_000, ...options });
  await child.next("ready");
  return child;
}

/** All that is stored of the thread: checkpoints, writes, and the ledger. */
async function everything(saver: HoldfastSaver, threadId: string): Promise<unknown> {
  const tuples = [];
  for await (const tuple of saver.list({ configurable: { thread_id: threadId } })) {
    tuples.push(tuple);
  }
  return { tuples, effects: await saver.steps.effects?.list({ threadId, limit: 100 }) };
}

describe.each(["local", "pg-boss"] as const)(
  "a worker behind a dead wire (engine %s)",
  (engine) => {
    it("ends its run with its lease, leaves it to others, and comes back with the network", async () => {
      const { url, proxy, saver, runtime } = await begin(engine);
      const options = { engine, leaseDuration: 1_500 };
      const a = await startWorker(proxy.url, "a", { ...options, hold: true });
      const run = await runtime.start("order", { order: "o1" }, { threadId: "t" });
      await a.next("holding");
      proxy.blackHole();
      const b = await startWorker(url, "b", options);
      await a.next("lease.lost");
      const result = await runtime.result(run.runId);
      expect(result.values["log"]).toEqual(["first", "hold", "last by b"]);
      const before = await everything(saver, "t");

      // It does not know what became of the run, but what it must not do any more.
      a.send({ type: "go on" });
      await a.next("run.abandoned");
      expect(a.messages.filter(({ type }) => type === "charging")).toHaveLength(1);
      proxy.heal();
      await b.kill();
      const other = await runtime.start("order", { order: "o2" }, { threadId: "u" });
      await a.next("holding");
      a.send({ type: "go on" });
      expect(await runtime.result(other.runId)).toMatchObject({
        status: "completed",
        values: { log: ["first", "hold", "last by a"] },
      });
      expect(await everything(saver, "t")).toEqual(before);
      expect(world.counts()).toEqual({ charge: 4 });
    });
  },
);

describe.each(["listening", "pg-boss"] as const)("a worker that listens (engine %s)", (engine) => {
  it("finds out that its connection is dead, and hears again", async () => {
    const { proxy, runtime } = await begin(engine);
    const a = await startWorker(proxy.url, "a", { engine, pollInterval: HOUR });
    const first = await runtime.start("order", { order: "o1" });
    expect((await runtime.result(first.runId)).status).toBe("completed");
    proxy.blackHole();
    const swallowed = await runtime.start("order", { order: "o2" });
    // What listens asks from time to time whether anybody is there.
    await proxy.swallowed(1);
    proxy.heal();
    expect((await runtime.result(swallowed.runId)).status).toBe("completed");
    const heard = await runtime.start("order", { order: "o3" });
    expect((await runtime.result(heard.runId)).status).toBe("completed");
    await a.kill();
  });
});
