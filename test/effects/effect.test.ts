import { Command, MemorySaver } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import { effect } from "../../src/effects/effect.ts";
import { events } from "../../src/events.ts";
import { PLACES } from "../support/places.ts";
import { syncRun } from "../support/small-graphs.ts";
import { graphOf, questionsOf, World } from "./support/world.ts";

class Refused extends Error {
  readonly code = "ECONNREFUSED";
}
class Broken extends Error {
  readonly code = "ECONNRESET";
}

const quick = { initialInterval: 0, byKind: { network: { initialInterval: 0 } } };

describe.each(PLACES)("effect() on %s", (_, newPlace) => {
  const setUp = async () => {
    const place = await newPlace();
    return { place, saver: place.open(), world: new World() };
  };

  it("is performed once, and its recorded result returned, when the node runs again", async () => {
    const { place, world } = await setUp();
    let fails = true;
    const charge = effect({
      name: "charge",
      run: (order: { id: string }, { idempotencyKey }) => ({
        receipt: world.do(order.id, idempotencyKey),
      }),
      onUnknown: "repeat",
    });
    const build = () =>
      graphOf(place.open(), async ({ order }) => {
        const both = [await charge({ id: order }, { key: order }), await charge({ id: order })];
        if (fails) throw new Error("after the effects");
        return both;
      });
    await expect(build().invoke({ order: "o-1" }, syncRun("t"))).rejects.toThrow("after");
    fails = false;
    const result = await build().invoke(null, syncRun("t"));
    expect(result.log).toEqual([[{ receipt: "o-1 done" }, { receipt: "o-1 done" }]]);
    expect(world.calls).toEqual(["o-1", "o-1"]);
    expect(new Set(world.keys).size).toBe(2);
    expect(world.keys.every((key) => /^[0-9a-f]{32}$/.test(key))).toBe(true);
  });

  it("tells equal parallel calls apart, and each once", async () => {
    const { place, world } = await setUp();
    let fails = true;
    const ping = effect({ name: "ping", run: (to: string) => world.do(to), onUnknown: "repeat" });
    const build = () =>
      graphOf(place.open(), async () => {
        const all = await Promise.all([ping("a"), ping("a"), ping("b"), ping("a")]);
        if (fails) throw new Error("after");
        return all;
      });
    await expect(build().invoke({ order: "" }, syncRun("t"))).rejects.toThrow("after");
    fails = false;
    await build().invoke(null, syncRun("t"));
    expect(world.calls.toSorted()).toEqual(["a", "a", "a", "b"]);
  });

  it("gives rich results back as they were, through a custom serde, too", async () => {
    const { place } = await setUp();
    const seen: unknown[] = [];
    const value = {
      at: new Date(0),
      big: 7n,
      set: new Set([1]),
      bytes: Uint8Array.of(1, 2),
      none: undefined,
    };
    const rich = effect({ name: "rich", run: (_args: typeof value) => value, onUnknown: "ask" });
    const graph = graphOf(place.open(), async () => {
      seen.push(await rich(value, { key: "k" }));
      if (seen.length === 1) throw new Error("after");
    });
    await expect(graph.invoke({ order: "" }, syncRun("t"))).rejects.toThrow("after");
    await graph.invoke(null, syncRun("t"));
    expect(seen[1]).toEqual(value);
    expect(seen[1]).not.toBe(value);
  });

  it("refuses what cannot be stored, naming the effect, before anything is performed", async () => {
    const { saver, world } = await setUp();
    const odd = effect({ name: "odd", run: () => world.do("odd"), onUnknown: "ask" });
    const graph = graphOf(saver, () => odd({ call: () => 1 }));
    await expect(graph.invoke({ order: "" }, syncRun("t"))).rejects.toMatchObject({
      code: "UNSERIALIZABLE",
      channel: 'arguments of "odd"',
      path: ".call",
      node: "n1",
    });
    expect(world.calls).toEqual([]);
  });

  it("takes a result that cannot be stored for unknown, and never repeats it blindly", async () => {
    const { saver, world } = await setUp();
    const odd = effect({
      name: "odd",
      run: () => {
        world.do("odd");
        return { call: () => 1 };
      },
      onUnknown: "ask",
    });
    const graph = graphOf(saver, () => odd(1, { key: "k" }));
    await expect(graph.invoke({ order: "" }, syncRun("t"))).rejects.toMatchObject({
      code: "UNSERIALIZABLE",
      channel: 'result of "odd"',
      path: ".call",
    });
    const [question] = questionsOf(await graph.invoke(null, syncRun("t")));
    expect(question?.value).toMatchObject({ kind: "effect-unknown", effect: "odd" });
    expect(world.calls).toEqual(["odd"]);
  });

  it("is once per thread with a key, once ever with scope global", async () => {
    const { saver, world } = await setUp();
    const greet = effect({
      name: "greet",
      run: (who: string) => world.do(who),
      onUnknown: "repeat",
    });
    const graph = graphOf(saver, async ({ order }) => [
      await greet("thread", { key: order }),
      await greet("ever", { key: order, scope: "global" }),
    ]);
    for (const thread of ["t", "t", "u"]) await graph.invoke({ order: "k" }, syncRun(thread));
    expect(world.calls).toEqual(["thread", "ever", "thread"]);
  });

  it("refuses the same key with other arguments, naming both", async () => {
    const { saver, world } = await setUp();
    const charge = effect({
      name: "charge",
      run: (cents: number) => world.do(`${cents}`),
      onUnknown: "ask",
    });
    let cents = 100;
    const graph = graphOf(saver, () => charge(cents, { key: "k" }));
    await graph.invoke({ order: "" }, syncRun("t"));
    cents = 200;
    const again = graph.invoke({ order: "" }, syncRun("t"));
    await expect(again).rejects.toMatchObject({ code: "EFFECT_CONFLICT", effect: "charge" });
    await expect(again).rejects.toThrow(/"n1" with 100, and node "n1" calls it with 200/);
    expect(world.calls).toEqual(["100"]);
  });

  it("takes arguments for the same whatever the order of their keys", async () => {
    const { saver, world } = await setUp();
    const send = effect({
      name: "send",
      run: (_args: object) => world.do("sent"),
      onUnknown: "ask",
    });
    let args: object = { a: 1, b: { c: 2, d: 3 } };
    const graph = graphOf(saver, () => send(args, { key: "k" }));
    await graph.invoke({ order: "" }, syncRun("t"));
    args = { b: { d: 3, c: 2 }, a: 1 };
    await graph.invoke({ order: "" }, syncRun("t"));
    expect(world.calls).toEqual(["sent"]);
  });

  it("refuses a re-run whose call without a key has other arguments", async () => {
    const { place, world } = await setUp();
    let args = "first";
    let fails = true;
    const send = effect({ name: "send", run: (what: string) => world.do(what), onUnknown: "ask" });
    const build = () =>
      graphOf(place.open(), async () => {
        const sent = await send(args);
        if (fails) throw new Error("after");
        return sent;
      });
    await expect(build().invoke({ order: "" }, syncRun("t"))).rejects.toThrow("after");
    [args, fails] = ["second", false];
    const again = build().invoke(null, syncRun("t"));
    await expect(again).rejects.toMatchObject({ code: "EFFECT_CONFLICT" });
    await expect(again).rejects.toThrow(/needs a key/);
    args = "first";
    await build().invoke(null, syncRun("t"));
    expect(world.calls).toEqual(["first"]);
  });

  it("lets a re-run go on with calls that its first execution did not reach", async () => {
    const { place, world } = await setUp();
    let fails = true;
    const send = effect({ name: "send", run: (what: string) => world.do(what), onUnknown: "ask" });
    const build = () =>
      graphOf(place.open(), async () => {
        await send("one");
        if (fails) throw new Error("between");
        await send("two");
      });
    await expect(build().invoke({ order: "" }, syncRun("t"))).rejects.toThrow("between");
    fails = false;
    await build().invoke(null, syncRun("t"));
    expect(world.calls).toEqual(["one", "two"]);
  });

  it("repeats freely what was certainly not performed, under one key", async () => {
    const { saver, world } = await setUp();
    const call = effect({
      name: "call",
      run: (_: number, { idempotencyKey, attempt }) => {
        world.do(`try ${attempt}`, idempotencyKey);
        if (attempt < 3) throw new Refused("no connection");
        return attempt;
      },
      onUnknown: "ask",
      retry: quick,
    });
    const graph = graphOf(saver, () => call(1, { key: "k" }));
    expect((await graph.invoke({ order: "" }, syncRun("t"))).log).toEqual([3]);
    expect(world.calls).toEqual(["try 1", "try 2", "try 3"]);
    expect(new Set(world.keys).size).toBe(1);
  });

  it("gives up after its attempts, releases it, and takes other arguments afterwards", async () => {
    const { saver, world } = await setUp();
    let up = false;
    let cents = 1;
    const charge = effect({
      name: "charge",
      run: (amount: number, { idempotencyKey }) => {
        world.do(`${amount}`, idempotencyKey);
        if (!up) throw new Refused("no connection");
        return amount;
      },
      onUnknown: "ask",
      retry: { ...quick, maxAttempts: 2 },
    });
    const graph = graphOf(saver, () => charge(cents, { key: "k" }));
    await expect(graph.invoke({ order: "" }, syncRun("t"))).rejects.toThrow("no connection");
    expect(world.calls).toEqual(["1", "1"]);
    [up, cents] = [true, 2];
    expect((await graph.invoke(null, syncRun("t"))).log).toEqual([2]);
    expect(world.calls).toEqual(["1", "1", "2"]);
    expect(new Set(world.keys).size).toBe(2);
  });

  it("asks a person about a broken connection, and never repeats it by itself", async () => {
    const { place, world } = await setUp();
    let breaks = true;
    const charge = effect({
      name: "charge",
      run: (order: string, { idempotencyKey }) => {
        world.do(order, idempotencyKey);
        if (breaks) throw new Broken("reset");
        return "receipt";
      },
      onUnknown: "ask",
      retry: quick,
    });
    const build = () => graphOf(place.open(), ({ order }) => charge(order, { key: order }));
    const [question] = questionsOf(await build().invoke({ order: "o" }, syncRun("t")));
    expect(question?.id).toMatch(/^[0-9a-f]{32}$/);
    expect(question?.value).toMatchObject({
      kind: "effect-unknown",
      effect: "charge",
      key: "o",
      args: "o",
      error: "Error: reset",
      idempotencyKey: world.keys[0],
    });
    for (let wake = 0; wake < 2; wake += 1) {
      expect(questionsOf(await build().invoke(null, syncRun("t")))).toMatchObject([
        { id: question?.id },
      ]);
    }
    const odd = await build().invoke(
      new Command({ resume: { [question?.id ?? ""]: "maybe" } }),
      syncRun("t"),
    );
    expect(questionsOf(odd)[0]?.value).toMatchObject({
      problem: expect.stringContaining("maybe") as string,
    });
    // A scalar answer is for LangGraph's own interrupts.
    const scalar = await build().invoke(
      new Command({ resume: { outcome: "retry" } }),
      syncRun("t"),
    );
    expect(questionsOf(scalar)).toMatchObject([{ id: question?.id }]);
    expect(world.calls).toEqual(["o"]);
    breaks = false;
    const answer = { [question?.id ?? ""]: { outcome: "done", result: "found" } };
    const done = await build().invoke(new Command({ resume: answer }), syncRun("t"));
    expect(done.log).toEqual(["found"]);
    expect(world.calls).toEqual(["o"]);
  });

  it.each([
    ["not-done", 2],
    ["retry", 2],
  ])("performs it again when a person answers %s, with the same key", async (outcome, times) => {
    const { saver, world } = await setUp();
    const charge = effect({
      name: "charge",
      run: (order: string, { idempotencyKey }) => {
        world.do(order, idempotencyKey);
        if (world.calls.length === 1) throw new Broken("reset");
        return "receipt";
      },
      onUnknown: "ask",
    });
    const graph = graphOf(saver, ({ order }) => charge(order, { key: order }));
    const [question] = questionsOf(await graph.invoke({ order: "o" }, syncRun("t")));
    const answer = { [question?.id ?? ""]: { outcome } };
    const done = await graph.invoke(new Command({ resume: answer }), syncRun("t"));
    expect(done.log).toEqual(["receipt"]);
    expect(world.calls).toHaveLength(times);
    expect(new Set(world.keys).size).toBe(1);
  });

  it("asks again, under another id, when a repetition is unknown, too", async () => {
    const { saver, world } = await setUp();
    const charge = effect({
      name: "charge",
      run: (order: string) => {
        world.do(order);
        throw new Broken("reset");
      },
      onUnknown: "ask",
    });
    const graph = graphOf(saver, ({ order }) => charge(order, { key: order }));
    const [first] = questionsOf(await graph.invoke({ order: "o" }, syncRun("t")));
    const answer = { [first?.id ?? ""]: { outcome: "retry" } };
    const [second] = questionsOf(await graph.invoke(new Command({ resume: answer }), syncRun("t")));
    expect(second?.value).toMatchObject({ kind: "effect-unknown" });
    expect(second?.id).not.toBe(first?.id);
    expect(world.calls).toEqual(["o", "o"]);
  });

  it("looks an unknown outcome up: done, not done, or a question", async () => {
    const { saver, world } = await setUp();
    const asked: string[] = [];
    const found = new Map<string, { done: boolean; result: string } | { unknown: true }>();
    const charge = effect<string, string>({
      name: "charge",
      run: (order, { idempotencyKey }) => {
        world.do(order, idempotencyKey);
        if (world.calls.filter((one) => one === order).length === 1) throw new Broken("reset");
        return "second";
      },
      reconcile: (order, { idempotencyKey }) => {
        asked.push(idempotencyKey);
        return found.get(order) as { unknown: true };
      },
      retry: quick,
    });
    found.set("done", { done: true, result: "looked up" });
    found.set("not done", { done: false, result: "" });
    found.set("unknown", { unknown: true });
    const graph = graphOf(saver, ({ order }) => charge(order, { key: order }));
    const run = (order: string) => graph.invoke({ order }, syncRun(order));
    expect((await run("done")).log).toEqual(["looked up"]);
    expect((await run("not done")).log).toEqual(["second"]);
    expect(questionsOf(await run("unknown"))[0]?.value).toMatchObject({ kind: "effect-unknown" });
    expect(world.calls).toEqual(["done", "not done", "not done", "unknown"]);
    expect(asked).toEqual([world.keys[0], world.keys[1], world.keys[3]]);
  });

  it("repeats an unknown outcome with the same key where its author said so", async () => {
    const { saver, world } = await setUp();
    const send = effect({
      name: "send",
      run: (_: number, { idempotencyKey }) => {
        world.do("send", idempotencyKey);
        if (world.calls.length < 3) throw new Broken("reset");
        return "sent";
      },
      onUnknown: "repeat",
      retry: quick,
    });
    const graph = graphOf(saver, () => send(1, { key: "k" }));
    expect((await graph.invoke({ order: "" }, syncRun("t"))).log).toEqual(["sent"]);
    expect(new Set(world.keys).size).toBe(1);
    expect(world.calls).toHaveLength(3);
  });

  it("stays doubtful when a later try proves only of itself that it was not performed", async () => {
    const { saver, world } = await setUp();
    let args = 1;
    const send = effect({
      name: "send",
      run: () => {
        world.do("send");
        throw world.calls.length === 1 ? new Broken("reset") : new Refused("refused");
      },
      onUnknown: "repeat",
      retry: { ...quick, maxAttempts: 2 },
    });
    const graph = graphOf(saver, () => send(args, { key: "k" }));
    await expect(graph.invoke({ order: "" }, syncRun("t"))).rejects.toThrow("refused");
    // A released one would take other arguments.
    args = 2;
    await expect(graph.invoke(null, syncRun("t"))).rejects.toMatchObject({
      code: "EFFECT_CONFLICT",
    });
  });

  it("is refused outside of a node, and with another saver", async () => {
    const { world } = await setUp();
    const send = effect({ name: "send", run: () => world.do("sent"), onUnknown: "ask" });
    await expect(send()).rejects.toMatchObject({ code: "NOT_DURABLE" });
    for (const saver of [new MemorySaver(), undefined]) {
      const run = graphOf(saver, () => send()).invoke({ order: "" }, syncRun("t"));
      await expect(run).rejects.toMatchObject({ code: "NOT_DURABLE" });
    }
    expect(world.calls).toEqual([]);
  });

  it("is refused without a key under durability exit; with one it is once", async () => {
    const { saver, world } = await setUp();
    const send = effect({ name: "send", run: (what: string) => world.do(what), onUnknown: "ask" });
    const config = { ...syncRun("t"), durability: "exit" } as const;
    const bare = graphOf(saver, () => send("bare")).invoke({ order: "" }, config);
    await expect(bare).rejects.toThrow(/Give it a key .* or run the graph with durability "sync"/);
    const keyed = graphOf(saver, () => send("keyed", { key: "k" }));
    await keyed.invoke({ order: "" }, config);
    await keyed.invoke({ order: "" }, config);
    expect(world.calls).toEqual(["keyed"]);
  });

  it("says what it does in events", async () => {
    const { saver, world } = await setUp();
    const heard: string[] = [];
    const stop = events.on("*", ({ name, data }) => {
      if (name.startsWith("effect.") && (data as { threadId?: string }).threadId === "t-events")
        heard.push(name);
    });
    const send = effect({
      name: "send",
      run: () => {
        world.do("send");
        if (world.calls.length === 1) throw new Broken("reset");
      },
      onUnknown: "repeat",
      retry: quick,
    });
    const graph = graphOf(saver, () => send(1, { key: "k" }));
    await graph.invoke({ order: "" }, syncRun("t-events"));
    await graph.invoke({ order: "" }, syncRun("t-events"));
    stop();
    expect(heard).toEqual(["effect.claimed", "effect.unknown", "effect.recorded", "effect.reused"]);
  });
});

describe("the options of effect()", () => {
  const run = () => undefined;
  it.each([
    [{ run, onUnknown: "ask" }, /needs a `name`/],
    [{ name: "a\nb", run, onUnknown: "ask" }, /needs a `name`/],
    [{ name: "x", onUnknown: "ask" }, /needs `run`/],
    [{ name: "x", run }, /must say what is done when nobody knows/],
    [{ name: "x", run, onUnknown: "forget" }, /"repeat", "ask"/],
    [{ name: "x", run, reconcile: run, onUnknown: "repeat" }, /Leave one of them out/],
    [{ name: "x", run, onUnknown: "ask", undo: 1 }, /`undo`/],
    [{ name: "x", run, onUnknown: "ask", retries: 3 }, /no option "retries"/],
    [{ name: "x", run, onUnknown: "ask", dedupeWindow: -1 }, /dedupeWindow/],
    [{ name: "x", run, onUnknown: "ask", scope: "run" }, /scope/],
  ])("%o is refused", (options, message) => {
    expect(() => effect(options as never)).toThrow(message);
  });
});
