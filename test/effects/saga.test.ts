import { describe, expect, it } from "vitest";
import { effect } from "../../src/effects/effect.ts";
import { compensate } from "../../src/effects/saga.ts";
import { stuck } from "../../src/effects/stuck.ts";
import { events } from "../../src/events.ts";
import { fork } from "../../src/history/index.ts";
import { PLACES } from "../support/places.ts";
import { syncRun } from "../support/small-graphs.ts";
import { graphOf, World } from "./support/world.ts";

class Broken extends Error {
  readonly code = "ECONNRESET";
}

const quick = {
  initialInterval: 0,
  byKind: { network: { initialInterval: 0 }, server: { initialInterval: 0 } },
};

/** Books what it is asked for, and cancels it. */
function booking(world: World, name: string) {
  return effect({
    name,
    run: (what: string, { idempotencyKey }) => world.do(`book ${what}`, idempotencyKey),
    undo: (what, result, { idempotencyKey }) => {
      world.do(`cancel ${what} (${result})`, idempotencyKey);
    },
    onUnknown: "repeat",
    retry: quick,
  });
}

describe.each(PLACES)("compensate() on %s", (_, newPlace) => {
  const setUp = async () => {
    const place = await newPlace();
    return { place, saver: place.open(), world: new World() };
  };

  it("undoes the effects of the run, newest first, each once, and closes them", async () => {
    const { place, saver, world } = await setUp();
    const book = booking(world, "book");
    let fails = true;
    const graph = graphOf(
      saver,
      () => book("flight", { key: "flight" }),
      () => book("hotel"),
      () => {
        if (fails) throw new Error("for good");
      },
    );
    await expect(graph.invoke({ order: "" }, syncRun("t"))).rejects.toThrow("for good");
    const heard: string[] = [];
    const stop = events.on(
      "*",
      ({ name }) => void (name.startsWith("compensation") && heard.push(name)),
    );
    const done = await compensate(graph, "t");
    expect(done).toMatchObject({ undone: [{ effect: "book" }, { key: "flight" }], stuck: [] });
    const cancelled = ["cancel hotel (book hotel done)", "cancel flight (book flight done)"];
    expect(world.calls.slice(2)).toEqual(cancelled);
    expect(new Set(world.keys).size).toBe(4);
    expect(heard).toEqual([
      "compensation.started",
      "compensation.undone",
      "compensation.undone",
      "compensation.finished",
    ]);
    // Again, in another process: there is nothing left to do.
    expect(
      await compensate(
        graphOf(place.open(), () => 1),
        "t",
      ),
    ).toEqual({ undone: [], stuck: [] });
    stop();
    // A compensated effect is closed: called again it is another one.
    fails = false;
    await graph.invoke({ order: "" }, syncRun("t"));
    expect(world.calls.slice(4)).toEqual(["book flight", "book hotel"]);
    expect(new Set(world.keys).size).toBe(6);
  });

  it("leaves the effects of earlier runs, and of other threads, alone", async () => {
    const { saver, world } = await setUp();
    const book = booking(world, "book");
    let fails = false;
    const graph = graphOf(
      saver,
      ({ order }) => book(order, { key: order }),
      () => {
        if (fails) throw new Error("for good");
      },
    );
    await graph.invoke({ order: "first" }, syncRun("t"));
    await graph.invoke({ order: "other" }, syncRun("u"));
    fails = true;
    await expect(graph.invoke({ order: "second" }, syncRun("t"))).rejects.toThrow("for good");
    await compensate(graph, "t");
    expect(world.calls.slice(3)).toEqual(["cancel second (book second done)"]);
  });

  it("runs all undos even if one fails; that one is stuck until it is retried or dismissed", async () => {
    const { place, saver, world } = await setUp();
    let broken = true;
    let tries = 0;
    const hotel = effect({
      name: "hotel",
      run: () => world.do("book hotel"),
      undo: (args: string) => {
        tries += 1;
        if (broken) throw new Broken(`no answer for ${args}`);
        world.do("cancel hotel");
      },
      onUnknown: "repeat",
      retry: { ...quick, maxAttempts: 3 },
    });
    const flight = booking(world, "flight");
    const graph = graphOf(
      saver,
      () => flight("BA1", { key: "BA1" }),
      () => hotel("Ritz", { key: "Ritz" }),
      () => {
        throw new Error("for good");
      },
    );
    await expect(graph.invoke({ order: "" }, syncRun("t"))).rejects.toThrow("for good");
    const first = await compensate(graph, "t");
    expect(first.undone).toMatchObject([{ effect: "flight" }]);
    expect(first.stuck).toMatchObject([
      {
        effect: "hotel",
        key: "Ritz",
        args: "Ritz",
        unknown: false,
        attempts: 3,
        error: "Error: no answer for Ritz",
      },
    ]);
    expect(tries).toBe(3);
    // It is a person's now: nothing tries it again by itself.
    expect((await compensate(graph, "t")).stuck).toHaveLength(1);
    expect(tries).toBe(3);
    const [listed] = await stuck(place.open(), "t");
    expect(await listed?.retry()).toMatchObject({ attempts: 6 });
    await expect(listed?.dismiss(" ")).rejects.toMatchObject({ code: "INVALID_INPUT" });
    broken = false;
    expect(await (await stuck(saver))[0]?.retry()).toBeUndefined();
    expect(world.calls.at(-1)).toBe("cancel hotel");
    expect(await stuck(saver, "t")).toEqual([]);
    expect(await compensate(graph, "t")).toEqual({ undone: [], stuck: [] });
  });

  it("ends a stuck one that a person dismisses, with the reason on record", async () => {
    const { saver, world } = await setUp();
    const book = effect({
      name: "book",
      run: (what: string, { idempotencyKey }) => world.do(what, idempotencyKey),
      undo: () => {
        throw new TypeError("a bug");
      },
      onUnknown: "repeat",
    });
    const graph = graphOf(saver, async () => {
      await book("hotel", { key: "k" });
      if (world.calls.length === 1) throw new Error("for good");
    });
    await expect(graph.invoke({ order: "" }, syncRun("t"))).rejects.toThrow("for good");
    const { stuck: left } = await compensate(graph, "t");
    await left[0]?.dismiss("refunded by hand");
    expect(await stuck(saver, "t")).toEqual([]);
    const rows = await saver.steps.effects?.list({ threadId: "t" });
    expect(rows?.map(({ kind, state, reason }) => [kind, state, reason])).toEqual([
      ["undo", "closed", "refunded by hand"],
      ["effect", "closed", undefined],
    ]);
    await graph.invoke(null, syncRun("t"));
    expect(new Set(world.keys).size).toBe(2);
  });

  it("looks up what is unknown before it undoes it; what nobody can look up is stuck", async () => {
    const { saver, world } = await setUp();
    const outcome = new Map<string, unknown>([
      ["done", { done: true, result: "found" }],
      ["not done", { done: false }],
    ]);
    let mayLook = false;
    const lookedUp = effect<string, string>({
      name: "looked up",
      run: () => {
        throw new Broken("reset");
      },
      reconcile: (what) => {
        if (!mayLook) throw new TypeError("not yet");
        return outcome.get(what) as { done: false };
      },
      undo: (what, result) => {
        world.do(`undo ${what}: ${result}`);
      },
    });
    const asked = effect<string, string>({
      name: "asked",
      run: () => {
        throw new Broken("reset");
      },
      onUnknown: "ask",
      undo: (what, result) => {
        world.do(`undo ${what}: ${result}`);
      },
    });
    const graph = graphOf(saver, async () => {
      await Promise.allSettled([lookedUp("done"), lookedUp("not done"), asked("asked")]);
      throw new Error("for good");
    });
    await expect(graph.invoke({ order: "" }, syncRun("t"))).rejects.toThrow("for good");
    mayLook = true;
    const { stuck: left } = await compensate(graph, "t");
    expect(world.calls.toSorted()).toEqual(["undo done: found", "undo not done: undefined"]);
    expect(left).toMatchObject([{ effect: "asked", unknown: true, attempts: 0 }]);
    // A person looked.
    expect(await left[0]?.retry({ outcome: { done: true, result: "seen" } })).toBeUndefined();
    expect(world.calls.at(-1)).toBe("undo asked: seen");
  });

  it("goes on after a crash in the middle, with the same keys", async () => {
    const { place, saver, world } = await setUp();
    const controller = new AbortController();
    let crashes = true;
    const book = effect({
      name: "book",
      run: (what: string) => world.do(`book ${what}`),
      undo: (what, __, { idempotencyKey }) => {
        world.do(`cancel ${what}`, idempotencyKey);
        if (what === "hotel" && crashes) {
          controller.abort(new Error("stopped"));
          return new Promise(() => undefined);
        }
        return undefined;
      },
      onUnknown: "repeat",
    });
    const graph = graphOf(saver, async () => {
      for (const what of ["flight", "hotel", "car"]) await book(what, { key: what });
      throw new Error("for good");
    });
    await expect(graph.invoke({ order: "" }, syncRun("t"))).rejects.toThrow("for good");
    const stopped = compensate(graph, "t", { signal: controller.signal });
    await expect(stopped).rejects.toThrow("stopped");
    crashes = false;
    await compensate(
      graphOf(place.open(), () => 1),
      "t",
    );
    expect(world.calls.slice(3)).toEqual([
      "cancel car",
      "cancel hotel",
      "cancel hotel",
      "cancel flight",
    ]);
    expect(world.keys[4]).toBe(world.keys[5]);
  });

  it("never undoes what a fork merely reused, nor what another branch did", async () => {
    const { saver, world } = await setUp();
    const book = booking(world, "book");
    let fails = false;
    const graph = graphOf(
      saver,
      () => book("before", { key: "before" }),
      () => 1,
      () => book("in the branch that was left", { key: "left" }),
      ({ order }) => book(`at the end of ${order}`, { key: `end of ${order}` }),
      () => {
        if (fails) throw new Error("for good");
      },
    );
    await graph.invoke({ order: "one" }, syncRun("t"));
    const points = [];
    for await (const point of saver.list({ configurable: { thread_id: "t", checkpoint_ns: "" } })) {
      points.push(point);
    }
    // Newest first: the state after node 2, from which node 3 ran.
    const at = points[3]?.checkpoint.id ?? "";
    const { config } = await fork(graph, "t", { checkpointId: at, update: { order: "two" } });
    fails = true;
    await expect(graph.invoke(null, { ...config, durability: "sync" })).rejects.toThrow("for good");
    const { undone } = await compensate(graph, "t");
    expect(undone.map(({ key }) => key)).toEqual(["end of two", "before"]);
    expect(world.calls.filter((call) => call.startsWith("book in"))).toHaveLength(1);
  });

  it("names what is missing where the effect is not defined in this process", async () => {
    const { saver, world } = await setUp();
    const book = booking(world, "renamed later");
    const graph = graphOf(saver, async () => {
      await book("x", { key: "k" });
      throw new Error("for good");
    });
    await expect(graph.invoke({ order: "" }, syncRun("t"))).rejects.toThrow("for good");
    effect({ name: "renamed later", run: () => 1, onUnknown: "ask" });
    const { stuck: left } = await compensate(graph, "t");
    expect(left[0]?.error).toContain("has no `undo` any more");
    booking(world, "renamed later");
    expect(await left[0]?.retry()).toBeUndefined();
  });

  it("says what it cannot work on", async () => {
    const { saver } = await setUp();
    await expect(
      compensate(
        graphOf(saver, () => 1),
        "none",
      ),
    ).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(
      compensate(
        graphOf(undefined, () => 1),
        "t",
      ),
    ).rejects.toMatchObject({ code: "NOT_DURABLE" });
  });
});
