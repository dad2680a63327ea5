/** What becomes of steps when threads are deleted, copied and pruned. */

import { describe, expect, it } from "vitest";
import type { StepStore, TaskAddress } from "../../../src/step-store.ts";
import { PLACES } from "../../support/places.ts";
import { execute } from "../../support/raw-tables.ts";
import { chain, onThread, syncRun } from "../../support/small-graphs.ts";

const task = (threadId: string, checkpointId = "c"): TaskAddress => ({
  threadId,
  namespace: "",
  checkpointId,
  taskId: "k",
});

/** Leaves something of each kind, of the thread and of all. */
async function leave({ attempts, states, status, usage }: StepStore, threadId: string) {
  await attempts.write(task(threadId), { failed: 1, startedAt: 1 });
  for (const kind of ["breakers", "limits", "budgets"] as const) {
    await states.decide(kind, { name: "n", threadId }, () => ({ state: 1, result: 0 }));
    await states.decide(kind, { name: "n" }, () => ({ state: 2, result: 0 }));
  }
  status.note(threadId, { currentStep: "a" });
  usage.add({
    ...{ threadId, runId: "r", node: "n", model: "m", inputTokens: 1, outputTokens: 1 },
    ...{ usd: 1, estimated: false, failed: false, at: 1 },
  });
}

const TABLES = ["attempts", "thread_status", "breakers", "limits", "budgets", "usage"];

async function countRows(place: string): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const table of TABLES) {
    const [row] = await execute(place, (name) => `SELECT count(*) AS n FROM ${name(table)}`);
    counts[table] = Number(row?.["n"]);
  }
  return counts;
}

describe.each(PLACES)("the steps of a thread on %s", (_, newPlace) => {
  it.each(["gone", "nul\0", "x".repeat(10_000)])("go with it: %#", async (threadId) => {
    const place = await newPlace();
    const saver = place.open();
    await chain(saver, 2).invoke({ log: [] }, syncRun(threadId));
    await leave(saver.steps, threadId);
    await leave(saver.steps, "stays");
    await saver.steps.status.flush();
    await saver.steps.usage.totals({ by: "run" });
    const shared = { breakers: 2, limits: 2, budgets: 2 };
    expect(await countRows(place.url)).toEqual({
      ...{ attempts: 2, thread_status: 2, usage: 2 },
      ...{ breakers: 3, limits: 3, budgets: 3 },
    });
    await saver.deleteThread(threadId);
    expect(await countRows(place.url)).toEqual({
      attempts: 1,
      thread_status: 1,
      usage: 1,
      ...shared,
    });
    expect(await saver.steps.attempts.read(task(threadId))).toBeUndefined();
    expect(await saver.steps.status.read(threadId)).toBeUndefined();
    expect(
      (await saver.steps.states.read("limits", { name: "n", threadId })).state,
    ).toBeUndefined();
    expect((await saver.steps.states.read("limits", { name: "n" })).state).toBe(2);
    expect(await saver.steps.attempts.read(task("stays"))).toBeDefined();
  });

  it("go with it where they wait to be written, and where it has no checkpoint", async () => {
    const place = await newPlace();
    const saver = place.open();
    await leave(saver.steps, "t");
    saver.steps.attempts.note(task("t", "d"), { failed: 1, startedAt: 1 });
    await saver.deleteThread("t");
    await saver.steps.status.flush();
    await saver.end();
    expect(await countRows(place.url)).toEqual({
      ...{ attempts: 0, thread_status: 0, usage: 0 },
      ...{ breakers: 1, limits: 1, budgets: 1 },
    });
  });

  it("are not those of its copy", async () => {
    const place = await newPlace();
    const saver = place.open();
    await chain(saver, 2).invoke({ log: [] }, syncRun("t"));
    await leave(saver.steps, "t");
    await saver.steps.status.flush();
    await saver.steps.usage.totals({ by: "run" });
    const before = await countRows(place.url);
    await saver.copyThread("t", "copy");
    expect(await countRows(place.url)).toEqual(before);
    expect(await saver.steps.attempts.read(task("copy"))).toBeUndefined();
    expect(await saver.steps.status.read("copy")).toBeUndefined();
  });

  it("lose the attempts at tasks of checkpoints that are pruned, and no others", async () => {
    const place = await newPlace();
    const saver = place.open();
    await chain(saver, 4).invoke({ log: [] }, syncRun("t"));
    await chain(saver, 1).invoke({ log: [] }, syncRun("other"));
    const history = await Array.fromAsync(saver.list(onThread("t")));
    const ids = history.map(({ checkpoint }) => checkpoint.id);
    for (const id of ids) {
      await saver.steps.attempts.write(task("t", id), { failed: 1, startedAt: 1 });
      await saver.steps.attempts.write(task("other", id), { failed: 1, startedAt: 1 });
    }
    await saver.prune(["t"], { keepLast: 2 });
    const { attempts } = place.open().steps;
    for (const [i, id] of ids.entries()) {
      expect((await attempts.read(task("t", id))) !== undefined).toBe(i < 2);
      expect(await attempts.read(task("other", id))).toBeDefined();
    }
  });
});
