import type pg from "pg";
import { describe, expect, it } from "vitest";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import { PostgresSaver } from "../../checkpointers/postgres/index.ts";
import type { SqliteSaver } from "../../checkpointers/sqlite/index.ts";
import { transaction, type SqliteHandle } from "../../src/effects/transaction.ts";
import { PLACES } from "../support/places.ts";
import { syncRun } from "../support/small-graphs.ts";
import { graphOf } from "./support/world.ts";

const isClient = (handle: SqliteHandle | pg.PoolClient): handle is pg.PoolClient =>
  "query" in handle;

/** Adds to a table of the user's, and fails on demand right after. */
function adding(fail: (what: string) => void, name = "add") {
  return transaction({
    name,
    run: (handle: SqliteHandle | pg.PoolClient, what: string) => {
      if (isClient(handle)) {
        return (async () => {
          await handle.query("INSERT INTO stock (what) VALUES ($1)", [what]);
          fail(what);
          return { added: what };
        })();
      }
      handle.prepare("INSERT INTO stock (what) VALUES (?)").run(what);
      fail(what);
      return { added: what };
    },
  });
}

async function execute(saver: HoldfastSaver, sql: string): Promise<unknown[]> {
  if (saver instanceof PostgresSaver) return (await saver.pool.query(sql)).rows;
  const { db } = saver as SqliteSaver;
  return db.prepare(sql).all();
}

/** An "encrypting" serde, which waits as real ones do. */
const serde = {
  dumpsTyped: async (value: unknown): Promise<[string, Uint8Array]> => {
    await Promise.resolve();
    return ["x", Buffer.from(JSON.stringify(value)).map((byte) => byte ^ 0x55)];
  },
  loadsTyped: async (_type: string, bytes: Uint8Array | string): Promise<unknown> => {
    await Promise.resolve();
    return JSON.parse(Buffer.from(Buffer.from(bytes).map((byte) => byte ^ 0x55)).toString());
  },
};

describe.each(PLACES)("transaction() on %s", (_, newPlace) => {
  const setUp = async () => {
    const place = await newPlace();
    const saver = place.open();
    await saver.setup();
    await execute(saver, "CREATE TABLE stock (what text NOT NULL)");
    return { place, saver, stock: () => execute(saver, "SELECT what FROM stock ORDER BY what") };
  };

  it("is exactly once: its record and the user's rows are there together", async () => {
    const { place, saver, stock } = await setUp();
    let fails: "in it" | "after it" | "no" = "in it";
    const add = adding(() => {
      if (fails === "in it") throw new Error("rolled back");
    });
    const graph = () =>
      graphOf(place.open(), async () => {
        const both = [await add("a", { key: "k" }), await add("b")];
        if (fails === "after it") throw new Error("after");
        return both;
      });
    await expect(graph().invoke({ order: "" }, syncRun("t"))).rejects.toThrow("rolled back");
    expect(await stock()).toEqual([]);
    expect(await saver.steps.effects?.list({ threadId: "t" })).toEqual([]);
    fails = "after it";
    await expect(graph().invoke(null, syncRun("t"))).rejects.toThrow("after");
    fails = "no";
    expect((await graph().invoke(null, syncRun("t"))).log).toEqual([
      [{ added: "a" }, { added: "b" }],
    ]);
    expect(await stock()).toEqual([{ what: "a" }, { what: "b" }]);
  });

  it("happens once for many callers at the same time, in several processes", async () => {
    const { place, stock } = await setUp();
    const add = adding(() => undefined);
    const graphs = [place.open(), place.open()].map((saver) =>
      graphOf(saver, () =>
        Promise.all([1, 2, 3].map(() => add("a", { key: "k", scope: "global" }))),
      ),
    );
    const logs = await Promise.all(
      graphs.map((graph, i) => graph.invoke({ order: "" }, syncRun(`t${i}`))),
    );
    expect(logs.map(({ log }) => log).flat(2)).toEqual(
      Array.from({ length: 6 }, () => ({ added: "a" })),
    );
    expect(await stock()).toEqual([{ what: "a" }]);
  });

  it("refuses other arguments under its key", async () => {
    const { saver, stock } = await setUp();
    const add = adding(() => undefined);
    const graph = graphOf(saver, async () => {
      await add("a", { key: "k" });
      await add("b", { key: "k" });
    });
    await expect(graph.invoke({ order: "" }, syncRun("t"))).rejects.toMatchObject({
      code: "EFFECT_CONFLICT",
    });
    expect(await stock()).toEqual([{ what: "a" }]);
  });

  it("keeps its result through a custom serde, and none of it in the clear", async () => {
    const { place, saver } = await setUp();
    const add = adding(() => undefined);
    let fails = true;
    const graph = graphOf(place.open({ serde } as never), async () => {
      const result = await add("a secret word", { key: "k" });
      if (fails) throw new Error("after");
      return result;
    });
    await expect(graph.invoke({ order: "" }, syncRun("t"))).rejects.toThrow("after");
    fails = false;
    expect((await graph.invoke(null, syncRun("t"))).log).toEqual([{ added: "a secret word" }]);
    const table = saver instanceof PostgresSaver ? "holdfast.effects" : "holdfast_effects";
    const [row] = (await execute(saver, `SELECT * FROM ${table}`)) as Record<string, unknown>[];
    const stored = Object.values(row ?? {}).map((cell) =>
      cell instanceof Uint8Array ? Buffer.from(cell).toString("latin1") : String(cell),
    );
    expect(stored.join().length).toBeGreaterThan(50);
    expect(stored.join()).not.toContain("secret");
  });

  it("refuses a run that ends the transaction itself", async () => {
    const { saver, stock } = await setUp();
    const meddle = transaction({
      name: "meddle",
      run: (handle: SqliteHandle | pg.PoolClient) => {
        if (!isClient(handle)) return handle.exec("ROLLBACK");
        return handle.query("COMMIT").then(() => undefined);
      },
    });
    const graph = graphOf(saver, () => meddle(1, { key: "k" }));
    const run = graph.invoke({ order: "" }, syncRun("t"));
    await expect(run).rejects.toThrow(/must not COMMIT or ROLLBACK/);
    expect(await stock()).toEqual([]);
  });

  it("refuses a result that cannot be stored, and rolls back", async () => {
    const { saver, stock } = await setUp();
    const odd = transaction({
      name: "odd",
      run: (handle: SqliteHandle | pg.PoolClient): unknown => {
        const sql = "INSERT INTO stock (what) VALUES ('odd')";
        if (isClient(handle)) return handle.query(sql).then(() => () => 1);
        handle.exec(sql);
        return () => 1;
      },
    });
    const graph = graphOf(saver, () => odd(1, { key: "k" }));
    await expect(graph.invoke({ order: "" }, syncRun("t"))).rejects.toMatchObject({
      code: "UNSERIALIZABLE",
    });
    expect(await stock()).toEqual([]);
  });
});

it("refuses an asynchronous run on SQLite, and rolls back what it did", async () => {
  const [, newPlace] = PLACES[0] as (typeof PLACES)[number];
  const saver = (await newPlace()).open() as SqliteSaver;
  await saver.setup();
  saver.db.exec("CREATE TABLE stock (what text)");
  const later = transaction({
    name: "later",
    run: async (handle: SqliteHandle) => {
      handle.exec("INSERT INTO stock VALUES ('later')");
      await Promise.resolve();
    },
  });
  const graph = graphOf(saver, () => later(1, { key: "k" }));
  await expect(graph.invoke({ order: "" }, syncRun("t"))).rejects.toThrow(/must be synchronous/);
  expect(saver.db.prepare("SELECT * FROM stock").all()).toEqual([]);
});
