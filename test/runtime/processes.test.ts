import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import { createRuntime } from "../../src/runtime/create-runtime.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { fakeWorld, type FakeWorld } from "../../src/testing/index.ts";
import { startChild, type Child } from "../support/child.ts";
import { orderGraph } from "../support/order-graph.ts";
import { newEngine } from "../support/engines.ts";
import { SITES, type Place } from "../support/places.ts";

let world: FakeWorld;
beforeEach(async () => {
  world = await fakeWorld();
});
afterEach(() => world.close());

/** All that is stored of the thread: checkpoints, writes, and the ledger. */
async function everything(saver: HoldfastSaver, threadId: string): Promise<unknown> {
  const tuples = [];
  for await (const tuple of saver.list({ configurable: { thread_id: threadId } })) {
    tuples.push(tuple);
  }
  return { tuples, effects: await saver.steps.effects?.list({ threadId, limit: 100 }) };
}

/** That runs are heard of sooner is another matter: engines.test.ts. */
const ENGINES = SITES.filter(([, , engine]) => engine !== "listening");

describe.each(ENGINES)("workers in processes of their own, on %s", (_, newPlace, engine) => {
  async function begin(): Promise<{ place: Place; saver: HoldfastSaver; runtime: Runtime }> {
    const place = await newPlace();
    const saver = place.open();
    const graphs = { order: orderGraph() };
    const runtime = createRuntime({ saver, graphs, engine: newEngine(engine), worker: false });
    onTestFinished(() => runtime.close());
    return { place, saver, runtime };
  }

  async function startWorker(place: Place, name: string, options: object): Promise<Child> {
    const child = startChild("worker.ts", place.url, world.url, name, { engine, ...options });
    await child.next("ready");
    return child;
  }

  it("take over at once from one of the same machine that was killed", async () => {
    const { place, runtime } = await begin();
    // Nobody could wait for such a lease to expire.
    const a = await startWorker(place, "a", { leaseDuration: 600_000, hold: true });
    const run = await runtime.start("order", { order: "o1" }, { threadId: "t" });
    await a.next("holding");
    const b = await startWorker(place, "b", {});
    await a.kill();
    await b.next("holding");
    const { status, values } = await runtime.result(run.runId);
    expect({ status, values }).toEqual({
      status: "completed",
      values: { order: "o1", log: ["first", "hold", "last by b"] },
    });
    expect(await runtime.run(run.runId)).toMatchObject({ attempt: 2, crashes: 0 });
    expect(world.counts()).toEqual({ charge: 2 });
  });

  it("write nothing, record nothing and begin nothing once they were overtaken", async () => {
    const { place, saver, runtime } = await begin();
    const a = await startWorker(place, "a", { leaseDuration: 1_000, hold: true });
    const run = await runtime.start("order", { order: "o1" }, { threadId: "t" });
    await a.next("holding");
    a.process.kill("SIGSTOP");
    const b = await startWorker(place, "b", {});
    const result = await runtime.result(run.runId);
    expect(result).toMatchObject({ status: "completed" });
    expect(result.values["log"]).toEqual(["first", "hold", "last by b"]);
    const before = await everything(saver, "t");
    expect(b.messages.filter(({ type }) => type === "charging")).toHaveLength(1);

    a.send({ type: "go on" });
    a.process.kill("SIGCONT");
    await a.next("run.abandoned");
    expect(a.messages.filter(({ type }) => type === "charging")).toHaveLength(1);
    expect(await everything(saver, "t")).toEqual(before);
    expect(world.counts()).toEqual({ charge: 2 });
    // It is as good as new.
    const other = await runtime.start("order", { order: "o2" }, { threadId: "u" });
    await b.kill();
    await a.next("holding");
    a.send({ type: "go on" });
    expect(await runtime.result(other.runId)).toMatchObject({ status: "completed" });
  });

  it("give up a run that kills them again and again, until somebody revives it", async () => {
    const { place, runtime } = await begin();
    const run = await runtime.start("order", { order: "o1" }, { threadId: "t" });
    for (let crashes = 0; crashes < 4; crashes += 1) {
      const worker = await startWorker(place, `w${crashes}`, {
        leaseDuration: 600_000,
        hold: true,
      });
      await worker.next("holding");
      await worker.kill();
    }
    const last = await startWorker(place, "last", {});
    expect(await runtime.result(run.runId)).toMatchObject({
      status: "dead",
      reason: "its worker died 4 times in a row",
    });
    await runtime.retry(run.runId);
    await last.next("holding");
    expect(await runtime.result(run.runId)).toMatchObject({ status: "completed" });
    expect(world.counts()).toEqual({ charge: 2 });
  });

  it("share the work", async () => {
    const { place, runtime } = await begin();
    // A busy machine is no reason to take over.
    const options = { concurrency: 2, leaseDuration: 60_000 };
    const workers = await Promise.all(["a", "b"].map((name) => startWorker(place, name, options)));
    const ids = Array.from({ length: 20 }, (__, i) => `o${i}`);
    await Promise.all(
      ids.map((order) => runtime.start("order", { order }, { runId: order, threadId: order })),
    );
    for (const id of ids) expect((await runtime.result(id)).status).toBe("completed");
    const taken = workers.map(
      ({ messages }) => messages.filter(({ type }) => type === "run.started").length,
    );
    expect(taken[0]).toBeGreaterThan(0);
    expect(taken[1]).toBeGreaterThan(0);
    expect(taken[0]! + taken[1]!).toBe(20);
    expect(world.counts()).toEqual({ charge: 40 });
  });
});
