import { expect, onTestFinished, test } from "vitest";
import { fakeWorld } from "../../src/testing/index.ts";
import { startChild, type Child } from "../support/child.ts";
import { createDatabase } from "../support/databases.ts";
import { placeAt } from "../support/places.ts";

/** The nodes that a process began. */
const began = (child: Child): unknown[] =>
  child.messages.filter(({ type }) => type === "began").map(({ node }) => node);

test("a graph that is killed after its second node goes on with its third, in another process", async () => {
  const world = await fakeWorld({ stock: { mug: 3, pot: 1 } });
  onTestFinished(() => world.close());
  // The third node gets no answer: the kill meets it at work, and nothing is mailed by it.
  world.fail({ hang: "before", on: "email" });
  const place = placeAt(await createDatabase());
  const saver = place.open();
  const thread = { configurable: { thread_id: "stock-report" } };

  const first = startChild("three-nodes.ts", place.url, world.url, "stock-report");
  await expect.poll(() => world.requests, { timeout: 30_000 }).toHaveLength(1);
  await first.kill();
  expect(began(first)).toEqual(["fetch", "transform", "report"]);
  const before = await Array.fromAsync(saver.list(thread));

  const second = startChild("three-nodes.ts", place.url, world.url, "stock-report");
  expect(await second.ended).toMatchObject({ code: 0 });
  expect(began(second)).toEqual(["report"]);
  expect(second.messages.at(-1)).toMatchObject({
    lines: ["mug: 3", "pot: 1"],
    mail: "em_1",
  });
  expect(world.performed("email", { text: "mug: 3\npot: 1" })).toHaveLength(1);

  const history = (await Array.fromAsync(saver.list(thread))).toReversed();
  const ids = history.map(({ checkpoint }) => checkpoint.id);
  expect(ids).toEqual(ids.toSorted());
  expect(new Set(ids).size).toBe(ids.length);
  // The input, its start, and one for each node; those of before the kill are there as they were.
  expect(history.map(({ metadata }) => [metadata?.source, metadata?.step])).toEqual([
    ["input", -1],
    ["loop", 0],
    ["loop", 1],
    ["loop", 2],
    ["loop", 3],
  ]);
  const values = history.map(({ checkpoint }) => checkpoint.channel_values);
  expect(values.at(-3)).toMatchObject({ stock: [{ sku: "mug" }, { sku: "pot" }] });
  expect(values.at(-2)).toMatchObject({ lines: ["mug: 3", "pot: 1"] });
  expect(values.at(-1)).toMatchObject({ mail: "em_1" });
  expect(before.map(({ checkpoint }) => checkpoint)).toEqual(
    history
      .slice(0, -1)
      .map(({ checkpoint }) => checkpoint)
      .toReversed(),
  );
});
