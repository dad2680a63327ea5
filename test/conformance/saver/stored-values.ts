/** What a checkpoint holds is what its channels held, whatever the versions say. */

import { expect, test } from "vitest";
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

export function storedValueTests(newPlace: NewPlace): void {
  const place = placeForEach(newPlace);

  test("an element changed in place, without a new version", async () => {
    let saver = await place.get().create();
    const version = versionsOf(saver)();
    const item = { status: "open", tags: ["a"], nested: new Map([["k", { n: 1 }]]) };
    const values = { items: [item, { other: true }] };
    const first = await put(saver, threadConfig("t"), checkpointOf(values, version));
    item.status = "closed";
    item.tags.push("b");
    item.nested.set("k", { n: 2 });
    const second = await saver.put(first, checkpointOf(values, version), metadataOf(), {});
    for (let i = 0; i < 2; i += 1) {
      expect((await get(saver, first)).checkpoint.channel_values).toEqual({
        items: [
          { status: "open", tags: ["a"], nested: new Map([["k", { n: 1 }]]) },
          { other: true },
        ],
      });
      expect((await get(saver, second)).checkpoint.channel_values).toEqual({
        items: [
          { status: "closed", tags: ["a", "b"], nested: new Map([["k", { n: 2 }]]) },
          { other: true },
        ],
      });
      saver = await place.get().reopen(saver);
    }
    await saver.end();
  });

  test("values without a version", async () => {
    let saver = await place.get().create();
    const version = versionsOf(saver)();
    const checkpoint = checkpointOf({ versioned: 1, default: ["d"] }, version);
    checkpoint.channel_versions = { versioned: version };
    const first = await put(saver, threadConfig("t"), checkpoint);
    const child = {
      ...checkpointOf({ versioned: 1, default: ["d", "e"] }),
      channel_versions: { versioned: version },
    };
    const second = await saver.put(first, child, metadataOf(), {});
    for (let i = 0; i < 2; i += 1) {
      expect((await get(saver, first)).checkpoint).toStrictEqual(checkpoint);
      expect((await get(saver, second)).checkpoint).toStrictEqual(child);
      saver = await place.get().reopen(saver);
    }
    await saver.end();
  });

  test("a value that changed though newVersions doesn't say so", async () => {
    let saver = await place.get().create();
    const next = versionsOf(saver);
    const [v1, v2] = [next(), next()];
    const first = await put(saver, threadConfig("t"), checkpointOf({ a: 1, b: "old" }, v1));
    const child = { ...checkpointOf({ a: 2, b: "new" }), channel_versions: { a: v2, b: v1 } };
    const second = await saver.put(first, child, metadataOf(), { a: v2 });
    saver = await place.get().reopen(saver);
    expect((await get(saver, second)).checkpoint.channel_values).toEqual({ a: 2, b: "new" });
    await saver.end();
  });

  test("a copy, whose parent is the grandparent and whose versions are not new", async () => {
    let saver = await place.get().create();
    const next = versionsOf(saver);
    const [v1, v2] = [next(), next()];
    const first = await put(saver, threadConfig("t"), checkpointOf({ a: "one", b: "same" }, v1));
    const child = {
      ...checkpointOf({ a: "two", b: "same", c: [1] }),
      channel_versions: { a: v2, b: v1, c: v2 },
    };
    await saver.put(first, child, metadataOf(), { a: v2, c: v2 });
    const copy = {
      ...checkpointOf({}),
      channel_values: child.channel_values,
      channel_versions: child.channel_versions,
    };
    const copied = await saver.put(first, copy, metadataOf({ source: "fork" }), {});
    const orphan = { ...copy, id: checkpointOf({}).id };
    const alone = await saver.put(threadConfig("t"), orphan, metadataOf({ source: "fork" }), {});
    for (let i = 0; i < 2; i += 1) {
      expect((await get(saver, copied)).checkpoint).toStrictEqual(copy);
      expect((await get(saver, alone)).checkpoint).toStrictEqual(orphan);
      saver = await place.get().reopen(saver);
    }
    await saver.end();
  });

  test("a channel that goes away and comes back", async () => {
    let saver = await place.get().create();
    const next = versionsOf(saver);
    let config = threadConfig("t");
    const states = [
      { a: 1, b: { x: [1, 2, 3] } },
      { a: 1 },
      {},
      { b: { x: [1, 2, 3] } },
      { b: { x: [1, 2] }, a: 0 },
    ];
    const configs = [];
    for (const state of states)
      configs.push((config = await put(saver, config, checkpointOf(state, next()))));
    for (let i = 0; i < 2; i += 1) {
      for (const [n, at] of configs.entries()) {
        expect((await get(saver, at)).checkpoint.channel_values).toEqual(states[n]);
      }
      saver = await place.get().reopen(saver);
    }
    await saver.end();
  });

  test("every kind of change to a list, a map, a text, and from one to the other", async () => {
    let saver = await place.get().create();
    const next = versionsOf(saver);
    const long = "line of a long document\n".repeat(300);
    const states: unknown[] = [
      [1, 2, 3],
      [1, 2, 3, { a: 1 }],
      [{ a: 0 }, 1, 2, 3, { a: 1 }],
      [{ a: 0 }, 3, { a: 1 }],
      [{ a: 0 }, 3, { a: 2, b: { c: [1] } }],
      [{ a: 0 }, 3, { a: 2, b: { c: [1, 2] } }],
      [],
      { 0: 1 },
      { a: 1, b: { c: 1 } },
      { a: 1, b: { c: 1, d: long } },
      { a: 1, b: { d: long, c: 1 } },
      { b: { d: `${long}!`, c: 1 } },
      { b: { d: `# ${long}!` } },
      `# ${long}!`,
      `# ${long.replace("long", "short")}!`,
      long,
      "",
      null,
      new Map<unknown, unknown>([["a", [1]]]),
      new Map<unknown, unknown>([
        ["a", [1, 2]],
        ["b", long],
      ]),
      new Set(["a", "b"]),
      new Set(["b"]),
      Buffer.alloc(5_000, 1),
      Buffer.alloc(5_000, 2),
      [[1], [2], [3]],
      [[1], [2, 2], [3]],
      [undefined, [2, 2], undefined],
      { $: "o", v: 1 },
      { $: "o", v: 2 },
    ];
    const order = [...states.keys(), ...states.keys().toArray().toReversed(), 3, 9, 0, 19, 5];
    let config = threadConfig("t");
    const configs: { config: typeof config; state: unknown }[] = [];
    for (const index of order) {
      const state = states[index];
      config = await put(saver, config, checkpointOf({ state }, next()));
      configs.push({ config, state });
    }
    for (let i = 0; i < 2; i += 1) {
      for (const { config: at, state } of configs) {
        expect((await get(saver, at)).checkpoint.channel_values["state"]).toStrictEqual(state);
      }
      const all = await listed(saver, threadConfig("t"));
      expect(
        all.map(({ checkpoint }) => checkpoint.channel_values["state"]).toReversed(),
      ).toStrictEqual(configs.map(({ state }) => state));
      saver = await place.get().reopen(saver);
    }
    await saver.end();
  });

  test("what is changed after the call was made is not in it", async () => {
    let saver = await place.get().create();
    const list = [{ n: 1 }];
    const metadata = metadataOf({ tags: ["a"] });
    const checkpoint = checkpointOf({ list });
    const work = saver.put(threadConfig("t"), checkpoint, metadata, checkpoint.channel_versions);
    const at = {
      configurable: { thread_id: "t", checkpoint_ns: "", checkpoint_id: checkpoint.id },
    };
    const writes = saver.putWrites(at, [["list", list]], "task");
    list[0] = { n: 2 };
    list.push({ n: 3 });
    (metadata as unknown as { tags: string[] }).tags.push("b");
    checkpoint.channel_versions["later"] = 9;
    await Promise.all([work, writes]);
    for (let i = 0; i < 2; i += 1) {
      const tuple = await get(saver, threadConfig("t"));
      expect(tuple.checkpoint.channel_values).toEqual({ list: [{ n: 1 }] });
      expect(tuple.checkpoint.channel_versions).toEqual({ list: 1 });
      expect(tuple.metadata).toEqual(metadataOf({ tags: ["a"] }));
      expect(tuple.pendingWrites).toEqual([["task", "list", [{ n: 1 }]]]);
      saver = await place.get().reopen(saver);
    }
    await saver.end();
  });

  test("a checkpoint put again replaces itself, and keeps its parent", async () => {
    let saver = await place.get().create();
    const next = versionsOf(saver);
    const first = await put(saver, threadConfig("t"), checkpointOf({ a: 1 }, next()));
    const child = checkpointOf({ a: 2 }, next());
    const second = await put(saver, first, child);
    // So LangGraph does at the end of an "exit" invocation that got no further.
    const again = { ...child, versions_seen: { __interrupt__: { a: "x" } } };
    await saver.put(second, again, metadataOf({ again: true }), {});
    for (let i = 0; i < 2; i += 1) {
      const tuple = await get(saver, second);
      expect(tuple.checkpoint).toStrictEqual(again);
      expect(tuple.metadata).toEqual(metadataOf({ again: true }));
      expect(tuple.parentConfig?.configurable?.["checkpoint_id"]).toBe(
        first.configurable?.["checkpoint_id"],
      );
      const { messages } = await saver.getDeltaChannelHistory({
        config: second,
        channels: ["messages"],
      });
      expect(messages).toEqual({ writes: [] });
      expect(await listed(saver, threadConfig("t"))).toHaveLength(2);
      saver = await place.get().reopen(saver);
    }
    await saver.end();
  });
}
