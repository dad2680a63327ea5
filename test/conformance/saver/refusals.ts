/** What cannot be kept is refused when it is written, and nothing else suffers. */

import { describe, expect, test } from "vitest";
import { isHoldfastError, UnserializableError } from "../../../src/errors.ts";
import {
  checkpointOf,
  get,
  metadataOf,
  placeForEach,
  put,
  threadConfig,
  versionsOf,
  type NewPlace,
} from "./place.ts";
import { REFUSED } from "./values.ts";

export function refusalTests(newPlace: NewPlace): void {
  const place = placeForEach(newPlace);

  describe.each(REFUSED)("%s", (_, make, path) => {
    test("is refused by put", async () => {
      const saver = await place.get().create();
      const good = await put(saver, threadConfig("t"), checkpointOf({ state: "good" }));
      const refused = put(saver, good, checkpointOf({ other: 1, state: make() }, 2));
      const error: unknown = await refused.catch((reason: unknown) => reason);
      expectRefusal(error, "state", path);
      const { checkpoint } = await get(saver, threadConfig("t"));
      expect(checkpoint.channel_values).toEqual({ state: "good" });
      await saver.end();
    });

    test("is refused by putWrites, at once", async () => {
      const saver = await place.get().create();
      const good = await put(saver, threadConfig("t"), checkpointOf({ state: "good" }));
      let error: unknown;
      try {
        void saver.putWrites(
          good,
          [
            ["fine", 1],
            ["state", make()],
          ],
          "task",
        );
      } catch (thrown) {
        error = thrown;
      }
      expectRefusal(error, "state", path);
      await saver.putWrites(good, [["fine", 2]], "next");
      expect((await get(saver, good)).pendingWrites).toEqual([["next", "fine", 2]]);
      await saver.end();
    });
  });

  test("in metadata", async () => {
    const saver = await place.get().create();
    const refused = saver.put(
      threadConfig("t"),
      checkpointOf({}),
      metadataOf({ user: { f: () => 1 } }),
      {},
    );
    expectRefusal(await refused.catch((reason: unknown) => reason), "metadata", ".user.f");
    expect(await saver.getTuple(threadConfig("t"))).toBeUndefined();
    await saver.end();
  });

  test("the loop whose put failed mints no further version; others do", async () => {
    const saver = await place.get().create();
    const mine = versionsOf(saver);
    const other = versionsOf(saver);
    const bad = put(saver, threadConfig("t"), checkpointOf({ state: () => 1 }, mine()));
    await expect(bad).rejects.toThrow(UnserializableError);
    expect(mine).toThrow(UnserializableError);
    expect(other()).toMatch(/^[0-9a-f]+$/);
    await saver.end();
  });

  test("nothing of what was refused is on disk", async () => {
    const saver = await place.get().create();
    const good = await put(saver, threadConfig("t"), checkpointOf({ state: "good" }));
    const canary = "canary-of-a-refused-write";
    await put(saver, good, checkpointOf({ a: canary, b: () => 1 }, 2)).catch(() => undefined);
    expect(
      () =>
        void saver.putWrites(
          good,
          [
            ["a", canary],
            ["b", () => 1],
          ],
          "task",
        ),
    ).toThrow();
    await saver.end();
    expect((await place.get().rawBytes()).includes(canary)).toBe(false);
  });
}

function expectRefusal(error: unknown, channel: string, path: string): void {
  expect(isHoldfastError(error, "UNSERIALIZABLE"), String(error)).toBe(true);
  const refusal = error as UnserializableError;
  expect(refusal.channel).toBe(channel);
  expect(refusal.path.startsWith(path), `path ${refusal.path} within ${path}`).toBe(true);
  expect(refusal.message).toContain(`${channel}${path}`);
}
