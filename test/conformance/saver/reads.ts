/** What a read returns is the caller's own; missing things are missing; several savers agree. */

import { describe, expect, test } from "vitest";
import { isHoldfastError } from "../../../src/errors.ts";
import {
  checkpointOf,
  get,
  listed,
  metadataOf,
  placeForEach,
  put,
  threadConfig,
  versionsOf,
  type NewPlace,
} from "./place.ts";

export function readTests(newPlace: NewPlace): void {
  const place = placeForEach(newPlace);

  test("changing what was returned changes nothing stored", async () => {
    const saver = await place.get().create();
    const value = (): Record<string, unknown> => ({
      list: [{ a: [1] }],
      map: new Map([["k", { b: 1 }]]),
      bytes: Buffer.alloc(5_000, 7),
    });
    const config = await put(saver, threadConfig("t"), checkpointOf({ value: value() }), {
      tags: ["x"],
    });
    await saver.putWrites(config, [["value", value()]], "task");
    const pristine = await get(saver, config);
    for (const read of [
      () => get(saver, config),
      () => get(saver, threadConfig("t")),
      async () => (await listed(saver, threadConfig("t")))[0],
    ]) {
      const tuple = await read();
      expect(tuple).toBeDefined();
      if (tuple) spoil(tuple);
    }
    expect(await get(saver, config)).toStrictEqual(pristine);
    expect((await listed(saver, threadConfig("t")))[0]).toStrictEqual(pristine);
    const child = await put(saver, config, checkpointOf({ value: value() }, 2));
    expect((await get(saver, child)).checkpoint.channel_values).toEqual({ value: value() });
    await saver.end();
  });

  test("two reads share no object", async () => {
    const saver = await place.get().create();
    const config = await put(saver, threadConfig("t"), checkpointOf({ value: { deep: [{}] } }), {
      tags: [{}],
    });
    await saver.putWrites(config, [["value", [{}]]], "task");
    const [a, b] = [objectsIn(await get(saver, config)), objectsIn(await get(saver, config))];
    expect([...a].filter((object) => b.has(object))).toEqual([]);
    await saver.end();
  });

  test("what isn't there is undefined, and empty", async () => {
    const saver = await place.get().create();
    expect(await saver.getTuple(threadConfig("nobody"))).toBeUndefined();
    expect(await saver.getTuple({ configurable: {} })).toBeUndefined();
    expect(await saver.getTuple({})).toBeUndefined();
    expect(await listed(saver, threadConfig("nobody"))).toEqual([]);
    await put(saver, threadConfig("t"), checkpointOf({}));
    expect(await saver.getTuple(threadConfig("t", "ns"))).toBeUndefined();
    expect(
      await saver.getTuple({ configurable: { thread_id: "t", checkpoint_id: "none" } }),
    ).toBeUndefined();
    expect(await saver.get(threadConfig("t"))).toMatchObject({ v: 4 });
    await saver.deleteThread("nobody");
    await saver.end();
  });

  describe("a config that lacks what is needed is refused, by name", () => {
    test.each([
      ["put without configurable", {}, "thread_id"],
      ["put without a thread", { configurable: { checkpoint_ns: "" } }, "thread_id"],
      ["put with a number for a thread", { configurable: { thread_id: 1 } }, "thread_id"],
      [
        "put with an object for a namespace",
        { configurable: { thread_id: "t", checkpoint_ns: {} } },
        "checkpoint_ns",
      ],
    ])("%s", async (_, config, key) => {
      const saver = await place.get().create();
      const error: unknown = await saver
        .put(config, checkpointOf({}), metadataOf(), {})
        .catch((reason: unknown) => reason);
      expect(isHoldfastError(error, "INVALID_INPUT")).toBe(true);
      expect(String(error)).toContain(key);
      await saver.end();
    });

    test.each([
      ["putWrites without configurable", {}, "thread_id"],
      ["putWrites without a thread", { configurable: { checkpoint_id: "c" } }, "thread_id"],
      ["putWrites without a checkpoint", { configurable: { thread_id: "t" } }, "checkpoint_id"],
    ])("%s", async (_, config, key) => {
      const saver = await place.get().create();
      expect(() => void saver.putWrites(config, [["a", 1]], "task")).toThrow(key);
      await saver.end();
    });
  });

  test("two savers on one database see each other's work at once", async () => {
    const [a, b] = [await place.get().create(), await place.get().create()];
    const next = versionsOf(a);
    const first = await put(a, threadConfig("t"), checkpointOf({ list: [1] }, next()));
    expect((await get(b, threadConfig("t"))).checkpoint.channel_values).toEqual({ list: [1] });
    const second = await put(b, first, checkpointOf({ list: [1, 2] }, next()));
    await b.putWrites(second, [["list", [3]]], "task");
    const seen = await get(a, threadConfig("t"));
    expect(seen.checkpoint.channel_values).toEqual({ list: [1, 2] });
    expect(seen.pendingWrites).toEqual([["task", "list", [3]]]);
    // Put on a parent that this saver never read.
    const third = await put(b, second, checkpointOf({ list: [1, 2, 3] }, next()));
    const fourth = await put(a, third, checkpointOf({ list: [1, 2, 3, 4] }, next()));
    expect((await get(b, fourth)).checkpoint.channel_values).toEqual({ list: [1, 2, 3, 4] });
    await a.end();
    await b.end();
  });

  test("a deleted thread is gone for every saver, and its id is free", async () => {
    const [a, b] = [await place.get().create(), await place.get().create()];
    const checkpoint = checkpointOf({ text: "canary-of-a-deleted-thread".repeat(500) });
    const config = await put(a, threadConfig("t"), checkpoint);
    await a.putWrites(config, [["text", "another"]], "task");
    await put(a, threadConfig("other"), checkpointOf({ kept: 1 }));
    await get(b, config);
    await a.deleteThread("t");
    for (const saver of [a, b]) {
      expect(await saver.getTuple(threadConfig("t"))).toBeUndefined();
      expect(await saver.getTuple(config)).toBeUndefined();
      expect(await listed(saver, { configurable: { thread_id: "t" } })).toEqual([]);
      expect((await get(saver, threadConfig("other"))).checkpoint.channel_values).toEqual({
        kept: 1,
      });
    }
    await put(b, threadConfig("t"), { ...checkpointOf({ text: "new" }), id: checkpoint.id });
    const tuple = await get(a, threadConfig("t"));
    expect(tuple.checkpoint.channel_values).toEqual({ text: "new" });
    expect(tuple.pendingWrites).toEqual([]);
    await a.end();
    await b.end();
  });

  test("versions: a loop's are equal where LangGraph asks twice, and no two loops share any", async () => {
    const saver = await place.get().create();
    const loops = Array.from(
      { length: 50 },
      () => saver.getNextVersion as unknown as (current?: string) => string,
    );
    const minted = loops.map((next) => {
      // LangGraph binds it to what it likes, even to nothing.
      const bound = next.bind(undefined);
      const first = bound(undefined);
      expect(bound(undefined)).toBe(first);
      const second = bound(first);
      expect(second > first).toBe(true);
      expect(second.localeCompare(first)).toBe(1);
      return [first, second];
    });
    expect(new Set(minted.flat()).size).toBe(100);
    // From versions of an official saver, which are integers.
    const next = loops[0] as unknown as (current: number) => string;
    expect(next(7) > next(6)).toBe(true);
    await saver.end();
  });

  test("a saver in a config is no burden for JSON.stringify", async () => {
    const saver = await place.get().create();
    expect(JSON.stringify({ saver }).length).toBeLessThan(60);
    await saver.end();
  });
}

/** Every object within, of any kind. */
function objectsIn(value: unknown, found = new Set<object>()): Set<object> {
  if (typeof value !== "object" || value === null || found.has(value)) return found;
  found.add(value);
  const inner = value instanceof Map ? [...value].flat() : Object.values(value);
  for (const item of inner) objectsIn(item, found);
  return found;
}

function spoil(value: object): void {
  for (const object of objectsIn(value)) {
    if (ArrayBuffer.isView(object)) new Uint8Array(object.buffer).fill(0);
    else if (object instanceof Map) object.clear();
    else if (Array.isArray(object)) object.length = 0;
    else for (const key of Object.keys(object)) delete (object as Record<string, unknown>)[key];
  }
}
