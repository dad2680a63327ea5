/** What runs stream, in both databases. */

import { AIMessageChunk } from "@langchain/core/messages";
import { MemorySaver, type SerializerProtocol } from "@langchain/langgraph-checkpoint";
import { describe, expect, it } from "vitest";
import type { HoldfastSaver } from "../../../checkpointers/saver.ts";
import type { EventWriter, NewRunEvent } from "../../../src/run-event-store.ts";
import type { RunEventStore } from "../../../src/run-event-store.ts";
import type { RunQueue, RunRecord } from "../../../src/run-store.ts";
import { ManualClock } from "../../../src/testing/index.ts";
import { accept, claim, finish } from "../../../src/turns.ts";
import { HOSTILE_IDS } from "../../conformance/steps/place.ts";
import { PLACES } from "../../support/places.ts";
import { execute } from "../../support/raw-tables.ts";
import { chain, syncRun } from "../../support/small-graphs.ts";

const BEGIN = { attempt: 0, n: 0 };
const HOUR = 3_600_000;

function storesOf(saver: HoldfastSaver): { events: RunEventStore; queue: RunQueue } {
  const { runEvents, queue } = saver.steps;
  if (runEvents === undefined || queue === undefined) throw new Error("no database");
  return { events: runEvents, queue };
}

async function start(saver: HoldfastSaver, threadId: string, runId: string): Promise<void> {
  const run = {
    ...{ runId, threadId, graph: "g", priority: 0, attempt: 0, crashes: 0 },
    ...{ startAt: undefined, deadlineAt: undefined, fingerprint: undefined },
    ...{ stop: undefined, reason: undefined, schedule: undefined },
  };
  await storesOf(saver).queue.turn(threadId, (turn) => accept(turn, run, "enqueue"), {
    runId,
    details: { input: {}, metadata: {}, stepLimit: undefined },
  });
}

/** Takes the thread's run, from whoever has it. */
async function take(saver: HoldfastSaver, threadId: string): Promise<EventWriter> {
  const taken = await storesOf(saver).queue.turn(threadId, (turn) =>
    claim(turn, {
      owner: `owner ${turn.token}`,
      graphs: new Map([["g", { fingerprint: "", pins: false }]]),
      duration: HOUR,
      maxCrashes: 3,
      isDead: () => true,
    }),
  );
  const { run, lease } = taken?.claimed ?? {};
  if (run === undefined || lease === undefined) throw new Error("nothing to take");
  const [{ seq } = { seq: 0 }] = await storesOf(saver).queue.list({ runId: run.runId });
  return { threadId, seq, attempt: run.attempt, leaseToken: lease.token };
}

async function end(saver: HoldfastSaver, writer: EventWriter): Promise<void> {
  const { queue } = storesOf(saver);
  const [run] = (await queue.list({ threadId: writer.threadId })) as [RunRecord];
  await queue.turn(
    writer.threadId,
    (turn) => finish(turn, run.runId, writer.leaseToken, { status: "completed" }),
    { runId: run.runId },
  );
}

function said(events: RunEventStore, n: number, data: unknown, path?: string[]): NewRunEvent {
  return { n, event: "custom", path, data: events.serialize(data, "test") };
}

describe.each(PLACES)("what runs stream on %s", (_, newPlace) => {
  async function begin(threadId = "t", serde?: SerializerProtocol) {
    const place = await newPlace();
    const clock = new ManualClock();
    const saver = place.open({ clock, ...(serde && { serde }) });
    await start(saver, threadId, "r");
    const writer = await take(saver, threadId);
    return { place, url: place.url, clock, saver, writer, ...storesOf(saver) };
  }

  it("reads back as it was, behind any place, a page at a time", async () => {
    const { place, clock, events, writer } = await begin();
    const message = new AIMessageChunk({ content: "hi", id: "m" });
    const data = { big: 1n, at: new Date(1), none: undefined, message };
    const first = said(events, 1, data, ["a", "b"]);
    data.big = 2n;
    await events.append(writer, [first, said(events, 2, "two", ["a"])]);
    await events.append(writer, [said(events, 3, "nul\0 \ud800"), said(events, 4, null)]);
    const other = storesOf(place.open({ clock })).events;
    const all = await other.read(writer.seq, BEGIN, 10);
    expect(all.map(({ n, path, at }) => [n, path, at])).toEqual([
      [1, ["a", "b"], clock.now()],
      [2, ["a"], clock.now()],
      [3, undefined, clock.now()],
      [4, undefined, clock.now()],
    ]);
    expect(all.map((event) => event.data)).toEqual([
      { ...data, big: 1n },
      "two",
      "nul\0 \ud800",
      null,
    ]);
    expect((all.at(0)?.data as typeof data | undefined)?.message).toBeInstanceOf(AIMessageChunk);
    expect(await other.read(writer.seq, { attempt: 1, n: 1 }, 2)).toEqual(all.slice(1, 3));
    expect(await other.read(writer.seq, { attempt: 2, n: 0 }, 2)).toEqual([]);
    expect(await other.read(writer.seq + 1, BEGIN, 2)).toEqual([]);
    expect(new Set(await other.paths(writer.seq))).toEqual(new Set([["a", "b"], ["a"]]));
    expect(() => events.serialize({ no: () => 1 }, "test")).toThrow(/function/);
  });

  it("is stored once, however often it is sent", async () => {
    const { events, writer } = await begin();
    const batch = [said(events, 1, "a"), said(events, 2, "b")];
    await events.append(writer, batch);
    await events.append(writer, batch);
    await events.append(writer, []);
    expect(await events.read(writer.seq, BEGIN, 10)).toHaveLength(2);
  });

  it("is refused of a worker that was overtaken, or has left, and goes on with the next one", async () => {
    const { saver, events, writer } = await begin();
    await events.append(writer, [said(events, 1, "a")]);
    const next = await take(saver, "t");
    expect(next).toMatchObject({ seq: writer.seq, attempt: 2 });
    const late = events.append(writer, [said(events, 2, "late"), said(events, 3, "later")]);
    await expect(late).rejects.toMatchObject({ code: "LEASE_LOST" });
    await events.append(next, [said(events, 1, "b")]);
    await end(saver, next);
    const left = events.append(next, [said(events, 2, "c")]);
    await expect(left).rejects.toMatchObject({ code: "LEASE_LOST" });
    const all = await events.read(writer.seq, BEGIN, 10);
    expect(all.map(({ attempt, n, data }) => [attempt, n, data])).toEqual([
      [1, 1, "a"],
      [2, 1, "b"],
    ]);
  });

  it("is refused for a thread that was deleted, also where another one has its name", async () => {
    const { saver, events, writer } = await begin();
    await events.append(writer, [said(events, 1, "a")]);
    await saver.deleteThread("t");
    expect(await events.read(writer.seq, BEGIN, 10)).toEqual([]);
    await start(saver, "t", "r");
    const next = await take(saver, "t");
    expect(next).toMatchObject({ attempt: 1, leaseToken: writer.leaseToken });
    await expect(events.append(writer, [said(events, 2, "b")])).rejects.toMatchObject({
      code: "LEASE_LOST",
    });
    expect(await events.read(next.seq, BEGIN, 10)).toEqual([]);
  });

  it("is that of any thread", async () => {
    for (const threadId of HOSTILE_IDS) {
      const { events, writer } = await begin(threadId);
      await events.append(writer, [said(events, 1, threadId)]);
      expect(await events.read(writer.seq, BEGIN, 1)).toMatchObject([{ data: threadId }]);
    }
  });

  it("is sealed where the saver has a serde of its own", async () => {
    const { serde } = new MemorySaver();
    const flip = (bytes: Uint8Array): Uint8Array => bytes.map((byte) => ~byte);
    const sealing: SerializerProtocol = {
      dumpsTyped: async (value) => {
        const [type, bytes] = await serde.dumpsTyped(value);
        return [type, flip(bytes)];
      },
      loadsTyped: (type, data) =>
        serde.loadsTyped(type, flip(Buffer.from(data))) as Promise<unknown>,
    };
    const { url, events, writer } = await begin("t", sealing);
    await events.append(writer, [said(events, 1, "a canary")]);
    expect(await events.read(writer.seq, BEGIN, 10)).toMatchObject([{ data: "a canary" }]);
    const rows = await execute(url, (table) => `SELECT * FROM ${table("run_events")}`);
    const stored = rows
      .flatMap(Object.values)
      .map((value) =>
        value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : String(value),
      );
    expect(stored.length).toBeGreaterThan(5);
    expect(stored.join(" ")).not.toContain("canary");
  });

  it("goes with a prune of its thread, and with its run", async () => {
    const { saver, clock, events, writer } = await begin();
    await chain(saver, 2).invoke(
      { log: [] },
      {
        ...syncRun("t"),
        configurable: { thread_id: "t", __holdfast_lease_token: writer.leaseToken },
      },
    );
    await events.append(writer, [said(events, 1, "a")]);
    const left = async (): Promise<number> => (await events.read(writer.seq, BEGIN, 10)).length;
    await saver.prune(["t"], { latestOnly: true });
    expect(await left()).toBe(1);
    await end(saver, writer);
    await clock.advance(HOUR);
    await saver.prune(["t"], { latestOnly: true, dryRun: true });
    await saver.prune(["t"], { keepSince: 2 * HOUR });
    expect(await left()).toBe(1);
    await saver.prune(["t"], { latestOnly: true });
    expect(await left()).toBe(0);

    await start(saver, "t", "other");
    const other = await take(saver, "t");
    await events.append(other, [said(events, 1, "a")]);
    await saver.deleteForRuns(["r"]);
    expect(await events.read(other.seq, BEGIN, 10)).toHaveLength(1);
    await saver.deleteForRuns(["other"]);
    expect(await events.read(other.seq, BEGIN, 10)).toHaveLength(0);
  });

  it("is swept some time after the end, a batch at a time, and never before", async () => {
    const { saver, clock, events, writer } = await begin();
    const many = Array.from({ length: 1_100 }, (__, i) => said(events, i + 1, i));
    await events.append(writer, many);
    await start(saver, "u", "open");
    const open = await take(saver, "u");
    await events.append(open, [said(events, 1, "open")]);
    expect(await events.sweep(clock.now())).toEqual({ removed: 0, next: undefined });
    await end(saver, writer);
    expect(await events.sweep(clock.now() - 1)).toEqual({ removed: 0, next: undefined });
    expect(await events.sweep(clock.now())).toEqual({ removed: 1_000, next: 0 });
    expect(await events.sweep(clock.now(), 0)).toEqual({ removed: 100, next: undefined });
    expect(await events.read(writer.seq, BEGIN, 10)).toEqual([]);
    expect(await events.read(open.seq, BEGIN, 10)).toHaveLength(1);
  });
});
