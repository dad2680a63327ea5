/**
 * What another saver may do between any two statements of ours. A statement is made to find the
 * database locked, and while the saver waits, the other one acts.
 */

import { describe, expect, it, onTestFinished } from "vitest";
import { SqliteSaver } from "../../checkpointers/sqlite/index.ts";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import { faultySqlite, sqliteError } from "../support/faulty-sqlite.ts";
import { dangling } from "../support/fsck.ts";
import { newFile, placeAt, PLACES, type Place } from "../support/places.ts";
import { readTables } from "../support/raw-tables.ts";
import { onThread, putOne } from "../support/small-graphs.ts";

const LONG = "a long text ".repeat(25);

interface Watched {
  place: Place;
  /** Its statements can be stopped at. */
  saver: SqliteSaver;
  other: HoldfastSaver;
  /** The next statement that contains this text waits until the action is over. */
  before(sql: string, action: () => Promise<unknown>): void;
}

function openWatched(): Watched {
  const file = newFile();
  const place = placeAt(`sqlite:${file}`);
  const db = faultySqlite(file);
  const stops: { sql: string; action: () => Promise<unknown> }[] = [];
  const actions: (() => Promise<unknown>)[] = [];
  const stop = (sql: string): void => {
    const at = stops.findIndex((wanted) => sql.includes(wanted.sql));
    if (at < 0) return;
    actions.push((stops.splice(at, 1)[0] as (typeof stops)[number]).action);
    throw sqliteError(5, "database is locked");
  };
  db.onRead = stop;
  db.onWrite = stop;
  const saver = new SqliteSaver(db, undefined, {
    clock: { now: () => Date.now(), sleep: async () => void (await actions.shift()?.()) },
  });
  onTestFinished(() => {
    expect(stops, "statements that never came").toEqual([]);
    return saver.end();
  });
  return {
    place,
    saver,
    other: place.open(),
    before: (sql, action) => void stops.push({ sql, action }),
  };
}

/** Every checkpoint of the thread, read by a saver that remembers nothing. */
async function readAll(place: Place, thread: string): Promise<Record<string, unknown>[]> {
  expect(dangling(await readTables(place.url))).toEqual([]);
  const history = await Array.fromAsync(place.open().list(onThread(thread)));
  return history.map(({ checkpoint }) => checkpoint.channel_values);
}

describe.each(PLACES)("a checkpoint on one that this saver has never seen (%s)", (_, newPlace) => {
  it("brings along what another saver pruned in the meantime", async () => {
    const place = await newPlace();
    const saver = place.open();
    const other = place.open();
    const start = await putOne(saver, "t", { text: "start" });
    const old = await putOne(saver, "t", { text: LONG, kind: "old" }, start);
    // The other saver goes on, without the text, and prunes it.
    const head = await putOne(other, "t", { text: "short" }, old);
    await other.prune(["t"], { latestOnly: true });
    await putOne(saver, "t", { text: LONG, kind: "new" }, head);
    expect(await readAll(place, "t")).toEqual([{ text: LONG, kind: "new" }, { text: "short" }]);
  });
});

describe("a prune by another saver", () => {
  it("between a commit's preparation and the commit leaves nothing dangling", async () => {
    const { place, saver, other, before } = openWatched();
    const first = await putOne(other, "t", { text: LONG, list: [LONG, "a"] });
    const head = await putOne(other, "t", { text: "short", list: [LONG, "a", "b"] }, first);
    // Known to this saver, which will build on it.
    await saver.getTuple(onThread("t"));
    before("holdfast_sequences", () => other.prune(["t"], { latestOnly: true }));
    await putOne(saver, "t", { text: LONG, list: [LONG, "a", "b", "c"] }, head);
    expect(await readAll(place, "t")).toEqual([
      { text: LONG, list: [LONG, "a", "b", "c"] },
      { text: "short", list: [LONG, "a", "b"] },
    ]);
  });

  it("that a read beside the commit notices first leaves nothing dangling", async () => {
    const { place, saver, other, before } = openWatched();
    const start = await putOne(saver, "t", { text: "start" });
    const first = await putOne(saver, "t", { text: LONG }, start);
    const head = await putOne(saver, "t", { text: "short" }, first);
    // So that the next commit takes a moment.
    await useUpIds(saver);
    const pruned = Promise.withResolvers<undefined>();
    // The read begins before the put is queued, and learns of the prune while that is under way.
    before("FROM holdfast_threads WHERE key", () => pruned.promise);
    const read = saver.getTuple(onThread("t"));
    await new Promise((resolve) => void setImmediate(resolve));
    before("holdfast_sequences", async () => {
      await other.prune(["t"], { latestOnly: true });
      pruned.resolve(undefined);
      await read;
    });
    await putOne(saver, "t", { text: LONG }, head);
    expect(await readAll(place, "t")).toEqual([{ text: LONG }, { text: "short" }]);
  });

  it("in the middle of a read by id is no damage: the checkpoint is there, or it isn't", async () => {
    const { place, saver, other, before } = openWatched();
    const first = await putOne(other, "t", { text: LONG, kind: ["first"] });
    await putOne(other, "t", { text: "short" }, first);
    before("channel_versions", () => other.prune(["t"], { latestOnly: true }));
    expect(await saver.getTuple(first)).toBeUndefined();
    expect(await readAll(place, "t")).toHaveLength(1);
  });

  it("in the middle of a listing is no damage: what is gone is left out", async () => {
    const { saver, other, before } = openWatched();
    let head = await putOne(other, "t", { text: LONG, n: 0 });
    for (let n = 1; n < 40; n += 1)
      head = await putOne(other, "t", { text: `${LONG}${n}`, n }, head);
    before("channel_versions", () => other.prune(["t"], { keepLast: 3 }));
    const listed = await Array.fromAsync(saver.list(onThread("t")));
    expect(listed.slice(0, 3).map(({ checkpoint }) => checkpoint.channel_values["n"])).toEqual([
      39, 38, 37,
    ]);
    for (const { checkpoint } of listed) {
      const n = checkpoint.channel_values["n"] as number;
      expect(checkpoint.channel_values["text"]).toBe(n === 0 ? LONG : `${LONG}${n}`);
    }
  });

  it("in the middle of a listing's payloads is no damage either", async () => {
    const { saver, other, before } = openWatched();
    let head = await putOne(other, "t", { text: LONG, n: 0 });
    for (let n = 1; n < 5; n += 1)
      head = await putOne(other, "t", { text: `${n}${LONG}`, n }, head);
    before("holdfast_payloads", () => other.prune(["t"], { latestOnly: true }));
    const listed = await Array.fromAsync(saver.list(onThread("t")));
    expect(listed[0]?.checkpoint.channel_values).toEqual({ text: `4${LONG}`, n: 4 });
  });
});

describe("the same saver", () => {
  // Where the checkpoint is held up until the other operation is over: before its commit, in it.
  describe.each(["holdfast_sequences", "SET updated_at"])("(at %s)", (held) => {
    it("may prune while a checkpoint is on its way, which costs that nothing", async () => {
      const { place, saver, before } = openWatched();
      const start = await putOne(saver, "t", { text: "start" });
      const first = await putOne(saver, "t", { text: LONG }, start);
      const head = await putOne(saver, "t", { text: "short" }, first);
      await useUpIds(saver);
      const { put, isOver } = whileAnotherIsOnItsWay(before, "SET generation", held, () =>
        putOne(saver, "t", { text: LONG }, head),
      );
      isOver(saver.prune(["t"], { latestOnly: true }));
      await put;
      expect(await readAll(place, "t")).toEqual([{ text: LONG }, { text: "short" }]);
    });

    it("may delete a thread while a checkpoint is on its way, which then begins a new one", async () => {
      const { place, saver, before } = openWatched();
      await putOne(saver, "t", { text: LONG });
      await useUpIds(saver);
      const { put, isOver } = whileAnotherIsOnItsWay(
        before,
        "DELETE FROM holdfast_checkpoints",
        held,
        () => putOne(saver, "t", { text: LONG }),
      );
      isOver(saver.deleteThread("t"));
      await put;
      expect(await readAll(place, "t")).toEqual([{ text: LONG }]);
    });
  });
});

/** Version ids come in blocks of a thousand, or what one commit needs: now none is left of any. */
async function useUpIds(saver: HoldfastSaver): Promise<void> {
  const values = Object.fromEntries(Array.from({ length: 1_100 }, (_, c) => [`c${c}`, { c }]));
  await putOne(saver, "another", values);
}

/**
 * At that statement of an operation, a put begins, and gets as far as a statement of its own; there
 * it waits for the end of the operation.
 */
function whileAnotherIsOnItsWay(
  before: Watched["before"],
  statement: string,
  held: string,
  begin: () => Promise<unknown>,
): { put: Promise<unknown>; isOver: (operation: Promise<unknown>) => void } {
  const isHeld = Promise.withResolvers<undefined>();
  const over = Promise.withResolvers<unknown>();
  const put = Promise.withResolvers<unknown>();
  before(statement, async () => {
    begin().then(put.resolve, put.reject);
    await isHeld.promise;
  });
  before(held, async () => {
    isHeld.resolve(undefined);
    await over.promise;
  });
  return { put: put.promise, isOver: (operation) => operation.then(over.resolve, over.reject) };
}
