/** Ids are just ids: whatever is in them, they name one thing each. */

import { isDeepStrictEqual } from "node:util";
import { describe, expect, test } from "vitest";
import {
  checkpointOf,
  get,
  listed,
  metadataOf,
  placeForEach,
  put,
  threadConfig,
  type NewPlace,
} from "./place.ts";

/** Each must be told from all the others. */
export const HOSTILE: [name: string, id: string][] = [
  ["__proto__", "__proto__"],
  ["constructor", "constructor"],
  ["hasOwnProperty", "hasOwnProperty"],
  ["a star", "*"],
  ["a percent sign", "%"],
  ["an underscore", "_"],
  ["a single quote", "it's"],
  ["double quotes", '"quoted"'],
  ["SQL", "x'; DROP TABLE holdfast_checkpoints; --"],
  ["a dollar parameter", "$1"],
  ["a question mark", "?"],
  ["a backslash", "\\x00\\"],
  ["the word null", "null"],
  ["a NUL", "a\0b"],
  ["only a NUL", "\0"],
  ["what the NUL hides", "a"],
  ["a lone high surrogate", "\ud800"],
  ["another lone surrogate", "\ud801"],
  ["a lone low surrogate", "\udc00"],
  ["the replacement character", "\ufffd"],
  ["upper case", "A"],
  ["a composed letter", "é".normalize("NFC")],
  ["the same letter, decomposed", "é".normalize("NFD")],
  ["a space", " "],
  ["a new line", "\n"],
  ["separators", "a|b:c,d/e"],
  ["JSON", '["t","",null]'],
  ["10 kB", "x".repeat(10_000)],
  ["10 kB and one more", `${"x".repeat(10_000)}y`],
  ["10 kB of NULs and quotes", "\0'".repeat(5_000)],
  ["10 kB of lone surrogates", "\ud800".repeat(10_000)],
  ["250 characters", "y".repeat(250)],
  ["what a hash looks like", "a".repeat(64)],
];

const IDS = HOSTILE.map(([, id]) => id);

export function hostileIdTests(newPlace: NewPlace): void {
  const place = placeForEach(newPlace);

  test("thread ids", async () => {
    let saver = await place.get().create();
    for (const id of IDS) await put(saver, threadConfig(id), checkpointOf({ mine: id }));
    for (let i = 0; i < 2; i += 1) {
      for (const id of IDS) {
        const { checkpoint, config } = await get(saver, threadConfig(id));
        expect(checkpoint.channel_values).toEqual({ mine: id });
        expect(config.configurable?.["thread_id"]).toBe(id);
        expect(await listed(saver, { configurable: { thread_id: id } })).toHaveLength(1);
      }
      const all = await listed(saver, {});
      expect(
        all.map(({ config }) => config.configurable?.["thread_id"] as string).toSorted(),
      ).toEqual(IDS.toSorted());
      saver = await place.get().reopen(saver);
    }
    for (const [n, id] of IDS.entries()) {
      await saver.deleteThread(id);
      expect(await saver.getTuple(threadConfig(id))).toBeUndefined();
      expect(await listed(saver, {})).toHaveLength(IDS.length - n - 1);
    }
    await saver.end();
  });

  test("namespaces", async () => {
    let saver = await place.get().create();
    for (const id of IDS) await put(saver, threadConfig("t", id), checkpointOf({ mine: id }));
    for (let i = 0; i < 2; i += 1) {
      for (const id of IDS) {
        const { checkpoint, config } = await get(saver, threadConfig("t", id));
        expect(checkpoint.channel_values).toEqual({ mine: id });
        expect(config.configurable?.["checkpoint_ns"]).toBe(id);
        expect(await listed(saver, threadConfig("t", id))).toHaveLength(1);
      }
      expect(await saver.getTuple(threadConfig("t"))).toBeUndefined();
      expect(await listed(saver, { configurable: { thread_id: "t" } })).toHaveLength(IDS.length);
      saver = await place.get().reopen(saver);
    }
    await saver.end();
  });

  test("checkpoint ids, as parents too", async () => {
    let saver = await place.get().create();
    let config = threadConfig("t");
    for (const id of IDS) config = await put(saver, config, { ...checkpointOf({ mine: id }), id });
    for (let i = 0; i < 2; i += 1) {
      for (const [n, id] of IDS.entries()) {
        const tuple = await get(saver, {
          configurable: { ...threadConfig("t").configurable, checkpoint_id: id },
        });
        expect(tuple.checkpoint.id).toBe(id);
        expect(tuple.checkpoint.channel_values).toEqual({ mine: id });
        expect(tuple.config.configurable?.["checkpoint_id"]).toBe(id);
        expect(tuple.parentConfig?.configurable?.["checkpoint_id"]).toBe(IDS[n - 1]);
      }
      const ids = (await listed(saver, threadConfig("t"))).map(({ checkpoint }) => checkpoint.id);
      expect(ids.toSorted()).toEqual(IDS.toSorted());
      saver = await place.get().reopen(saver);
    }
    await saver.end();
  });

  test("task ids", async () => {
    let saver = await place.get().create();
    const config = await put(saver, threadConfig("t"), checkpointOf({}));
    for (const id of IDS)
      await saver.putWrites(
        config,
        [
          ["c", id],
          ["d", 1],
        ],
        id,
      );
    for (let i = 0; i < 2; i += 1) {
      const writes = (await get(saver, config)).pendingWrites ?? [];
      expect(writes).toHaveLength(2 * IDS.length);
      for (const id of IDS) {
        expect(writes.filter(([task]) => task === id)).toEqual([
          [id, "c", id],
          [id, "d", 1],
        ]);
      }
      saver = await place.get().reopen(saver);
    }
    await saver.end();
  });

  test("channel names, in values, versions, writes and what nodes have seen", async () => {
    let saver = await place.get().create();
    const entries = IDS.map((id): [string, string] => [id, `value of ${id}`]);
    const checkpoint = checkpointOf(Object.fromEntries(entries));
    checkpoint.versions_seen = Object.fromEntries(IDS.map((id) => [id, { [id]: 1 }]));
    const config = await put(saver, threadConfig("t"), checkpoint);
    await saver.putWrites(config, entries, "task");
    const next = {
      ...checkpointOf(Object.fromEntries(entries.map(([id, value]) => [id, `${value} again`])), 2),
      versions_seen: {},
    };
    const child = await put(saver, config, next);
    for (let i = 0; i < 2; i += 1) {
      const tuple = await get(saver, config);
      // Not toStrictEqual: it takes an own key "constructor" for the class of the object.
      expect(isDeepStrictEqual(tuple.checkpoint, checkpoint)).toBe(true);
      expect(tuple.pendingWrites).toEqual(entries.map(([id, value]) => ["task", id, value]));
      expect(isDeepStrictEqual((await get(saver, child)).checkpoint, next)).toBe(true);
      saver = await place.get().reopen(saver);
    }
    await saver.end();
  });

  test("keys and strings of the state and of metadata", async () => {
    let saver = await place.get().create();
    const map = Object.fromEntries(IDS.map((id) => [id, { text: id }]));
    const metadata = { map, list: IDS, ...map };
    const config = await put(saver, threadConfig("t"), checkpointOf({ map, list: IDS }), metadata);
    for (let i = 0; i < 2; i += 1) {
      const tuple = await get(saver, config);
      // Not strictly: with a key named "constructor" two equal objects are of different classes.
      expect(tuple.checkpoint.channel_values).toEqual({ map, list: IDS });
      expect(tuple.metadata).toEqual(metadataOf(metadata));
      saver = await place.get().reopen(saver);
    }
    await saver.end();
  });

  describe("as a filter", () => {
    test.each(HOSTILE)("%s", async (_, id) => {
      const saver = await place.get().create();
      await put(saver, threadConfig("t"), checkpointOf({ n: 1 }), { user: id });
      await put(saver, threadConfig("t"), checkpointOf({ n: 2 }), { [id]: "value" });
      const one = await listed(saver, threadConfig("t"), { filter: { user: id } });
      expect(one.map(({ checkpoint }) => checkpoint.channel_values["n"])).toEqual([1]);
      const two = await listed(saver, threadConfig("t"), { filter: { [id]: "value" } });
      expect(two.map(({ checkpoint }) => checkpoint.channel_values["n"])).toEqual([2]);
      await saver.end();
    });
  });
}
