import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import fc from "fast-check";
import pg from "pg";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import { events, type HoldfastEvents } from "../../src/events.ts";
import { createRuntime } from "../../src/runtime/create-runtime.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import type { RuntimeOptions } from "../../src/runtime/types.ts";
import { durable } from "../../src/steps/durable.ts";
import { waitForEvent } from "../../src/steps/wait-for-event.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { startChild } from "../support/child.ts";
import { createDatabase } from "../support/databases.ts";
import { PLACES, placeAt, type Place } from "../support/places.ts";

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});
type S = typeof State.State;

function graphOf(node: (state: S) => object | Promise<object>) {
  return new StateGraph(State)
    .addNode("n", durable.for(State)(node, { retry: { maxAttempts: 1 } }))
    .addEdge(START, "n")
    .addEdge("n", END)
    .compile();
}
const notes = graphOf(() => ({}));
const fails = graphOf(() => {
  throw new Error("broken for good");
});

const open: { runtime: Runtime; saver: HoldfastSaver }[] = [];
afterEach(async () => {
  for (const { runtime, saver } of open.splice(0)) {
    await runtime.close();
    await saver.end();
  }
});

function begin(
  place: Place,
  { clock, ...options }: Partial<RuntimeOptions> & { clock?: ManualClock } = {},
): Runtime {
  const saver = place.open(clock === undefined ? {} : { clock });
  const graphs = { notes, fails, ...options.graphs };
  const pollInterval = clock === undefined ? 50 : 1_000;
  const runtime = createRuntime({ saver, worker: { pollInterval }, ...options, graphs });
  open.push({ runtime, saver });
  return runtime;
}

const input = ({ payload }: { payload: unknown }) => ({ log: [String(payload)] });

/** What runs of a graph have noted, once there are so many. */
async function noted(runtime: Runtime, count: number, graph = "notes"): Promise<string[]> {
  await vi.waitFor(
    async () => {
      const done = await runtime.runs({ graph, status: "completed", limit: 1_000 });
      expect(done).toHaveLength(count);
    },
    { timeout: 15_000 },
  );
  const runs = await runtime.runs({ graph, limit: 1_000 });
  const results = runs.toReversed().map(({ runId }) => runtime.result<S>(runId));
  return (await Promise.all(results)).flatMap(({ values }) => values.log);
}

describe.each(PLACES)("listeners on %s", (_, newPlace) => {
  it("begin one run for each event, from what comes from now on", async () => {
    const runtime = begin(await newPlace());
    await runtime.emit("ordered", "before");
    const listener = await runtime.on("ordered", "notes", {
      input,
      key: ({ payload }) => `order ${String(payload)}`,
    });
    expect(listener.name).toBe("ordered -> notes");
    await runtime.emit("ordered", "o1", { id: "e1" });
    await runtime.emit("ordered", "o1", { id: "e1" });
    await runtime.emit("other", "o2");
    await runtime.emit("ordered", "o3");
    expect(await noted(runtime, 2)).toEqual(["o1", "o3"]);
    expect((await runtime.runs()).map(({ threadId }) => threadId)).toEqual([
      "order o3",
      "order o1",
    ]);
    const again = runtime.on("ordered", "notes", { input });
    await expect(again).rejects.toThrow(/a listener "ordered -> notes" already/);
    await expect(runtime.on("ordered", "none", { input })).rejects.toThrow(/no graph "none"/);
    await expect(runtime.on("", "notes", { input })).rejects.toThrow(/1 to 200 characters/);
  });

  it("are several on one event, and one for several processes", async () => {
    const place = await newPlace();
    const [one, other] = [begin(place), begin(place)];
    for (const runtime of [one, other]) {
      await runtime.on("e", "notes", { input });
      await runtime.on("e", "notes", { input: () => ({ log: ["second"] }), name: "second" });
    }
    await Promise.all(Array.from({ length: 10 }, (_none, i) => one.emit("e", i)));
    const all = await noted(other, 20);
    const numbers = Array.from({ length: 10 }, (_none, i) => String(i));
    expect(all.filter((text) => text !== "second").toSorted()).toEqual(numbers);
    expect(await one.runs({ graph: "notes", limit: 1_000 })).toHaveLength(20);
  });

  it("begin one run for each event, from two processes that both listen", async () => {
    const place = await newPlace();
    const runtime = begin(place, { worker: false });
    await runtime.saver.steps.now();
    const children = [0, 1].map(() => startChild("listener.ts", place.url));
    for (const child of children) await child.next("ready");
    for (let i = 0; i < 20; i += 1) await runtime.emit("e", i);
    await vi.waitFor(
      async () => expect(await runtime.runs({ status: "completed" })).toHaveLength(20),
      { timeout: 20_000 },
    );
    expect(await runtime.runs({ limit: 1_000 })).toHaveLength(20);
    const noted = children.flatMap(({ messages }) =>
      messages.filter(({ type }) => type === "noted").map(({ n }) => n as number),
    );
    expect(noted.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_none, i) => i));
  });

  it("go on where they were when they were away", async () => {
    const place = await newPlace();
    const first = begin(place);
    await first.on("e", "notes", { input });
    await first.emit("e", 1);
    await noted(first, 1);
    await first.close();
    const away = begin(place);
    await away.emit("e", 2);
    await away.emit("e", 3);
    const back = begin(place);
    await back.on("e", "notes", { input });
    expect(await noted(back, 3)).toEqual(["1", "2", "3"]);
  });

  it("tell what they cannot take, try again, skip it, and keep nobody from anything", async () => {
    const clock = new ManualClock();
    const runtime = begin(await newPlace(), { clock });
    const told: HoldfastEvents["trigger.failed"][] = [];
    onTestFinished(events.on("trigger.failed", (data) => told.push(data)));
    let tries = 0;
    await runtime.on("e", "notes", {
      input: (event) => {
        if (event.payload === "bad") throw new Error("no such order");
        if (event.payload === "once" && (tries += 1) === 1) throw new Error("not now");
        return input(event);
      },
    });
    await runtime.on("e", "notes", { input: () => null, name: "nothing" });
    await runtime.on("e", "notes", { input: () => ({ log: ["other"] }), name: "other" });
    for (const payload of ["bad", "once", "good"]) await runtime.emit("e", payload);
    await vi.waitFor(
      async () => {
        await clock.advance(1_000);
        expect(await runtime.runs({ status: "completed" })).toHaveLength(5);
        expect(told.filter(({ skipped }) => skipped)).toHaveLength(4);
      },
      { timeout: 15_000 },
    );
    const of = (listener: string) => told.filter((each) => each.listener === listener);
    expect(of("e -> notes").map(({ tries, skipped }) => [tries, skipped])).toEqual([
      [1, false],
      [2, false],
      [3, true],
      [1, false],
    ]);
    expect(of("e -> notes")[0]).toMatchObject({ event: "e", graph: "notes" });
    expect(String(of("nothing")[0]?.error)).toContain("not plain data");
  });

  it("hear how runs ended, with the reason", async () => {
    const runtime = begin(await newPlace());
    await runtime.on<{ runId: string; error: { message: string } }>("run.failed", "notes", {
      input: ({ payload }) => ({ log: [JSON.stringify(payload)] }),
      key: ({ payload }) => `about ${payload.runId}`,
    });
    await runtime.start("fails", {}, { runId: "r1", threadId: "t1" });
    const [payload = ""] = await noted(runtime, 1);
    expect(JSON.parse(payload)).toEqual({
      ...{ runId: "r1", threadId: "t1", graph: "fails", status: "failed" },
      ...{ reason: "broken for good", error: { name: "Error", message: "broken for good" } },
    });
    const store = runtime.saver.steps.events;
    const failed = await store?.list({ name: "run.failed" });
    expect(failed).toMatchObject([{ threadId: "t1", runId: "r1" }]);
    await runtime.start("notes", {}, { runId: "r2", startAt: Date.now() + 3_600_000 });
    await runtime.cancel("r2");
    expect(await store?.list({ name: "run.cancelled" })).toMatchObject([{ runId: "r2" }]);
    await runtime.retry("r1");
    await noted(runtime, 2);
    expect(await store?.list({ name: "run.failed" })).toHaveLength(2);
    expect(await store?.list({ name: "run.completed" })).toHaveLength(2);
  });

  it("begin runs that do not wait for the event that began them", async () => {
    const waits = graphOf(async () => {
      const event = await waitForEvent<string>("e");
      return { log: [`then ${event?.payload}`] };
    });
    const runtime = begin(await newPlace(), { graphs: { waits } });
    await runtime.on("e", "waits", { input: () => ({}), key: () => "t" });
    await runtime.emit("e", "first");
    await vi.waitFor(async () => expect(await runtime.parked()).toHaveLength(1), 10_000);
    const [run] = await runtime.parked();
    expect(run?.reason).toBe("event e");
    await runtime.emit("e", "second");
    const { values } = await runtime.result<S>(run?.runId ?? "");
    expect(values.log).toEqual(["then second"]);
    await vi.waitFor(async () => expect(await runtime.parked()).toHaveLength(1), 10_000);
  });

  it("keep the events that they have yet to hand out; others go after some time", async () => {
    const clock = new ManualClock();
    const place = await newPlace();
    const runtime = begin(place, { clock, keepEmitted: 60_000 });
    await runtime.on("e", "notes", { input });
    await runtime.emit("e", 1);
    await vi.waitFor(async () => {
      await clock.advance(1_000);
      expect(await runtime.runs({ status: "completed" })).toHaveLength(1);
    }, 10_000);
    const away = begin(place, { clock });
    await away.emit("other", 0);
    await runtime.close();
    await away.emit("e", 2);
    await away.saver.steps.events?.delivered([1, 2, 3, 4]);
    await clock.advance(90_000);
    const names = async () => (await away.saver.steps.events?.list())?.map(({ name }) => name);
    const sweep = (forgotten: number) =>
      away.saver.steps.events?.sweep({ before: clock.now() - 60_000, forgotten, limit: 100 });
    await sweep(0);
    expect(await names()).toEqual(["e"]);
    await sweep(clock.now());
    await sweep(clock.now());
    expect(await names()).toEqual([]);
  });
});

it("miss no event that commits late, in any order, on Postgres", { timeout: 120_000 }, async () => {
  const url = await createDatabase();
  const saver = placeAt(url).open();
  await saver.setup();
  const store = saver.steps.events;
  const pool = new pg.Pool({ connectionString: url, max: 6 });
  onTestFinished(() => pool.end());
  let round = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(3), fc.constantFrom("emit", "commit", "look")), { maxLength: 25 }),
      async (steps) => {
        const listener = `l${(round += 1)}`;
        const name = `e${round}`;
        await store.listen({ name: listener, event: name, graph: "g" });
        const clients = await Promise.all([0, 1, 2, 3].map(() => pool.connect()));
        const heard: string[] = [];
        const committed: string[] = [];
        const open: string[][] = [[], [], [], []];
        const commit = async (i: number) => {
          if (open[i]?.length === 0) return;
          await clients[i]?.query("COMMIT");
          committed.push(...(open[i]?.splice(0) ?? []));
        };
        const look = async () => {
          for (const { id, place } of await store.behind({ name: listener, event: name }, 100)) {
            heard.push(id);
            await store.advance(listener, place);
          }
        };
        let n = 0;
        for (const [i, step] of steps) {
          if (step === "look") await look();
          else if (step === "commit") await commit(i);
          else {
            if (open[i]?.length === 0) await clients[i]?.query("BEGIN");
            const id = `${name} ${(n += 1)}`;
            await clients[i]?.query(
              "INSERT INTO holdfast.events (id, name, created_at, data) VALUES ($1, $2, 0, '1')",
              [id, name],
            );
            open[i]?.push(id);
          }
        }
        for (const i of [3, 1, 0, 2]) await commit(i);
        for (const client of clients) client.release();
        // Postgres's own work in the database, such as ANALYZE, holds events back for a moment, too.
        const all = async (): Promise<number> => {
          await look();
          return heard.length;
        };
        await expect.poll(all, { timeout: 20_000 }).toBe(committed.length);
        expect(heard.toSorted()).toEqual(committed.toSorted());
        expect(new Set(heard).size).toBe(heard.length);
      },
    ),
    { numRuns: 40 },
  );
});

it("listeners on Postgres are held back by an open transaction of their own database only", async () => {
  const [here, elsewhere] = [await createDatabase(), await createDatabase()];
  const saver = placeAt(here).open();
  await saver.setup();
  const store = saver.steps.events;
  const begin = async (connectionString: string): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString });
    onTestFinished(() => client.end());
    await client.connect();
    await client.query("BEGIN");
    await client.query("SELECT pg_current_xact_id()");
    return client;
  };
  const listener = { name: "l", event: "e" };
  const heard = async (): Promise<string[]> =>
    (await store.behind(listener, 100)).map(({ id }) => id);
  await begin(elsewhere);
  await store.listen({ ...listener, graph: "g" });
  await store.add({ id: "1", name: "e", payload: store.serialize("e", 1) });
  await expect.poll(heard, { timeout: 20_000 }).toEqual(["1"]);
  const writer = await begin(here);
  await store.add({ id: "2", name: "e", payload: store.serialize("e", 2) });
  expect(await heard()).toEqual(["1"]);
  await writer.query("COMMIT");
  await expect.poll(heard, { timeout: 20_000 }).toEqual(["1", "2"]);
});

it("a listener that is new is not given what came before it, whatever other databases do", async () => {
  const [here, elsewhere] = [await createDatabase(), await createDatabase()];
  const saver = placeAt(here).open();
  await saver.setup();
  const store = saver.steps.events;
  const client = new pg.Client({ connectionString: elsewhere });
  onTestFinished(() => client.end());
  await client.connect();
  await client.query("BEGIN");
  await client.query("SELECT pg_current_xact_id()");
  await store.add({ id: "1", name: "e", payload: store.serialize("e", 1) });
  await store.listen({ name: "l", event: "e", graph: "g" });
  await store.add({ id: "2", name: "e", payload: store.serialize("e", 2) });
  const heard = async (): Promise<string[]> =>
    (await store.behind({ name: "l", event: "e" }, 100)).map(({ id }) => id);
  await expect.poll(heard, { timeout: 20_000 }).toEqual(["2"]);
});
