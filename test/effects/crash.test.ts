/** Processes killed with SIGKILL while an effect is under way, and what the next process does about it. */

import { describe, expect, it } from "vitest";
import { startChild, type Message } from "../support/child.ts";
import { PLACES } from "../support/places.ts";
import { openChargeServer, type ChargeServer } from "./support/server.ts";
import { questionsOf } from "./support/world.ts";
import type { Task } from "../support/children/effect-run.ts";

const never = new Promise<void>(() => undefined);

async function run(place: string, world: ChargeServer, task: Task): Promise<Message> {
  const child = startChild("effect-run.ts", place, "t", world.url, task);
  const { stderr } = await child.ended;
  return child.messages.at(-1) ?? { type: "silent", stderr };
}

/** Runs until the world is asked to charge, and kills the process at that very moment. */
async function killed(
  place: string,
  world: ChargeServer,
  task: Task,
  when: "before" | "after",
): Promise<void> {
  const child = startChild("effect-run.ts", place, "t", world.url, task);
  world[when] = () => {
    void child.kill();
    return never;
  };
  const { signal, stderr } = await child.ended;
  expect(signal, `${stderr} ${JSON.stringify(child.messages)}`).toBe("SIGKILL");
  world[when] = () => undefined;
}

describe.each(PLACES)("an effect whose process is killed, on %s", (_, newPlace) => {
  const setUp = async () => ({ place: (await newPlace()).url, world: await openChargeServer() });

  it.each(["node", "subgraph"] as const)(
    "is looked up once it was performed, and never repeated (without a key, in a %s)",
    async (where) => {
      const { place, world } = await setUp();
      const task: Task = { unknown: "reconcile", where };
      await killed(place, world, task, "after");
      expect(await run(place, world, task)).toMatchObject({ result: { log: ["charge 1"] } });
      expect(world.charges).toHaveLength(1);
    },
  );

  it("is performed under the same key once looking it up found nothing", async () => {
    const { place, world } = await setUp();
    const task: Task = { unknown: "reconcile", key: "k" };
    await killed(place, world, task, "before");
    expect(world.charges).toEqual([]);
    expect(await run(place, world, task)).toMatchObject({ result: { log: ["charge 1"] } });
    expect(await run(place, world, task)).toMatchObject({ result: { log: ["charge 1"] } });
    expect(world.charges).toHaveLength(1);
  });

  it("is asked about where looking it up cannot tell", async () => {
    const { place, world } = await setUp();
    const task: Task = { unknown: "reconcile", key: "k" };
    world.find = () => ({ unknown: true });
    await killed(place, world, task, "after");
    const { result } = await run(place, world, task);
    expect(questionsOf(result)).toMatchObject([
      { value: { kind: "effect-unknown", effect: "charge" } },
    ]);
    expect(world.charges).toHaveLength(1);
  });

  it("is repeated under the same key where its author said so", async () => {
    const { place, world } = await setUp();
    const task: Task = { unknown: "repeat" };
    await killed(place, world, task, "after");
    expect(await run(place, world, task)).toMatchObject({ result: { log: ["charge 2"] } });
    expect(world.charges).toHaveLength(2);
    expect(new Set(world.charges).size).toBe(1);
  });

  it("waits for a person where its author said so, through any number of wakes", async () => {
    const { place, world } = await setUp();
    const task: Task = { unknown: "ask" };
    await killed(place, world, task, "after");
    const [question] = questionsOf((await run(place, world, task))["result"]);
    expect(questionsOf((await run(place, world, task))["result"])).toEqual([question]);
    const resume = { [question?.id ?? ""]: { outcome: "done", result: "found" } };
    expect(await run(place, world, { ...task, resume })).toMatchObject({
      result: { log: ["found"] },
    });
    expect(world.charges).toHaveLength(1);
  });

  it("is still itself under durability async, and without a key", async () => {
    const { place, world } = await setUp();
    const task: Task = { unknown: "reconcile", durability: "async" };
    await killed(place, world, task, "after");
    expect(await run(place, world, task)).toMatchObject({ result: { log: ["charge 1"] } });
    expect(world.charges).toHaveLength(1);
  });

  it.each(["unsaved subgraph", "entrypoint", "task"] as const)(
    "is refused without a key in an %s, whose task is another one after a crash",
    async (where) => {
      const { place, world } = await setUp();
      expect(await run(place, world, { unknown: "ask", where })).toMatchObject({
        type: "failed",
        error: { code: "NOT_DURABLE", message: expect.stringContaining("Give it a key") as string },
      });
      expect(world.charges).toEqual([]);
    },
  );

  it("is once with a key in a functional-API body, too", async () => {
    const { place, world } = await setUp();
    const task: Task = { unknown: "reconcile", where: "entrypoint", key: "k" };
    await killed(place, world, task, "after");
    expect(await run(place, world, task)).toMatchObject({ type: "result" });
    expect(world.charges).toHaveLength(1);
  });
});
