/** What of events goes wrong for one, and must not go wrong for others. */

import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { StoredType } from "../../checkpointers/encoding/types.ts";
import { localEngine } from "../../src/engine/local.ts";
import { DatabaseUnavailableError } from "../../src/errors.ts";
import { events, type HoldfastEvents } from "../../src/events.ts";
import { createRuntime } from "../../src/runtime/create-runtime.ts";
import { EventDesk } from "../../src/runtime/event-desk.ts";
import { Triggers } from "../../src/runtime/triggers.ts";
import { durable } from "../../src/steps/durable.ts";
import { waitForEvent } from "../../src/steps/wait-for-event.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { Worker } from "../../src/worker/worker.ts";
import { PLACES } from "../support/places.ts";

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});

function graphOf(node: () => object | Promise<object>) {
  return new StateGraph(State)
    .addNode("n", durable.for(State)(node))
    .addEdge(START, "n")
    .addEdge("n", END)
    .compile();
}

const url: StoredType<URL, string> = {
  name: "url",
  is: (value) => value instanceof URL,
  encode: ({ href }) => href,
  decode: (href) => new URL(href),
};

const input = ({ payload }: { payload: unknown }) => ({ log: [String(payload)] });

function heard<Name extends keyof HoldfastEvents>(name: Name): HoldfastEvents[Name][] {
  const told: HoldfastEvents[Name][] = [];
  onTestFinished(events.on(name, (data) => told.push(data)));
  return told;
}

describe.each(PLACES)("events on %s", (placeName, newPlace) => {
  /** Listeners as processes have them, and the events that each has begun runs from. */
  async function listening() {
    const saver = (await newPlace()).open({ clock: new ManualClock() });
    const store = saver.steps.events;
    const process = () => {
      const begun: string[] = [];
      const triggers = new Triggers(saver, store, (_graph, input) =>
        Promise.resolve(begun.push(...(input as { log: string[] }).log)),
      );
      return { triggers, begun };
    };
    return { saver, store, process };
  }

  it("are delivered past one that a process cannot read, which is told", async () => {
    const clock = new ManualClock();
    const place = await newPlace();
    // What is noticed is told once in a process.
    const name = `e on ${placeName}`;
    const troubles = heard("worker.troubled");
    const failed = heard("trigger.failed");
    const notices: string[] = [];
    const { onNotice } = events;
    events.onNotice = (message) => notices.push(message);
    onTestFinished(() => {
      events.onNotice = onNotice;
    });
    const graphs = {
      notes: graphOf(() => ({})),
      waits: graphOf(async () => ({ log: [String((await waitForEvent(name))?.payload)] })),
    };
    const saver = place.open({ clock });
    const runtime = createRuntime({ saver, graphs, worker: { pollInterval: 1_000 } });
    onTestFinished(() => runtime.close());
    await runtime.on(name, "notes", { input });
    const { runId } = await runtime.start("waits", {});
    await vi.waitFor(async () => expect(await runtime.parked()).toHaveLength(1), 10_000);

    const other = place.open({ clock, types: [url] });
    const { events: store } = other.steps;
    for (const payload of [new URL("https://a.b/"), "good"])
      await store.add({ id: String(payload), name, payload: store.serialize(name, payload) });
    await vi.waitFor(
      async () => {
        await clock.advance(1_000);
        expect(await runtime.run(runId)).toMatchObject({ status: "completed" });
        expect(await runtime.runs({ graph: "notes", status: "completed" })).toHaveLength(1);
      },
      { timeout: 15_000 },
    );
    expect((await runtime.result(runId)).values).toEqual({ log: ["good"] });
    expect(failed.map(({ eventId, tries, skipped }) => [eventId, tries, skipped])).toEqual([
      ["https://a.b/", 1, false],
      ["https://a.b/", 2, false],
      ["https://a.b/", 3, true],
    ]);
    expect(String(failed[0]?.error)).toContain("url");
    expect(notices).toEqual([expect.stringContaining(`Events "${name}"`)]);
    const undelivered = await saver.steps.events.undelivered(10);
    expect(undelivered.filter((event) => event.name === name)).toEqual([]);
    expect(troubles).toEqual([]);
    const listed = await saver.steps.events.list({ name });
    expect(listed.map(({ payload }) => payload)).toEqual(["good", undefined]);
    expect(listed[1]?.unreadable?.message).toContain("url");
  });

  it("are not taken by a wait that begins after one that its process cannot read", async () => {
    const place = await newPlace();
    const waits = graphOf(async () => ({ log: [String((await waitForEvent("e"))?.payload)] }));
    const saver = place.open();
    const runtime = createRuntime({ saver, graphs: { waits }, worker: false });
    onTestFinished(() => runtime.close());
    const { runId } = await runtime.start("waits", {});
    const { events: store } = place.open({ types: [url] }).steps;
    for (const payload of [new URL("https://a.b/"), "good"])
      await store.add({ id: String(payload), name: "e", payload: store.serialize("e", payload) });
    await runtime.worker().start();
    expect((await runtime.result(runId)).values).toEqual({ log: ["good"] });
  });

  it("come to every listener, also where one has more than a look takes", async () => {
    const { store, process } = await listening();
    const { triggers, begun } = process();
    for (const name of ["one", "two", "three"]) {
      await triggers.add("e", "g", { name, input: () => ({ log: [name] }) });
    }
    for (let i = 0; i < 101; i += 1) {
      await store.add({ id: `e${i}`, name: "e", payload: store.serialize("e", i) });
    }
    expect(await triggers.work(["g"])).toMatchObject({ hasMore: true });
    const counts = ["one", "two", "three"].map(
      (name) => begun.filter((log) => log === name).length,
    );
    expect(counts).toEqual([100, 100, 100]);
  });

  it("do not come to code of before a deploy that made their listener", async () => {
    const { store, process } = await listening();
    const [before, after] = [process(), process()];
    const name = "x";
    await before.triggers.add("a", "g", { name, input });
    await after.triggers.add("b", "g", { name, input });
    const add = (event: string) =>
      store.add({ id: event, name: event, payload: store.serialize(event, event) });
    await add("a");
    await add("b");
    await before.triggers.work(["g"]);
    await before.triggers.touch();
    await before.triggers.work(["g"]);
    expect(before.begun).toEqual([]);
    // What else is under way in a database may hold its events back for a moment.
    await expect
      .poll(() => after.triggers.work(["g"]).then(() => after.begun), { timeout: 20_000 })
      .toEqual(["b"]);
  });

  it("wait for a listener that is there, also where they are kept for good", async () => {
    const clock = new ManualClock();
    const saver = (await newPlace()).open({ clock });
    const desk = new EventDesk(saver, {
      ...{ engine: localEngine(), graphs: ["g"], keep: Infinity },
      start: () => Promise.resolve(),
    });
    onTestFinished(() => desk.end());
    await desk.on("e", "g", { input });
    const begun = clock.now();
    await desk.sweeper.work([]);
    await clock.advance(60_001);
    await desk.sweeper.work([]);
    const store = saver.steps.events;
    await desk.emit("e", 1, {});
    await store.delivered((await store.undelivered(10)).map(({ seq }) => seq));
    await store.sweep({ before: clock.now() + 1, forgotten: begun + 1, limit: 10 });
    expect(await store.list()).toHaveLength(1);
  });

  it("and all else that workers do beside runs go on where one of these fails", async () => {
    const saver = (await newPlace()).open();
    const troubles = heard("worker.troubled");
    const queue = saver.steps.queue;
    const errors = [new Error("a chore is broken"), new DatabaseUnavailableError("gone")];
    let done = 0;
    const failing = errors.map((error) => ({
      isWanted: false,
      work: async () => {
        await saver.steps.now();
        throw error;
      },
    }));
    const chore = {
      isWanted: false,
      work: () => {
        done += 1;
        return Promise.resolve(undefined);
      },
    };
    const engine = localEngine();
    engine.attach({ queue, clock: saver.steps.clock, graphs: [], heed: () => undefined });
    onTestFinished(() => engine.end());
    const worker = new Worker(
      {
        ...{ saver, queue, engine, graphs: new Map() },
        chores: [...failing, chore],
      },
      { pollInterval: 20 },
    );
    await worker.start();
    await expect.poll(() => done).toBeGreaterThan(1);
    await worker.stop();
    expect(troubles.slice(0, 2).map(({ error }) => error)).toEqual(errors);
  });
});
