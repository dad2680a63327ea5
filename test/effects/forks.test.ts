import { Command } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import type { ForkEffects } from "../../src/effect-store.ts";
import { effect } from "../../src/effects/effect.ts";
import { compensate } from "../../src/effects/saga.ts";
import { fork } from "../../src/history/index.ts";
import { PLACES } from "../support/places.ts";
import { syncRun } from "../support/small-graphs.ts";
import { graphOf, questionsOf, World } from "./support/world.ts";

describe.each(PLACES)("effects in a fork on %s", (_, newPlace) => {
  /** A thread that has charged an order, and is over. */
  const setUp = async () => {
    const place = await newPlace();
    const saver = place.open();
    const world = new World();
    const charge = effect({
      name: "charge",
      run: (order: string, { idempotencyKey }) => world.do(`charge ${order}`, idempotencyKey),
      undo: (order, result) => {
        world.do(`refund ${order} (${result})`);
      },
      onUnknown: "repeat",
    });
    const build = (on: HoldfastSaver) =>
      graphOf(
        on,
        () => charge("before", { key: "before" }),
        () => "between",
        ({ order }) => charge(order, { key: "k" }),
        ({ order }) => charge(`unkeyed ${order}`),
      );
    const graph = build(saver);
    await graph.invoke({ order: "one" }, syncRun("t"));
    const points = [];
    for await (const point of saver.list({ configurable: { thread_id: "t", checkpoint_ns: "" } })) {
      points.push(point.checkpoint.id);
    }
    // Newest first: the state after node 2, from which node 3 ran.
    const checkpointId = points[2] ?? "";
    world.calls.length = 0;
    const branch = async (effects: ForkEffects | undefined, order?: string) => {
      const update = order === undefined ? {} : { update: { order } };
      return fork(graph, "t", { checkpointId, ...update, ...(effects && { effects }) });
    };
    const go = (resume?: Record<string, unknown>) =>
      build(place.open()).invoke(
        resume === undefined ? null : new Command({ resume }),
        syncRun("t"),
      );
    return { graph, world, branch, go, head: points[0] };
  };

  it.each([undefined, "reuse"] as const)(
    "are reused with a key, and performed anew without (%s)",
    async (effects) => {
      const { world, branch, go } = await setUp();
      await branch(effects);
      expect((await go()).log.slice(-2)).toEqual(["charge one done", "charge unkeyed one done"]);
      expect(world.calls).toEqual(["charge unkeyed one"]);
    },
  );

  it("are performed anew in a branch that redoes them, once, under keys of its own", async () => {
    const { graph, world, branch, go, head } = await setUp();
    const before = new Set(world.keys);
    await branch("redo");
    await go();
    expect(world.calls).toEqual(["charge one", "charge unkeyed one"]);
    expect(world.keys.slice(-2).some((key) => before.has(key))).toBe(false);
    await graph.invoke({ order: "one" }, syncRun("t"));
    // The same key in the branch: the branch's own record, and what it never did is its own as well.
    expect(world.calls).toEqual([
      "charge one",
      "charge unkeyed one",
      "charge before",
      "charge unkeyed one",
    ]);
    // The branch that was left still has its record.
    const old = { configurable: { thread_id: "t", checkpoint_ns: "", checkpoint_id: head } };
    await graph.invoke({ order: "one" }, { ...old, durability: "sync" });
    expect(world.calls.slice(4)).toEqual(["charge unkeyed one"]);
  });

  it("are undone first where the fork compensates: only those of the branch that is left", async () => {
    const { world, branch, go } = await setUp();
    const { compensation } = await branch("compensate");
    expect(compensation).toEqual({ undone: ["charge", "charge"], stuck: [] });
    expect(world.calls).toEqual([
      "refund unkeyed one (charge unkeyed one done)",
      "refund one (charge one done)",
    ]);
    await go();
    expect(world.calls.slice(2)).toEqual(["charge one", "charge unkeyed one"]);
    expect(new Set(world.keys.filter((key) => key !== "")).size).toBe(5);
  });

  it("are asked about on a conflict, and reused, redone or compensated as a person says", async () => {
    for (const [answer, log, calls] of [
      ["reuse", "charge one done", []],
      ["redo", "charge two done", ["charge two"]],
      ["compensate", "charge two done", ["refund one (charge one done)", "charge two"]],
    ] as const) {
      const { world, branch, go } = await setUp();
      await branch(undefined, "two");
      const [question] = questionsOf(await go());
      expect(question?.value).toMatchObject({
        kind: "effect-forked",
        effect: "charge",
        key: "k",
        args: { recorded: "one", called: "two" },
      });
      expect(world.calls).toEqual([]);
      const done = await go({ [question?.id ?? ""]: { effects: answer } });
      expect(done.log.at(-2)).toBe(log);
      expect(world.calls.filter((call) => !call.includes("unkeyed"))).toEqual(calls);
    }
  });

  it("are asked about one by one where the fork says so, and only then", async () => {
    const { graph, world, branch, go } = await setUp();
    await branch("ask");
    const [question] = questionsOf(await go());
    expect(question?.value).toMatchObject({
      kind: "effect-forked",
      args: { recorded: "one", called: "one" },
    });
    await go({ [question?.id ?? ""]: { effects: "redo" } });
    expect(world.calls).toEqual(["charge one", "charge unkeyed one"]);
    // What it did itself it is not asked about.
    const again = await graph.invoke({ order: "one" }, syncRun("t"));
    expect(questionsOf(again)).toMatchObject([{ value: { key: "before" } }]);
  });

  it("are compensated in the line of the branch alone", async () => {
    const { graph, world, branch, go } = await setUp();
    await branch("redo");
    await go();
    world.calls.length = 0;
    await compensate(graph, "t");
    expect(world.calls).toEqual([
      "refund unkeyed one (charge unkeyed one done)",
      "refund one (charge one done)",
      "refund before (charge before done)",
    ]);
  });

  it("need a policy that there is", async () => {
    const { branch } = await setUp();
    await expect(branch("forget" as never)).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });
});
