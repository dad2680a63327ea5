/** Schedules, in both databases. */

import { MemorySaver, type SerializerProtocol } from "@langchain/langgraph-checkpoint";
import { describe, expect, it } from "vitest";
import type { HoldfastSaver } from "../../../checkpointers/saver.ts";
import type { Decided, RunQueue, ScheduleMove, Turn } from "../../../src/run-store.ts";
import type {
  ScheduleDetails,
  ScheduleRecord,
  ScheduleStore,
} from "../../../src/schedule-store.ts";
import { accept, type Accepted } from "../../../src/turns.ts";
import { HOSTILE_IDS } from "../../conformance/steps/place.ts";
import { PLACES } from "../../support/places.ts";
import { execute } from "../../support/raw-tables.ts";

const record = (more: Partial<ScheduleRecord> = {}): ScheduleRecord => ({
  ...{ name: "s", revision: "1", cron: "0 9 * * *", zone: "UTC", graph: "g", missed: "once" },
  ...{ paused: false, nextAt: 1_000, createdAt: 1, updatedAt: 2 },
  ...{ lastAt: undefined, lastRun: undefined },
  ...more,
});

const details = (more: Partial<ScheduleDetails> = {}): ScheduleDetails => ({
  ...{ input: { topic: "kelp", at: new Date(5), many: new Map([[1, 2n]]) }, metadata: {} },
  ...{ threadId: undefined, multitaskStrategy: "enqueue", priority: 0, deadline: undefined },
  ...{ stepLimit: undefined, budget: undefined, streamMode: undefined },
  ...{ configurable: { user: "ann" }, compensate: undefined },
  ...more,
});

const move = (more: Partial<ScheduleMove> = {}): ScheduleMove => ({
  ...{ name: "s", from: "1", to: "2", nextAt: 2_000, fired: { at: 1_000, runId: "r" } },
  ...more,
});

function partsOf(saver: HoldfastSaver): { schedules: ScheduleStore; queue: RunQueue } {
  const { schedules, queue } = saver.steps;
  return { schedules, queue };
}

const accepting =
  (threadId: string, runId: string) =>
  (turn: Turn): Decided<Accepted> =>
    accept(
      turn,
      {
        ...{ runId, threadId, graph: "g", priority: 0, attempt: 0, crashes: 0, stop: undefined },
        ...{ startAt: undefined, deadlineAt: undefined, reason: undefined, schedule: "s" },
      },
      "enqueue",
    );

const run = { input: {}, metadata: {}, stepLimit: undefined };

describe.each(PLACES)("the store of schedules on %s", (_, newPlace) => {
  it("keeps one of a name, with all that is said of it", async () => {
    const place = await newPlace();
    const { schedules } = partsOf(place.open());
    const other = partsOf(place.open()).schedules;
    const both = [schedules, other].map((each, i) =>
      each.put(record({ revision: `by ${i}` }), undefined, details({ priority: i })),
    );
    const won = (await Promise.all(both)).indexOf(true);
    expect(await Promise.all(both)).toEqual([won === 0, won === 1]);
    expect(await other.read("s")).toEqual({
      ...record({ revision: `by ${won}` }),
      details: details({ priority: won }),
    });
    expect(await schedules.read("nobody")).toBeUndefined();
    expect(await schedules.remove("nobody")).toBe(false);
    expect(await schedules.remove("s")).toBe(true);
    expect(await other.list()).toEqual([]);
  });

  it("changes what is as it was seen, and nothing else", async () => {
    const { schedules } = partsOf((await newPlace()).open());
    await schedules.put(record(), undefined, details());
    expect(await schedules.put(record({ revision: "3", graph: "other" }), "2")).toBe(false);
    expect(await schedules.move(move({ from: "2", to: "3" }))).toBe(false);
    expect(await schedules.move(move())).toBe(true);
    const moved = { revision: "2", nextAt: 2_000, lastAt: 1_000, lastRun: "r" };
    expect(await schedules.list()).toEqual([record(moved)]);
    expect(await schedules.move(move({ from: "2", to: "3", fired: undefined }))).toBe(true);
    // What was fired last stays with whoever replaces it; so do details that are not given.
    const changed = { revision: "4", paused: true, zone: "Europe/Berlin", nextAt: undefined };
    expect(await schedules.put(record({ ...changed, createdAt: 9, updatedAt: 9 }), "3")).toBe(true);
    expect(await schedules.read("s")).toEqual({
      ...record({ ...moved, ...changed, updatedAt: 9 }),
      details: details(),
    });
    expect(await schedules.put(record({ revision: "5" }), "4", details({ input: 7 }))).toBe(true);
    expect(await schedules.read("s")).toMatchObject({ details: { input: 7 }, nextAt: 1_000 });
  });

  it("moves one in the turn that accepts its run: both, or neither", async () => {
    const { schedules, queue } = partsOf((await newPlace()).open());
    await schedules.put(record(), undefined, details());
    const turn = (runId: string, given: ScheduleMove) =>
      queue.turn("t", accepting("t", runId), { runId, details: run, move: given });
    expect(await turn("late", move({ from: "0" }))).toBeUndefined();
    expect(await queue.read("late")).toBeUndefined();
    expect(await turn("r", move())).toMatchObject({ isNew: true });
    expect(await queue.read("r")).toMatchObject({ schedule: "s", status: "queued" });
    expect(await schedules.read("s")).toMatchObject({ revision: "2", lastRun: "r" });
    const refused = queue.turn(
      "t",
      () => {
        throw new Error("refused");
      },
      { runId: "x", details: run, move: move({ from: "2", to: "3" }) },
    );
    await expect(refused).rejects.toThrow("refused");
    expect(await schedules.read("s")).toMatchObject({ revision: "2" });
    await schedules.remove("s");
    expect(await turn("gone", move({ from: "2", to: "3" }))).toBeUndefined();
    expect(await queue.read("gone")).toBeUndefined();
    // Ten at once: one.
    await schedules.put(record(), undefined, details());
    const many = await Promise.all(
      Array.from({ length: 10 }, (_each, i) =>
        queue.turn(`thread ${i}`, accepting(`thread ${i}`, `many ${i}`), {
          ...{ runId: `many ${i}`, details: run, move: move({ to: `by ${i}` }) },
        }),
      ),
    );
    expect(many.filter((each) => each !== undefined)).toHaveLength(1);
    expect(await queue.list({ prefix: "many" })).toHaveLength(1);
  });

  it("tells which comes next, of the graphs that are asked for", async () => {
    const { schedules } = partsOf((await newPlace()).open());
    const put = (name: string, more: Partial<ScheduleRecord>) =>
      schedules.put(record({ name, ...more }), undefined, details());
    await put("c", { nextAt: 30 });
    await put("a", { nextAt: 10 });
    await put("b", { nextAt: 20, graph: "h" });
    await put("other", { nextAt: 1, graph: "nobody's" });
    await put("paused", { nextAt: 1, paused: true });
    await put("never", { nextAt: undefined });
    const next = async (graphs: string[], limit = 10): Promise<string[]> =>
      (await schedules.next(graphs, limit)).map(({ name }) => name);
    expect(await next(["g", "h"])).toEqual(["a", "b", "c"]);
    expect(await next(["g", "h"], 2)).toEqual(["a", "b"]);
    expect(await next(["g"])).toEqual(["a", "c"]);
    expect(await next([])).toEqual([]);
  });

  it("knows names, graphs and runs of any kind", async () => {
    const { schedules } = partsOf((await newPlace()).open());
    for (const name of HOSTILE_IDS) {
      await schedules.put(record({ name, graph: name, cron: name }), undefined, details());
      await schedules.move(move({ name, fired: { at: 1, runId: name } }));
    }
    const found = await schedules.list();
    expect(found.map(({ name }) => name)).toEqual(HOSTILE_IDS.toSorted());
    for (const name of HOSTILE_IDS) {
      const expected = { name, graph: name, cron: name, lastRun: name, revision: "2" };
      expect(await schedules.read(name)).toMatchObject(expected);
      expect(await schedules.next([name], 10)).toMatchObject([expected]);
      expect(await schedules.remove(name)).toBe(true);
    }
    expect(await schedules.list()).toEqual([]);
  });

  it("seals what is the user's under a custom serde, and refuses what cannot be kept", async () => {
    const inner = new MemorySaver().serde;
    const flip = (bytes: Uint8Array): Uint8Array => bytes.map((byte) => ~byte);
    const serde: SerializerProtocol = {
      async dumpsTyped(value) {
        const [type, bytes] = await inner.dumpsTyped(value);
        return [type, flip(bytes)];
      },
      loadsTyped: (type, data) =>
        inner.loadsTyped(type, flip(Buffer.from(data as Uint8Array))) as Promise<unknown>,
    };
    const place = await newPlace();
    const { schedules } = partsOf(place.open({ serde } as never));
    const secret = details({ input: "canary", metadata: { who: "canary" }, threadId: "canary" });
    await schedules.put(record(), undefined, secret);
    const rows = await execute(place.url, (table) => `SELECT * FROM ${table("schedules")}`);
    const text = rows
      .flatMap((row) => Object.values(row))
      .map((value) =>
        value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : String(value),
      );
    expect(text.join(" ")).toContain("0 9 * * *");
    expect(text.join(" ")).not.toContain("canary");
    expect((await schedules.read("s"))?.details).toEqual(secret);
    const bad = details({ input: { call: () => 1 } });
    await expect(schedules.put(record({ name: "t" }), undefined, bad)).rejects.toMatchObject({
      code: "UNSERIALIZABLE",
    });
    expect(await schedules.list()).toHaveLength(1);
  });
});
