/** How long the ledger's rows stay, whose they are, and who may write them. */

import { describe, expect, it } from "vitest";
import type { EffectStore } from "../../src/effect-store.ts";
import { effect } from "../../src/effects/effect.ts";
import { Ledger } from "../../src/effects/ledger.ts";
import { compensate } from "../../src/effects/saga.ts";
import { LEASE_TOKEN_KEY, type LeaseStore } from "../../src/step-store.ts";
import { PLACES } from "../support/places.ts";
import { syncRun } from "../support/small-graphs.ts";
import { effectOf, keyedCall, MadeUpProcesses } from "./support/ledger.ts";
import { graphOf, World } from "./support/world.ts";

describe.each(PLACES)("the ledger's rows on %s", (_, newPlace) => {
  const setUp = async () => {
    const saver = (await newPlace()).open();
    const world = new World();
    const send = effect({ name: "send", run: (what: string) => world.do(what), onUnknown: "ask" });
    const graph = graphOf(saver, async () => [
      await send("keyed", { key: "k" }),
      await send("unkeyed"),
      await send("ever", { key: "k ever", scope: "global" }),
    ]);
    await graph.invoke({ order: "" }, syncRun("t"));
    world.calls.length = 0;
    return { saver, world, graph };
  };

  it("go with their thread, but for those that count once ever", async () => {
    const { saver, world, graph } = await setUp();
    await saver.deleteThread("t");
    expect(await saver.steps.effects?.list({ threadId: "t" })).toMatchObject([{ key: "k ever" }]);
    await graph.invoke({ order: "" }, syncRun("t"));
    expect(world.calls).toEqual(["keyed", "unkeyed"]);
  });

  it("stay behind when a thread is copied: the copy's ledger is empty", async () => {
    const { saver, world, graph } = await setUp();
    await saver.copyThread("t", "copy");
    expect(await saver.steps.effects?.list({ threadId: "copy" })).toEqual([]);
    await graph.invoke({ order: "" }, syncRun("copy"));
    expect(world.calls).toEqual(["keyed", "unkeyed"]);
  });

  it("stay when a thread is pruned, if they have a key", async () => {
    const { saver, world, graph } = await setUp();
    await graph.invoke({ order: "" }, syncRun("t"));
    world.calls.length = 0;
    await saver.prune(["t"], { latestOnly: true });
    const rows = await saver.steps.effects?.list({ threadId: "t" });
    expect(rows?.map(({ key }) => key).toSorted()).toEqual(["k", "k ever"]);
    await graph.invoke({ order: "" }, syncRun("t"));
    expect(world.calls).toEqual(["unkeyed"]);
  });

  it("are refused to a process whose lease was lost; the next one knows its claims for unknown", async () => {
    const { saver, graph } = await setUp();
    const store = saver.steps.effects as EffectStore;
    const leases = saver.steps.leases as LeaseStore;
    const processes = new MadeUpProcesses();
    const ledgerOf = (name: string) => new Ledger(store, saver.steps.clock, processes.of(name));
    const first = await leases.acquire("t", "first", 1);
    const begun = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<string>();
    const lost = ledgerOf("first").perform(
      effectOf(() => {
        begun.resolve();
        return answer.promise;
      }),
      { ...keyedCall(store, "new"), leaseToken: first.token },
    );
    await begun.promise;
    // The first lease's millisecond is over as soon as somebody else may have it.
    const second = await acquired(() => leases.acquire("t", "second", 60_000));
    const effectOfSecond = effectOf(() => "second", { onUnknown: "repeat" });
    const call = { ...keyedCall(store, "new"), leaseToken: second.token };
    expect(await ledgerOf("second").perform(effectOfSecond, call)).toBe("second");
    answer.resolve("first");
    await expect(lost).rejects.toMatchObject({ code: "LEASE_LOST" });
    const again = ledgerOf("first").perform(
      effectOf(() => "first"),
      { ...keyedCall(store, "another"), leaseToken: first.token },
    );
    await expect(again).rejects.toMatchObject({ code: "LEASE_LOST" });
    const [row] = await store.list({ threadId: "t" });
    expect(row).toMatchObject({ key: "new", state: "recorded", result: '"second"' });
    await leases.release(second);
    await graph.invoke({ order: "" }, syncRun("t"));
  });

  it("are open to a person whatever lease they were written under", async () => {
    const { saver } = await setUp();
    const leases = saver.steps.leases as LeaseStore;
    const store = saver.steps.effects as EffectStore;
    const failing = effect({
      name: "failing",
      run: () => 1,
      undo: () => {
        throw new TypeError("a bug");
      },
      onUnknown: "ask",
    });
    const first = await leases.acquire("u", "first", 60_000);
    const config = { ...syncRun("u").configurable, [LEASE_TOKEN_KEY]: first.token };
    const graph = graphOf(saver, () => failing());
    await graph.invoke({ order: "" }, { ...syncRun("u"), configurable: config });
    const { stuck: left } = await compensate(graph, "u", { leaseToken: first.token });
    expect(left).toHaveLength(1);
    await leases.release(first);
    await leases.acquire("u", "second", 60_000);
    await left[0]?.dismiss("by hand");
    expect((await store.list({ threadId: "u" })).map(({ state }) => state)).toEqual([
      "closed",
      "closed",
    ]);
    const late = compensate(
      graphOf(saver, () => failing()),
      "u",
      { leaseToken: first.token },
    );
    expect(await late).toEqual({ undone: [], stuck: [] });
  });
});

async function acquired<T>(acquire: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await acquire();
    } catch (error) {
      if ((error as { code?: string }).code !== "THREAD_BUSY") throw error;
    }
  }
}
