/** Pending writes: idempotent, in order, special channels where LangGraph expects them. */

import { ERROR, INTERRUPT, RESUME, SCHEDULED, TASKS } from "@langchain/langgraph-checkpoint";
import { describe, expect, test } from "vitest";
import type { HoldfastSaver } from "../../../checkpointers/saver.ts";
import {
  checkpointOf,
  get,
  placeForEach,
  put,
  threadConfig,
  type NewPlace,
  type Place,
} from "./place.ts";

const NULL_TASK_ID = "00000000-0000-0000-0000-000000000000";

type Config = Parameters<HoldfastSaver["putWrites"]>[0];

/** Runs the steps on a checkpoint, and gives its writes as two savers see them. */
async function writesAfter(
  place: Place,
  steps: (saver: HoldfastSaver, config: Config) => Promise<void>,
): Promise<unknown[][]> {
  let saver = await place.create();
  const config = await put(saver, threadConfig("t"), checkpointOf({}));
  await steps(saver, config);
  const found: unknown[][] = [(await get(saver, config)).pendingWrites ?? []];
  saver = await place.reopen(saver);
  found.push((await get(saver, config)).pendingWrites ?? []);
  await saver.end();
  return found;
}

export function pendingWriteTests(newPlace: NewPlace): void {
  const place = placeForEach(newPlace);

  /** Expects these writes of both savers. */
  async function expectWrites(
    expected: unknown[],
    steps: (saver: HoldfastSaver, config: Config) => Promise<void>,
  ): Promise<void> {
    for (const writes of await writesAfter(place.get(), steps)) expect(writes).toEqual(expected);
  }

  test("a repeated putWrites changes nothing", async () => {
    await expectWrites(
      [
        ["task", "a", 1],
        ["task", "b", 2],
      ],
      async (saver, config) => {
        for (let i = 0; i < 3; i += 1)
          await saver.putWrites(
            config,
            [
              ["a", 1],
              ["b", 2],
            ],
            "task",
          );
      },
    );
  });

  test("a task's result stays, whatever is written under its name later", async () => {
    await expectWrites(
      [
        ["task", "a", "first"],
        ["task", "b", "first"],
      ],
      async (saver, config) => {
        await saver.putWrites(
          config,
          [
            ["a", "first"],
            ["b", "first"],
          ],
          "task",
        );
        await saver.putWrites(config, [["a", "second"]], "task");
      },
    );
  });

  test("writes come back by task, then in the order in which the task wrote", async () => {
    const many = Array.from({ length: 12 }, (_, i): [string, unknown] => [`channel ${11 - i}`, i]);
    const expected = [
      ...many.map(([channel, value]) => ["task-a", channel, value]),
      ["task-b", "c", 1],
      ["task-b", "c", 2],
      ["task-c", "x", null],
    ];
    await expectWrites(expected, async (saver, config) => {
      await saver.putWrites(config, [["x", null]], "task-c");
      await saver.putWrites(
        config,
        [
          ["c", 1],
          ["c", 2],
        ],
        "task-b",
      );
      await saver.putWrites(config, many, "task-a");
    });
  });

  test("special channels replace what was there, and come first", async () => {
    const expected = [
      ["task", RESUME, ["r2"]],
      ["task", INTERRUPT, { id: "i2", value: 2 }],
      ["task", SCHEDULED, "s2"],
      ["task", ERROR, { message: "e2" }],
      ["task", "a", 1],
    ];
    await expectWrites(expected, async (saver, config) => {
      await saver.putWrites(config, [[ERROR, { message: "e1" }]], "task");
      await saver.putWrites(
        config,
        [
          ["a", 1],
          [INTERRUPT, { id: "i1", value: 1 }],
          [RESUME, ["r1"]],
        ],
        "task",
      );
      await saver.putWrites(config, [[SCHEDULED, "s1"]], "task");
      await saver.putWrites(config, [[RESUME, ["r2"]]], "task");
      await saver.putWrites(config, [[ERROR, { message: "e2" }]], "task");
      await saver.putWrites(
        config,
        [
          [INTERRUPT, { id: "i2", value: 2 }],
          [SCHEDULED, "s2"],
        ],
        "task",
      );
    });
  });

  test("of a special channel twice in one call, the last counts", async () => {
    await expectWrites(
      [
        ["task", RESUME, ["a", "b"]],
        ["task", "c", 1],
      ],
      async (saver, config) => {
        await saver.putWrites(
          config,
          [
            [RESUME, ["a"]],
            [RESUME, ["a", "b"]],
            ["c", 1],
          ],
          "task",
        );
      },
    );
  });

  describe("of a special channel, the last call counts, whoever read the checkpoint in between", () => {
    test.each([
      ["by id, then by id", true, true],
      ["by id, then as the head", true, false],
      ["as the head, then by id", false, true],
      ["as the head, then as the head", false, false],
    ])("%s", async (_, secondById, thirdById) => {
      const expected = [
        [NULL_TASK_ID, RESUME, "r3"],
        [NULL_TASK_ID, "update", 3],
        ["task", INTERRUPT, "third"],
      ];
      await expectWrites(expected, async (saver, config) => {
        // LangGraph hands one metadata object along with all calls of a loop.
        const read = async (byId: boolean): Promise<Config> => {
          const loop: Config = { ...config, metadata: {} };
          const { checkpoint_id: _id, ...head } = config.configurable ?? {};
          await saver.getTuple(byId ? loop : { ...loop, configurable: head });
          return loop;
        };
        await saver.putWrites(config, [[INTERRUPT, "first"]], "task");
        await saver.putWrites(
          config,
          [
            [RESUME, "r1"],
            ["update", 1],
          ],
          NULL_TASK_ID,
        );
        const second = await read(secondById);
        await saver.putWrites(second, [[INTERRUPT, "second"]], "task");
        await saver.putWrites(
          second,
          [
            [RESUME, "r2"],
            ["update", 2],
          ],
          NULL_TASK_ID,
        );
        const third = await read(thirdById);
        await saver.putWrites(third, [[INTERRUPT, "third"]], "task");
        await saver.putWrites(
          third,
          [
            [RESUME, "r3"],
            ["update", 3],
          ],
          NULL_TASK_ID,
        );
      });
    });
  });

  test("writes of the null task replace earlier ones", async () => {
    const expected = [
      [NULL_TASK_ID, RESUME, "r2"],
      [NULL_TASK_ID, "a", 2],
      [NULL_TASK_ID, "b", 1],
      ["task", "a", 1],
    ];
    await expectWrites(expected, async (saver, config) => {
      await saver.putWrites(config, [["a", 1]], "task");
      await saver.putWrites(
        config,
        [
          ["a", 1],
          ["b", 1],
          [RESUME, "r1"],
        ],
        NULL_TASK_ID,
      );
      await saver.putWrites(config, [["a", 2]], NULL_TASK_ID);
      await saver.putWrites(config, [[RESUME, "r2"]], NULL_TASK_ID);
    });
  });

  test("a failed task's channel writes are not kept beside its error", async () => {
    const expected = [
      ["failed", ERROR, { message: "edge" }],
      ["failed", "__error_source_node__", "node"],
      ["fine", "a", 1],
    ];
    await expectWrites(expected, async (saver, config) => {
      await saver.putWrites(config, [["a", 1]], "fine");
      const writes: [string, unknown][] = [
        ["a", 1],
        [TASKS, "b"],
        [ERROR, { message: "edge" }],
        ["__error_source_node__", "node"],
      ];
      await saver.putWrites(config, writes, "failed");
    });
  });

  test("nothing written is nothing", async () => {
    await expectWrites([], (saver, config) => saver.putWrites(config, [], "task"));
  });

  test("writes may come before their checkpoint", async () => {
    let saver = await place.get().create();
    const checkpoint = checkpointOf({ a: 1 });
    const config = {
      configurable: { thread_id: "t", checkpoint_ns: "", checkpoint_id: checkpoint.id },
    };
    const writes = saver.putWrites(config, [["a", { deep: [1] }]], "task");
    expect(await saver.getTuple(config)).toBeUndefined();
    await writes;
    await put(saver, threadConfig("t"), checkpoint);
    for (let i = 0; i < 2; i += 1) {
      expect((await get(saver, config)).pendingWrites).toEqual([["task", "a", { deep: [1] }]]);
      saver = await place.get().reopen(saver);
    }
    await saver.end();
  });

  test("what was called is read, before it is awaited", async () => {
    const saver = await place.get().create();
    const parent = checkpointOf({ a: 1 });
    const child = checkpointOf({ a: 2 }, 2);
    const at = { configurable: { thread_id: "t", checkpoint_ns: "", checkpoint_id: parent.id } };
    const work = [
      put(saver, threadConfig("t"), parent),
      saver.putWrites(at, [["a", 2]], "task"),
      put(saver, at, child),
    ];
    const tuple = await get(saver, threadConfig("t"));
    expect(tuple.checkpoint.id).toBe(child.id);
    expect((await get(saver, at)).pendingWrites).toEqual([["task", "a", 2]]);
    await Promise.all(work);
    await saver.end();
  });

  test("large and repeated values", async () => {
    const big = "x".repeat(50_000);
    const expected = [
      ["t1", "files", { a: big, b: [big] }],
      ["t2", "files", { a: `${big}!`, b: [big] }],
    ];
    await expectWrites(expected, async (saver, config) => {
      await saver.putWrites(config, [["files", { a: big, b: [big] }]], "t1");
      await saver.putWrites(config, [["files", { a: `${big}!`, b: [big] }]], "t2");
    });
  });
}
