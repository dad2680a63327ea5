/** `list`: newest first, filtered by metadata, before a checkpoint, up to a limit, by namespace. */

import { beforeAll, afterAll, expect, test } from "vitest";
import type { RunnableConfig } from "@langchain/core/runnables";
import type { HoldfastSaver } from "../../../checkpointers/saver.ts";
import { checkpointOf, listed, put, threadConfig, type NewPlace, type Place } from "./place.ts";

export function listingTests(newPlace: NewPlace): void {
  let place: Place;
  let saver: HoldfastSaver;
  const configs: Record<string, RunnableConfig> = {};

  // a1 - a2 - a3 and a fork a2b; a namespace of the thread; and another thread.
  beforeAll(async () => {
    place = await newPlace();
    saver = await place.create();
    const add = async (
      name: string,
      parent: RunnableConfig,
      metadata: Record<string, unknown>,
    ): Promise<void> => {
      configs[name] = await put(saver, parent, checkpointOf({ name }), metadata);
    };
    await add("a1", threadConfig("a"), {
      step: 1,
      user: { name: "ada", roles: ["x"] },
      flag: true,
      none: null,
    });
    await add("a2", configs["a1"] as RunnableConfig, {
      step: 2,
      user: { name: "bob" },
      flag: false,
    });
    await add("n1", threadConfig("a", "ns"), { step: 1, flag: true });
    await add("a3", configs["a2"] as RunnableConfig, { step: 3, note: "100%", flag: true });
    await add("a2b", configs["a1"] as RunnableConfig, { step: 2, source: "fork" });
    await add("b1", threadConfig("b"), { step: 1, note: "1" });
  });
  afterAll(async () => {
    await saver.end();
    await place.destroy();
  });

  const names = async (
    config: RunnableConfig,
    options?: Parameters<typeof listed>[2],
  ): Promise<unknown[]> =>
    (await listed(saver, config, options)).map(
      ({ checkpoint }) => checkpoint.channel_values["name"],
    );

  test("newest first, with parents", async () => {
    expect(await names(threadConfig("a"))).toEqual(["a2b", "a3", "a2", "a1"]);
    const parents = (await listed(saver, threadConfig("a"))).map(
      ({ parentConfig }) => parentConfig?.configurable?.["checkpoint_id"] as unknown,
    );
    const id = (name: string): unknown => configs[name]?.configurable?.["checkpoint_id"];
    expect(parents).toEqual([id("a1"), id("a2"), id("a1"), undefined]);
  });

  test("of one namespace, of all, of all threads", async () => {
    expect(await names(threadConfig("a", "ns"))).toEqual(["n1"]);
    expect((await names({ configurable: { thread_id: "a" } })).toSorted()).toEqual([
      "a1",
      "a2",
      "a2b",
      "a3",
      "n1",
    ]);
    expect((await names({ configurable: { checkpoint_ns: "" } })).toSorted()).toEqual([
      "a1",
      "a2",
      "a2b",
      "a3",
      "b1",
    ]);
    expect((await names({})).toSorted()).toEqual(["a1", "a2", "a2b", "a3", "b1", "n1"]);
  });

  test("of one checkpoint", async () => {
    expect(await names(configs["a2"] as RunnableConfig)).toEqual(["a2"]);
  });

  test.each([
    [{ step: 2 }, ["a2b", "a2"]],
    [{ step: 2, source: "fork" }, ["a2b"]],
    [{ step: 2, source: "loop" }, ["a2"]],
    [{ flag: true }, ["a3", "a1"]],
    [{ flag: false }, ["a2"]],
    [{ note: "100%" }, ["a3"]],
    [{ note: "%" }, []],
    [{ step: "2" }, []],
    [{ missing: 1 }, []],
    [{}, ["a2b", "a3", "a2", "a1"]],
  ])("filter %j", async (filter, expected) => {
    expect(await names(threadConfig("a"), { filter })).toEqual(expected);
  });

  test("a filter on an object compares it deeply", async () => {
    expect(
      await names(threadConfig("a"), { filter: { user: { name: "ada", roles: ["x"] } } }),
    ).toEqual(["a1"]);
    expect(await names(threadConfig("a"), { filter: { user: { name: "eve" } } })).toEqual([]);
  });

  test("before and limit, together with a filter", async () => {
    const before = configs["a3"] as RunnableConfig;
    expect(await names(threadConfig("a"), { before })).toEqual(["a2", "a1"]);
    expect(await names(threadConfig("a"), { limit: 3 })).toEqual(["a2b", "a3", "a2"]);
    expect(await names(threadConfig("a"), { before, limit: 1 })).toEqual(["a2"]);
    expect(await names(threadConfig("a"), { before, filter: { flag: true } })).toEqual(["a1"]);
    expect(await names(threadConfig("a"), { filter: { flag: true }, limit: 1 })).toEqual(["a3"]);
    expect(await names(threadConfig("a"), { limit: 100 })).toHaveLength(4);
  });

  test("a listing that is abandoned halfway holds nothing up", async () => {
    for (let i = 0; i < 20; i += 1) {
      for await (const tuple of saver.list(threadConfig("a"))) {
        expect(tuple.checkpoint.channel_values["name"]).toBe("a2b");
        break;
      }
    }
    await put(saver, threadConfig("after"), checkpointOf({ name: "after" }));
    expect(await names(threadConfig("after"))).toEqual(["after"]);
    await saver.deleteThread("after");
  });

  test("a long history, read while it grows", async () => {
    let config = threadConfig("long");
    for (let n = 0; n < 300; n += 1) {
      config = await put(
        saver,
        config,
        checkpointOf({ name: n, list: Array.from({ length: n % 40 }, (_, i) => i) }, n + 1),
      );
    }
    let expected = 299;
    for await (const { checkpoint } of saver.list(threadConfig("long"))) {
      expect(checkpoint.channel_values["name"]).toBe(expected);
      expect(checkpoint.channel_values["list"]).toHaveLength(expected % 40);
      if (expected === 250) await put(saver, config, checkpointOf({ name: 300, list: [] }, 301));
      expected -= 1;
    }
    expect(expected).toBe(-1);
    await saver.deleteThread("long");
  });
}
