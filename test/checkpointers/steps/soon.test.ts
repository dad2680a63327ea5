/** Notes that travel together: in order, retried, and never in anybody's way. */

import { describe, expect, it, onTestFinished, vi } from "vitest";
import { Soon } from "../../../checkpointers/steps/soon.ts";
import { SqliteSaver } from "../../../checkpointers/sqlite/index.ts";
import { DatabaseUnavailableError } from "../../../src/errors.ts";
import { faultySqlite, sqliteError } from "../../support/faulty-sqlite.ts";
import { newFile } from "../../support/places.ts";
import { chain, syncRun } from "../../support/small-graphs.ts";

const away = new DatabaseUnavailableError("away", { waited: 1 });

/** Stores by hand: each flush waits until the test says what becomes of it. */
function byHand(options: { merge?: (older: string, newer: string) => string } = {}) {
  const flushes: { items: readonly string[]; end: (error?: Error) => void }[] = [];
  const failures: unknown[] = [];
  const soon = new Soon<string>({
    ...options,
    store: (items) =>
      new Promise((resolve, reject) => {
        flushes.push({ items, end: (error) => (error === undefined ? resolve() : reject(error)) });
      }),
    onFailure: (error) => failures.push(error),
  });
  const flush = (at: number) =>
    vi.waitFor(() => flushes[at] ?? expect.fail("no flush yet"), { timeout: 5_000 });
  return { soon, flushes, failures, flush };
}

describe("notes", () => {
  it("go together, the last one of each key", async () => {
    const { soon, flush } = byHand();
    soon.note("b", "b1");
    soon.note("a", "a1");
    soon.note("b", "b2");
    const first = await flush(0);
    expect(first.items).toEqual(["a1", "b2"]);
    expect(soon.pending("b")).toBe("b2");
    soon.note("b", "b3");
    expect(soon.pending("b")).toBe("b3");
    first.end();
    const second = await flush(1);
    expect(second.items).toEqual(["b3"]);
    second.end();
    await soon.flush();
    expect(soon.pending("b")).toBeUndefined();
  });

  it("that met no database are tried again, beneath newer ones, and told of once", async () => {
    const { soon, flush, flushes, failures } = byHand({ merge: (a, b) => `${a}+${b}` });
    soon.note("a", "a1");
    soon.note("b", "b1");
    const first = await flush(0);
    soon.note("a", "a2");
    first.end(away);
    await vi.waitFor(() => expect(soon.pending("a")).toBe("a1+a2"));
    const flushing = soon.flush();
    (await flush(1)).end(away);
    await expect(flushing).rejects.toBe(away);
    expect(failures).toEqual([away]);
    const again = soon.flush();
    const third = await flush(2);
    expect(third.items).toEqual(["a1+a2", "b1"]);
    third.end();
    await again;
    expect(flushes).toHaveLength(3);
    // After a success, the next failure is news.
    soon.note("a", "a3");
    (await flush(3)).end(away);
    await vi.waitFor(() => expect(failures).toEqual([away, away]));
    await soon.forget(() => true);
  });

  it("that the database refuses are dropped, and the others stored", async () => {
    const stored: string[] = [];
    const failures: unknown[] = [];
    const refused = new Error("refused");
    const soon = new Soon<string>({
      store: async (items) => {
        if (items.includes("bad")) throw refused;
        stored.push(...items);
      },
      onFailure: (error) => failures.push(error),
    });
    soon.note("1", "good");
    soon.note("2", "bad");
    soon.note("3", "fine");
    const written = soon.write("4", "bad");
    await expect(written).rejects.toBe(refused);
    await soon.flush();
    expect(stored).toEqual(["good", "fine"]);
    expect(failures).toEqual([refused]);
    expect(soon.pending("2")).toBeUndefined();
  });

  it("that are forgotten never come back, not even from a failed flush", async () => {
    const { soon, flush, flushes } = byHand();
    soon.note("a", "a1");
    const first = await flush(0);
    const forgotten = soon.forget((item) => item.startsWith("a"));
    soon.note("a", "a2");
    soon.note("b", "b1");
    first.end(away);
    await forgotten;
    expect(soon.pending("a")).toBeUndefined();
    const flushing = soon.flush();
    (await flush(1)).end();
    await flushing;
    expect(flushes.map(({ items }) => items)).toEqual([["a1"], ["b1"]]);
  });
});

describe("writes", () => {
  it("settle when they are durable, after what was noted before", async () => {
    const { soon, flush, flushes } = byHand();
    soon.note("a", "a1");
    const first = await flush(0);
    const settled: string[] = [];
    const written = soon.write("a", "a2").then(() => settled.push("a2"));
    expect(flushes).toHaveLength(1);
    first.end();
    const second = await flush(1);
    expect(second.items).toEqual(["a2"]);
    expect(settled).toEqual([]);
    second.end();
    await written;
    expect(settled).toEqual(["a2"]);
  });

  it("fail with the database, and are their writer's to try again", async () => {
    const { soon, flush, flushes } = byHand();
    const written = soon.write("a", "a1");
    (await flush(0)).end(away);
    await expect(written).rejects.toBe(away);
    expect(soon.pending("a")).toBeUndefined();
    await soon.flush();
    expect(flushes).toHaveLength(1);
  });
});

describe("a saver whose status cannot be stored", () => {
  it("runs on, says so once, and ends", async () => {
    const db = faultySqlite(newFile());
    const notices: string[] = [];
    const saver = new SqliteSaver(db, undefined, { onNotice: (message) => notices.push(message) });
    onTestFinished(() => saver.end());
    await saver.setup();
    db.onWrite = (sql) => {
      if (sql.includes("holdfast_thread_status")) throw sqliteError(10, "disk I/O error");
    };
    const graph = chain(saver, 4, (step) => {
      saver.steps.status.note("t", { currentStep: `n${step}` });
      saver.steps.status.note("u", { currentStep: `n${step}` });
    });
    const { log } = await graph.invoke({ log: [] }, syncRun("t"));
    expect(log).toHaveLength(4);
    await vi.waitFor(() => expect(notices).toHaveLength(1));
    expect(notices[0]).toContain("disk I/O error");
    await saver.end();
    expect(notices).toHaveLength(1);
  });

  it("stores with end() what was noted last", async () => {
    const file = newFile();
    const saver = SqliteSaver.fromConnString(file);
    saver.steps.status.note("t", { currentStep: "last", status: "completed" });
    await saver.end();
    const other = SqliteSaver.fromConnString(file);
    onTestFinished(() => other.end());
    expect(await other.steps.status.read("t")).toMatchObject({ currentStep: "last" });
  });
});
