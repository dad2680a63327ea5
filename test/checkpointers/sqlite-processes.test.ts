import { readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import { SqliteSaver } from "../../checkpointers/sqlite/index.ts";
import { startChild } from "../support/child.ts";
import { dangling, unreachable } from "../support/fsck.ts";
import { newFile, placeAt } from "../support/places.ts";
import { readTables } from "../support/raw-tables.ts";
import { chain, onThread, putOne, syncRun, wholeLog } from "../support/small-graphs.ts";
import { strands, strandsLog } from "../support/strands.ts";

function integrity(file: string): unknown {
  const db = new DatabaseSync(file);
  try {
    return db.prepare("PRAGMA integrity_check").get()?.["integrity_check"];
  } finally {
    db.close();
  }
}

describe("several processes on one file", () => {
  it("write different threads at the same time", async () => {
    const file = newFile();
    const children = Array.from({ length: 4 }, (_, i) =>
      startChild("chain-runs.ts", `sqlite:${file}`, [`t${i}-a`, `t${i}-b`, `t${i}-c`], "10"),
    );
    await Promise.all(children.map((child) => child.next("ready")));
    for (const child of children) child.send({ type: "go" });
    await Promise.all(children.map((child) => child.ended));
    for (const child of children) {
      expect(child.messages.at(-1)).toEqual({
        type: "done",
        logs: [wholeLog(10), wholeLog(10), wholeLog(10)],
      });
    }
    expect(integrity(file)).toBe("ok");
    const saver = placeAt(`sqlite:${file}`).open();
    expect((await saver.stats()).checkpoints).toBe(4 * 3 * 12);
    expect(dangling(await readTables(`sqlite:${file}`))).toEqual([]);
  });

  it("write the same thread at the same time, each its own branch", async () => {
    const file = newFile();
    const saver = placeAt(`sqlite:${file}`).open();
    await chain(saver, 2).invoke({ log: ["x".repeat(1_000)] }, syncRun("t"));
    const children = Array.from({ length: 4 }, () =>
      startChild("chain-runs.ts", `sqlite:${file}`, ["t", "t"], "8"),
    );
    await Promise.all(children.map((child) => child.next("ready")));
    for (const child of children) child.send({ type: "go" });
    await Promise.all(children.map((child) => child.ended));
    for (const child of children) expect(child.messages.at(-1)?.type).toBe("done");
    expect(integrity(file)).toBe("ok");
    const tables = await readTables(`sqlite:${file}`);
    expect(dangling(tables)).toEqual([]);
    expect(unreachable(tables)).toEqual([]);
    // Every state that was ever there is one of a chain's prefix on one that was there before.
    const history = await Array.fromAsync(saver.list(onThread("t")));
    expect(history).toHaveLength(4 + 8 * 10);
    const logs = new Map(
      history.map(({ checkpoint }) => [
        checkpoint.id,
        checkpoint.channel_values["log"] as string[],
      ]),
    );
    for (const { checkpoint, parentConfig } of history) {
      const parent = logs.get(parentConfig?.configurable?.["checkpoint_id"] as string) ?? [];
      const log = logs.get(checkpoint.id) ?? [];
      expect(log.slice(0, parent.length)).toEqual(parent);
      expect(log.length - parent.length).toBeLessThanOrEqual(1);
    }
  });
});

describe("a writer that is killed", () => {
  /** The highest step that the notes name, and how often each node began. */
  function read(notes: string): { last: number; names: string[] } {
    const names = readFileSync(notes, { encoding: "utf8", flag: "a+" }).split("\n").slice(0, -1);
    return { last: Math.max(0, ...names.map((name) => Number(name.slice(1)))), names };
  }

  it(
    "at any instant loses nothing that was finished, and resumes by thread id",
    { timeout: 180_000 },
    async () => {
      let random = 20_260_801;
      const draw = (limit: number): number => {
        random = (random * 48_271) % 2_147_483_647;
        return random % limit;
      };
      const length = 60;
      const file = newFile();
      const notes = `${file}.notes`;
      /** Nodes whose results are on disk, beside a checkpoint that has not taken them yet. */
      let finished: string[] = [];
      let siblings = 0;
      for (let kills = 0; ;) {
        const before = read(notes);
        const child = startChild("fsynced-run.ts", file, "t", notes, String(length));
        const isKilled = kills < 10 && before.last < length - 6;
        if (isKilled) {
          // After so many nodes began, and then so many turns of our event loop.
          for (let nodes = draw(15); nodes >= 0; nodes -= 1) await child.next("began");
          for (let turns = draw(30); turns > 0; turns -= 1)
            await new Promise((resolve) => void setImmediate(resolve));
          await child.kill();
          kills += 1;
        } else {
          expect(await child.ended, "the last run").toMatchObject({ code: 0 });
        }
        const after = read(notes);
        // A node begins only when all nodes of the step before are safe on disk.
        const begun = after.names.slice(before.names.length);
        const first = Math.min(...begun.map((name) => Number(name.slice(1))));
        expect(first).toBeGreaterThanOrEqual(before.last);
        // And none whose result is there begins again.
        for (const name of finished) expect(begun).not.toContain(name);
        siblings += finished.length;
        expect(integrity(file)).toBe("ok");
        const saver = SqliteSaver.fromConnString(file);
        const { next } = await strands(saver, length).getState(onThread("t"));
        const tuple = await saver.getTuple(onThread("t"));
        finished = (tuple?.pendingWrites ?? [])
          .filter(([, channel]) => channel === "log")
          .flatMap(([, , value]) => value as string[]);
        await saver.end();
        // Without the results beside it, which `getState` would add.
        const log = (tuple?.checkpoint.channel_values["log"] ?? []) as string[];
        const steps = log.length / 3;
        // The last superstep that was completed: the one before the last that began, or that one.
        expect(log).toEqual(strandsLog(steps));
        expect([after.last - 1, after.last]).toContain(steps);
        expect(dangling(await readTables(`sqlite:${file}`))).toEqual([]);
        if (isKilled) continue;
        expect(next).toEqual([]);
        expect(log).toEqual(strandsLog(length));
        expect(kills).toBeGreaterThan(3);
        console.log(
          `${kills} kills; ${siblings} results were found beside checkpoints that lacked them`,
        );
        return;
      }
    },
  );
});

describe("a lock that another process holds", () => {
  it("is waited for without freezing this process, and then given up", async () => {
    const file = newFile();
    const saver = placeAt(`sqlite:${file}`).open({ lockTimeout: 400 });
    await putOne(saver, "t", { value: "before" });
    const before = await readTables(`sqlite:${file}`);
    const holder = startChild("hold-lock.ts", file);
    await holder.next("locked");

    let ticks = 0;
    let longest = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      ticks += 1;
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 5);
    onTestFinished(() => clearInterval(timer));
    const start = performance.now();
    await expect(putOne(saver, "t", { value: "after" })).rejects.toMatchObject({
      code: "DATABASE_UNAVAILABLE",
      message: expect.stringContaining("locked for 400 ms") as string,
    });
    const waited = performance.now() - start;
    expect(waited).toBeGreaterThan(390);
    expect(waited).toBeLessThan(1_500);
    expect(ticks).toBeGreaterThan(20);
    expect(longest).toBeLessThan(200);
    expect(await readTables(`sqlite:${file}`)).toEqual(before);
    // Readers don't wait for writers.
    expect(await saver.getTuple(onThread("t"))).toBeDefined();

    holder.send({ type: "let go" });
    await holder.ended;
    await putOne(saver, "t", { value: "after" });
    expect((await saver.getTuple(onThread("t")))?.checkpoint.channel_values).toEqual({
      value: "after",
    });
  });

  it("costs no more than the wait where it is let go in time", async () => {
    const file = newFile();
    const saver = placeAt(`sqlite:${file}`).open();
    await saver.setup();
    const holder = startChild("hold-lock.ts", file);
    await holder.next("locked");
    const run = chain(saver, 3).invoke({ log: [] }, syncRun("t"));
    holder.send({ type: "let go" });
    expect((await run).log).toEqual(wholeLog(3));
  });

  it("is reported within the set time to all who wait, however many", async () => {
    const file = newFile();
    const saver = placeAt(`sqlite:${file}`).open({ lockTimeout: 300 });
    await saver.setup();
    const db = new DatabaseSync(file);
    db.exec("BEGIN IMMEDIATE");
    const start = performance.now();
    const puts = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) => putOne(saver, `t${i}`)),
    );
    const waited = performance.now() - start;
    db.close();
    for (const put of puts) expect(put).toMatchObject({ reason: { code: "DATABASE_UNAVAILABLE" } });
    expect(waited).toBeLessThan(1_500);
  });
});

describe("a transaction that the user has open on the saver's connection", () => {
  it("is waited for, never joined: its rollback takes nothing of ours with it", async () => {
    const db = new DatabaseSync(newFile());
    db.exec("CREATE TABLE notes (text TEXT)");
    const saver = new SqliteSaver(db);
    onTestFinished(() => saver.end());
    await saver.setup();

    db.exec("BEGIN");
    db.prepare("INSERT INTO notes VALUES (?)").run("undone");
    let isStored = false;
    const run = chain(saver, 3)
      .invoke({ log: [] }, syncRun("t"))
      .then(() => (isStored = true));
    // Long enough for a saver that doesn't wait.
    for (let turn = 0; turn < 50; turn += 1)
      await new Promise((resolve) => void setImmediate(resolve));
    expect(isStored).toBe(false);
    expect(db.prepare("SELECT count(*) AS n FROM holdfast_checkpoints").get()).toEqual({ n: 0 });
    db.exec("ROLLBACK");
    await run;
    expect(db.prepare("SELECT count(*) AS n FROM notes").get()).toEqual({ n: 0 });
    expect((await chain(saver, 3).getState(onThread("t"))).values).toEqual({ log: wholeLog(3) });
  });

  it("may begin between any two of a run's steps", async () => {
    const db = new DatabaseSync(newFile());
    db.exec("CREATE TABLE notes (step INTEGER)");
    const saver = new SqliteSaver(db);
    onTestFinished(() => saver.end());
    const graph = chain(saver, 8, async (step) => {
      db.exec("BEGIN");
      db.prepare("INSERT INTO notes VALUES (?)").run(step);
      await new Promise((resolve) => void setImmediate(resolve));
      db.exec(step % 2 === 0 ? "COMMIT" : "ROLLBACK");
    });
    expect((await graph.invoke({ log: [] }, syncRun("t"))).log).toEqual(wholeLog(8));
    expect(db.prepare("SELECT step FROM notes").all()).toEqual(
      [2, 4, 6, 8].map((step) => ({ step })),
    );
    expect(await Array.fromAsync(saver.list(onThread("t")))).toHaveLength(10);
  });

  it("that stays open is reported, and nothing is written", async () => {
    const db = new DatabaseSync(newFile());
    const saver = new SqliteSaver(db, undefined, { lockTimeout: 100 });
    onTestFinished(() => saver.end());
    await saver.setup();
    db.exec("BEGIN");
    await expect(putOne(saver, "t")).rejects.toMatchObject({
      code: "DATABASE_UNAVAILABLE",
      message: expect.stringContaining("open transaction") as string,
    });
    db.exec("COMMIT");
    expect(await saver.getTuple(onThread("t"))).toBeUndefined();
  });
});
