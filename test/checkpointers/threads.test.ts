/** `listThreads` and `copyThread`. */

import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { emptyCheckpoint, uuid6 } from "@langchain/langgraph-checkpoint";
import { Command } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import { nestedGraph, deltaGraph } from "../conformance/history-graphs.ts";
import { dangling, unreachable } from "../support/fsck.ts";
import { PLACES } from "../support/places.ts";
import { readTables } from "../support/raw-tables.ts";
import { chain, onThread, putOne, syncRun } from "../support/small-graphs.ts";

/** A checkpoint of a run at this time, whose config has this metadata. */
async function putAt(
  saver: BaseCheckpointSaver,
  threadId: string,
  ts: string,
  metadata: Record<string, unknown> = {},
): Promise<void> {
  await saver.put(
    { ...onThread(threadId), metadata: { ...metadata } },
    { ...emptyCheckpoint(), id: uuid6(0), ts },
    { source: "input", step: -1, parents: {} },
    {},
  );
}

function minute(n: number): string {
  return new Date(Date.UTC(2030, 0, 1, 0, n)).toISOString();
}

describe.each(PLACES)("listThreads on %s", (_, newPlace) => {
  it("tells each thread, the latest updated first", async () => {
    const created = Date.UTC(2029, 0, 1);
    const clock = { now: () => created, sleep: () => Promise.resolve() };
    const saver = (await newPlace()).open({ clock });
    await putAt(saver, "b", minute(2), { user: "ada", tags: ["x"] });
    await putAt(saver, "a", minute(1));
    await putAt(saver, "c", minute(0));
    await putAt(saver, "c", minute(3));
    const createdAt = new Date(created).toISOString();
    expect(await saver.listThreads()).toEqual({
      threads: [
        { threadId: "c", createdAt, updatedAt: minute(3), metadata: {}, checkpoints: 2 },
        {
          threadId: "b",
          createdAt,
          updatedAt: minute(2),
          metadata: { user: "ada", tags: ["x"] },
          checkpoints: 1,
        },
        { threadId: "a", createdAt, updatedAt: minute(1), metadata: {}, checkpoints: 1 },
      ],
    });
  });

  it("filters by metadata, compared deeply", async () => {
    const saver = (await newPlace()).open();
    const metadata = { user: "ada", plan: { tier: 2, seats: [1, { n: null }] }, beta: false };
    await putAt(saver, "one", minute(1), metadata);
    await putAt(saver, "two", minute(2), { user: "bob" });
    const found = async (filter: Record<string, unknown>): Promise<string[]> =>
      (await saver.listThreads({ metadata: filter })).threads.map(({ threadId }) => threadId);
    expect(await found({ user: "ada" })).toEqual(["one"]);
    expect(await found({ user: "ada", beta: false })).toEqual(["one"]);
    expect(await found({ plan: { tier: 2, seats: [1, { n: null }] } })).toEqual(["one"]);
    // The order of keys is nothing that a user would think of.
    expect(await found({ plan: { seats: [1, { n: null }], tier: 2 } })).toEqual(["one"]);
    expect(await found({ plan: { tier: 2 } })).toEqual([]);
    expect(await found({ beta: "false" })).toEqual([]);
    expect(await found({ toString: "x" })).toEqual([]);
    expect(await found({})).toEqual(["two", "one"]);
  });

  it("keeps the latest value of each key, whoever wrote it", async () => {
    const place = await newPlace();
    const first = place.open();
    const run = (saver: BaseCheckpointSaver, metadata: Record<string, unknown>) =>
      chain(saver, 1).invoke({ log: [] }, { ...syncRun("t"), metadata });
    await run(first, { user: "ada", plan: "free" });
    await run(place.open(), { plan: "paid" });
    await run(first, { region: "eu" });
    expect((await first.listThreads()).threads[0]?.metadata).toEqual({
      user: "ada",
      plan: "paid",
      region: "eu",
    });
  });

  it("filters by times, and by the beginning of the id", async () => {
    const saver = (await newPlace()).open();
    const ids = ["a%b", "a_b", "a*b", "ab", "A", "a\u{1f642}", "a\u0000b", "b".repeat(10_000)];
    for (const [i, id] of ids.entries()) await putAt(saver, id, minute(i));
    const found = async (options: Parameters<typeof saver.listThreads>[0]): Promise<string[]> =>
      (await saver.listThreads(options)).threads.map(({ threadId }) => threadId).toReversed();
    expect(await found({})).toEqual(ids);
    expect(await found({ updatedAfter: minute(2), updatedBefore: new Date(minute(5)) })).toEqual([
      "ab",
      "A",
    ]);
    expect(await found({ createdAfter: new Date(Date.now() + 60_000) })).toEqual([]);
    expect(await found({ createdBefore: new Date(Date.now() + 60_000) })).toEqual(ids);
    for (const prefix of [
      "a",
      "a%",
      "a_",
      "a*",
      "ab",
      "a\u{1f642}",
      "a\u0000",
      "A",
      "bbb",
      "x",
      "",
    ])
      expect(await found({ prefix })).toEqual(ids.filter((id) => id.startsWith(prefix)));
    for (const length of [199, 200, 201, 254, 255, 256, 9_999, 10_000, 10_001])
      expect(await found({ prefix: "b".repeat(length) })).toHaveLength(length > 10_000 ? 0 : 1);
  });

  it("pages with a cursor: each thread once, in a stable order", async () => {
    const saver = (await newPlace()).open();
    // Several at the same instant.
    for (let i = 0; i < 25; i += 1)
      await putAt(saver, `t${i}`, minute(Math.floor(i / 5)), { odd: i % 2 === 1 });
    const whole = (await saver.listThreads()).threads.map(({ threadId }) => threadId);
    expect(whole).toHaveLength(25);
    for (const limit of [1, 4, 24, 25, 26]) {
      const seen: string[] = [];
      for (let cursor: string | undefined = ""; cursor !== undefined;) {
        const page = await saver.listThreads(cursor === "" ? { limit } : { limit, cursor });
        expect(page.threads.length).toBeLessThanOrEqual(limit);
        seen.push(...page.threads.map(({ threadId }) => threadId));
        cursor = page.cursor;
      }
      expect(seen).toEqual(whole);
    }
    // A thread that comes in front moves nothing, and the filter holds on all pages.
    const first = await saver.listThreads({ limit: 5, metadata: { odd: true } });
    await putAt(saver, "new", minute(9), { odd: true });
    const second = await saver.listThreads({
      limit: 10,
      metadata: { odd: true },
      cursor: first.cursor as string,
    });
    expect(second.cursor).toBeUndefined();
    expect([...first.threads, ...second.threads].map(({ threadId }) => threadId)).toEqual(
      whole.filter((id) => Number(id.slice(1)) % 2 === 1),
    );
  });

  it("refuses options that make no sense", async () => {
    const saver = (await newPlace()).open();
    const invalid = { code: "INVALID_INPUT" };
    for (const options of [
      { limit: 0 },
      { limit: 1.5 },
      { limit: "10" as unknown as number },
      { cursor: "nonsense" },
      { updatedAfter: "yesterday" },
    ])
      await expect(saver.listThreads(options)).rejects.toMatchObject(invalid);
  });
});

describe.each(PLACES)("copyThread on %s", (_, newPlace) => {
  it("copies all there is, and then the two are independent", async () => {
    const place = await newPlace();
    const saver = place.open();
    await chain(saver, 4).invoke({ log: ["x".repeat(1_000)] }, syncRun("from"));
    await saver.copyThread("from", "to");
    const states = async (thread: string) =>
      (await Array.fromAsync(saver.list(onThread(thread)))).map(
        ({ config: _config, parentConfig: _parent, ...tuple }) => tuple,
      );
    const copied = await states("to");
    expect(copied).toEqual(await states("from"));
    expect(copied).toHaveLength(6);

    await chain(saver, 2).invoke({ log: ["more"] }, syncRun("from"));
    expect(await states("to")).toEqual(copied);
    await chain(saver, 3).invoke({ log: ["else"] }, syncRun("to"));
    const from = await states("from");
    await saver.prune(["to"], { latestOnly: true });
    expect(await states("from")).toEqual(from);
    const to = await states("to");
    await saver.deleteThread("from");
    expect(await states("to")).toEqual(to);
    const tables = await readTables(place.url);
    expect(dangling(tables)).toEqual([]);
    expect(unreachable(tables)).toEqual([]);
  });

  it("copies a waiting run, which goes on in both", async () => {
    const saver = (await newPlace()).open();
    const graph = nestedGraph(saver);
    await graph.invoke({ n: 1 }, syncRun("from"));
    await saver.copyThread("from", "to");
    for (const [thread, answer] of [
      ["to", "no"],
      ["from", "yes"],
    ] as const) {
      await graph.invoke(new Command({ resume: answer }), syncRun(thread));
      const { values, next } = await graph.getState(onThread(thread));
      expect(next).toEqual([]);
      expect(values).toMatchObject({ log: expect.arrayContaining([`${answer}:1`]) as string[] });
    }
  });

  it("copies delta channels", async () => {
    const saver = (await newPlace()).open();
    const graph = deltaGraph(saver);
    for (const n of [1, 2, 3]) await graph.invoke({ n }, syncRun("from"));
    const histories = async (thread: string) =>
      (await Array.fromAsync(graph.getStateHistory(onThread(thread)))).map(
        ({ values }) => values as unknown,
      );
    const before = await histories("from");
    await saver.copyThread("from", "to");
    await saver.deleteThread("from");
    expect(await histories("to")).toEqual(before);
    await graph.invoke({ n: 4 }, syncRun("to"));
    expect((await graph.getState(onThread("to"))).values).toMatchObject({
      log: [1, 2, 3, 4].flatMap((n) => [`first:${n}`, `second:${n}`, `third:${n}`]),
    });
  });

  it("refuses a source that is not there and a target that is, and changes neither", async () => {
    const saver = (await newPlace()).open();
    await putOne(saver, "a", { value: 1 });
    await putOne(saver, "b", { value: 2 });
    await expect(saver.copyThread("none", "c")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(saver.copyThread("a", "b")).rejects.toMatchObject({ code: "INVALID_INPUT" });
    await expect(saver.copyThread("a", "a")).rejects.toMatchObject({ code: "INVALID_INPUT" });
    expect((await saver.listThreads()).threads).toHaveLength(2);
    expect((await saver.getTuple(onThread("b")))?.checkpoint.channel_values).toEqual({ value: 2 });
  });

  it("may race with itself: one wins", async () => {
    const place = await newPlace();
    const savers = [place.open(), place.open(), place.open()];
    await chain(savers[0] as (typeof savers)[0], 3).invoke({ log: [] }, syncRun("from"));
    const results = await Promise.allSettled(savers.map((saver) => saver.copyThread("from", "to")));
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect((await savers[0]?.stats("to"))?.checkpoints).toBe(5);
  });
});
