/** What a saver knows of attempts without asking: nothing that another process could have changed. */

import { describe, expect, it, onTestFinished } from "vitest";
import { Seen } from "../../../checkpointers/steps/seen.ts";
import { SqliteSaver } from "../../../checkpointers/sqlite/index.ts";
import { currentNode } from "../../../src/context.ts";
import type { AttemptsRecord, TaskAddress } from "../../../src/step-store.ts";
import { faultySqlite } from "../../support/faulty-sqlite.ts";
import { newFile, placeAt, PLACES } from "../../support/places.ts";
import { chain, onThread, syncRun } from "../../support/small-graphs.ts";

const checkpoint = (id: string, parent?: string, namespace = "") => ({
  threadId: "t",
  namespace,
  id,
  parent,
  source: "loop",
  createdAt: 1,
});

const task = (checkpointId: string, namespace = ""): TaskAddress => ({
  threadId: "t",
  namespace,
  checkpointId,
  taskId: "k",
});

const failedOnce: AttemptsRecord = { failed: 1, startedAt: 1 };

describe("a checkpoint is fresh", () => {
  it("from its put to the next read of its namespace", () => {
    const seen = new Seen();
    expect(seen.isUntried(task("c"))).toBe(false);
    seen.put(checkpoint("c"));
    seen.put(checkpoint("d", undefined, "sub:1"));
    expect(seen.isUntried(task("c"))).toBe(true);
    seen.read("t", "sub:1");
    expect(seen.isUntried(task("c"))).toBe(true);
    expect(seen.isUntried(task("d", "sub:1"))).toBe(false);
    seen.read("t", "");
    expect(seen.isUntried(task("c"))).toBe(false);
  });

  it("but not its tasks with attempts of ours, recorded before its put or after", () => {
    const seen = new Seen();
    seen.put(checkpoint("c"));
    seen.tried(task("c"));
    expect(seen.isUntried(task("c"))).toBe(false);
    expect(seen.isUntried({ ...task("c"), taskId: "other" })).toBe(true);
    seen.tried(task("d"));
    seen.put(checkpoint("d", "c"));
    expect(seen.isUntried(task("d"))).toBe(false);
  });

  it("but not when it is put again on itself", () => {
    const seen = new Seen();
    seen.put(checkpoint("c", "c"));
    expect(seen.isUntried(task("c"))).toBe(false);
  });

  it("and is forgotten, not kept for ever", () => {
    const seen = new Seen();
    for (let i = 0; i < 20; i += 1) seen.put(checkpoint(`c${i}`, `c${i - 1}`));
    expect(seen.isUntried(task("c0"))).toBe(false);
    expect(seen.isUntried(task("c19"))).toBe(true);
    for (let i = 0; i < 5_000; i += 1) seen.put({ ...checkpoint("c"), threadId: `t${i}` });
    expect(seen.isUntried(task("c19"))).toBe(false);
  });
});

it("asks the database nothing on the happy path, and writes nothing", async () => {
  const db = faultySqlite(newFile());
  const saver = new SqliteSaver(db);
  onTestFinished(() => saver.end());
  const graph = chain(saver, 5, async () => {
    const node = currentNode();
    expect(await saver.steps.attempts.read(node?.task as TaskAddress)).toBeUndefined();
  });
  const statements: string[] = [];
  db.onRead = (sql) => void statements.push(sql);
  db.onWrite = (sql) => void statements.push(sql);
  await graph.invoke({ log: [] }, syncRun("t"));
  expect(statements.filter((sql) => sql.includes("attempts"))).toEqual([]);
});

describe.each(PLACES)("a thread that processes take from each other, on %s", (_, newPlace) => {
  it("tells each what the others recorded", async () => {
    const place = await newPlace();
    const savers = [place.open(), place.open()];
    // Each in turn resumes, finds what was counted so far, counts one more and fails.
    const found: (number | undefined)[] = [];
    for (let turn = 0; turn < 6; turn += 1) {
      const { steps } = savers[turn % 2]!;
      const graph = chain(savers[turn % 2]!, 2, async (step) => {
        if (step === 1) return;
        const { task } = currentNode()!;
        const failed = (await steps.attempts.read(task))?.failed;
        found.push(failed);
        await steps.attempts.write(task, { ...failedOnce, failed: (failed ?? 0) + 1 });
        throw new Error("fails");
      });
      await expect(graph.invoke(turn === 0 ? { log: [] } : null, syncRun("t"))).rejects.toThrow(
        "fails",
      );
    }
    expect(found).toEqual([undefined, 1, 2, 3, 4, 5]);
  });

  it("tells who stopped before a task what another one recorded at it since", async () => {
    const place = await newPlace();
    const found: (number | undefined)[] = [];
    const [mine, other] = [place.open(), place.open()].map((saver) =>
      chain(saver, 2, async (step) => {
        if (step === 1) return;
        const { task } = currentNode()!;
        const failed = (await saver.steps.attempts.read(task))?.failed;
        found.push(failed);
        await saver.steps.attempts.write(task, { ...failedOnce, failed: (failed ?? 0) + 1 });
        throw new Error("fails");
      }),
    );
    await mine?.invoke({ log: [] }, { ...syncRun("t"), interruptBefore: ["n2"] });
    await expect(other?.invoke(null, syncRun("t"))).rejects.toThrow("fails");
    await expect(mine?.invoke(null, syncRun("t"))).rejects.toThrow("fails");
    expect(found).toEqual([undefined, 1]);
  });
});

it("keeps count of a node that LangGraph runs again by itself, under async durability, too", async () => {
  for (const durability of ["sync", "async"] as const) {
    const saver = placeAt(`sqlite:${newFile()}`).open();
    const found: (number | undefined)[] = [];
    const graph = chain(saver, 2, async (step) => {
      if (step === 1) return;
      const { task } = currentNode()!;
      for (let again = 0; again < 3; again += 1) {
        const failed = (await saver.steps.attempts.read(task))?.failed;
        found.push(failed);
        await saver.steps.attempts.write(task, { ...failedOnce, failed: (failed ?? 0) + 1 });
      }
    });
    await graph.invoke({ log: [] }, { ...onThread("t"), durability });
    expect(found).toEqual([undefined, 1, 2]);
  }
});
