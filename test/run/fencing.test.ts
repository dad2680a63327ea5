import { spawnSync } from "node:child_process";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import { effect } from "../../src/effects/effect.ts";
import type { Clock } from "../../src/clock.ts";
import { isHoldfastError } from "../../src/errors.ts";
import { events } from "../../src/events.ts";
import { systemProcesses } from "../../src/process.ts";
import { runToEnd } from "../../src/run/run-to-end.ts";
import { LEASE_TOKEN_KEY, type LeaseStore } from "../../src/step-store.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { PLACES } from "../support/places.ts";

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});

interface Latch {
  reached: Promise<void>;
  arrive: () => void;
  passed: Promise<void>;
  open: () => void;
}

function latch(): Latch {
  const one = Promise.withResolvers<void>();
  const other = Promise.withResolvers<void>();
  return { reached: one.promise, arrive: one.resolve, passed: other.promise, open: other.resolve };
}

/** What each worker does inside of the effect and inside of the node. */
const inEffect = new Map<string, () => Promise<void>>();
const pay = effect({
  name: "fencing-pay",
  run: async ({ worker }: { worker: string }) => {
    await inEffect.get(worker)?.();
    return `paid by ${worker}`;
  },
  onUnknown: "repeat",
});

function graphOf(saver: HoldfastSaver, worker: string, inNode?: () => Promise<void>) {
  return new StateGraph(State)
    .addNode("first", () => ({ log: ["first"] }))
    .addNode("pay", async () => {
      await inNode?.();
      return { log: [await pay({ worker: "any" }, { key: "order" })] };
    })
    .addNode("last", () => ({ log: [`last by ${worker}`] }))
    .addEdge(START, "first")
    .addEdge("first", "pay")
    .addEdge("pay", "last")
    .addEdge("last", END)
    .compile({ checkpointer: saver });
}

const on = { configurable: { thread_id: "t" } };

async function everything(saver: HoldfastSaver): Promise<unknown> {
  const tuples = [];
  for await (const tuple of saver.list({ configurable: { thread_id: "t" } })) tuples.push(tuple);
  return tuples;
}

describe.each(PLACES)("a run that was overtaken, on %s", (_, newPlace) => {
  it("writes nothing more, wherever it stood still", async () => {
    for (const where of ["node", "effect"]) {
      const place = await newPlace();
      const clock = new ManualClock();
      const [a, b] = [
        place.open({ clock }),
        place.open({ clock: new ManualClock(clock.now() + 600_000) }),
      ];
      const stop = latch();
      const wait = (): Promise<void> => {
        stop.arrive();
        return stop.passed;
      };
      inEffect.set("any", where === "effect" ? wait : () => Promise.resolve());
      const overtaken = runToEnd(
        graphOf(a, "a", where === "node" ? wait : undefined),
        { log: [] },
        on,
      );
      overtaken.catch(() => undefined);
      await stop.reached;
      inEffect.set("any", () => Promise.resolve());
      const outcome = await runToEnd(graphOf(b, "b"), null, on);
      expect(outcome).toMatchObject({
        status: "completed",
        values: { log: ["first", "paid by any", "last by b"] },
      });
      const before = await everything(b);
      const effects = await b.steps.effects?.list({ threadId: "t" });

      stop.open();
      const error = await overtaken.catch((thrown: unknown) => thrown);
      expect(isHoldfastError(error, "LEASE_LOST"), `${where}: ${String(error)}`).toBe(true);
      expect(await everything(place.open())).toEqual(before);
      expect(await b.steps.effects?.list({ threadId: "t" })).toEqual(effects);
    }
  });

  it("begins no effect after its lease, though no timer has told it yet", async () => {
    let now = 1_000_000;
    // A process that stood still: its clock has moved, and none of its timers has run.
    const clock: Clock = {
      now: () => now,
      sleep: (_, signal) =>
        new Promise((_resolve, reject) => {
          signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
        }),
    };
    const saver = (await newPlace()).open({ clock });
    let runs = 0;
    inEffect.set("any", () => {
      runs += 1;
      return Promise.resolve();
    });
    const stop = events.on("effect.claimed", () => {
      now += 20_000;
    });
    try {
      const running = runToEnd(graphOf(saver, "a"), { log: [] }, on, { leaseDuration: 15_000 });
      await expect(running).rejects.toSatisfy((error) => isHoldfastError(error, "LEASE_LOST"));
    } finally {
      stop();
    }
    expect(runs).toBe(0);
  });

  it("takes nobody along: what others write in the same commit is stored", async () => {
    const place = await newPlace();
    const clock = new ManualClock();
    const saver = place.open({ clock });
    const leases = saver.steps.leases as LeaseStore;
    const old = await leases.acquire("t", "a", 1_000);
    await clock.advance(2_000);
    const { token } = await leases.acquire("t", "b", 60_000);
    const graph = (id: string, lease: number) =>
      graphOf(saver, id).invoke(
        { log: [] },
        { configurable: { thread_id: id, [LEASE_TOKEN_KEY]: lease }, durability: "sync" },
      );
    inEffect.set("any", () => Promise.resolve());
    const other = await leases.acquire("u", "b", 60_000);
    const results = await Promise.allSettled([
      graph("t", old.token),
      graph("t", token),
      graph("u", other.token),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled"]);
    expect(isHoldfastError((results[0] as PromiseRejectedResult).reason, "LEASE_LOST")).toBe(true);
  });

  it("is not written to by who has no lease, unless that is allowed", async () => {
    const place = await newPlace();
    const clock = new ManualClock();
    const saver = place.open({ clock });
    inEffect.set("any", () => Promise.resolve());
    const held = await (saver.steps.leases as LeaseStore).acquire("t", "a", 60_000);
    for (const write of [
      () => graphOf(saver, "b").invoke({ log: [] }, { ...on, durability: "sync" }),
      () => graphOf(saver, "b").updateState(on, { log: ["by hand"] }),
    ]) {
      await expect(write()).rejects.toSatisfy((error) => isHoldfastError(error, "THREAD_BUSY"));
    }
    expect(await everything(place.open())).toEqual([]);
    const lax = place.open({ clock, unleasedWrites: "allow" });
    await graphOf(lax, "b").updateState(on, { log: ["by hand"] });
    expect(await everything(place.open())).toHaveLength(1);
    // Others' threads are free, and this one is once its lease has expired or was given back.
    const other = { configurable: { thread_id: "u" } };
    await graphOf(saver, "b").updateState(other, { log: ["by hand"] });
    await clock.advance(60_000);
    await graphOf(saver, "b").updateState(on, { log: ["late"] });
    await saver.steps.leases?.release(held);
    await graphOf(saver, "b").updateState(on, { log: ["free"] });
    expect(await everything(place.open())).toHaveLength(3);
  });

  it("is free again at once where who held its lease was killed on the same machine", async () => {
    const saver = (await newPlace()).open();
    const gone = spawnSync("true");
    const { own } = systemProcesses;
    const owner = own.replace(/:\d+:[^:]*$/, `:${gone.pid}:1#killed`);
    await (saver.steps.leases as LeaseStore).acquire("t", owner, 600_000);
    await graphOf(saver, "b").updateState(on, { log: ["by hand"] });
    expect(await everything(saver)).toHaveLength(1);
  });

  it("of a thread that was deleted begins no new one", async () => {
    const place = await newPlace();
    const saver = place.open();
    const stop = latch();
    const graph = graphOf(saver, "a", () => {
      stop.arrive();
      return stop.passed;
    });
    inEffect.set("any", () => Promise.resolve());
    const running = runToEnd(graph, { log: [] }, on);
    running.catch(() => undefined);
    await stop.reached;
    await place.open().deleteThread("t");
    stop.open();
    await expect(running).rejects.toThrow(/was lost|is gone|deleted/);
    expect(await everything(place.open())).toEqual([]);
  });
});
