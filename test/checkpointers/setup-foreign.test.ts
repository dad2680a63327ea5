/** Databases that are not ours alone, not ours at all, or that we may not change. */

import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { PostgresSaver as OfficialPostgres } from "@langchain/langgraph-checkpoint-postgres";
import { SqliteSaver as OfficialSqlite } from "@langchain/langgraph-checkpoint-sqlite";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import BetterSqlite from "better-sqlite3";
import { describe, expect, it, onTestFinished } from "vitest";
import { PostgresSaver } from "../../checkpointers/postgres/index.ts";
import { SqliteSaver } from "../../checkpointers/sqlite/index.ts";
import { isHoldfastError } from "../../src/errors.ts";
import { createDatabase } from "../support/databases.ts";
import { newFile, placeAt } from "../support/places.ts";
import { withClient } from "../support/raw-tables.ts";
import { chain, onThread, putOne, syncRun, wholeLog } from "../support/small-graphs.ts";

describe("a better-sqlite3 database", () => {
  it("is as good as one of Node's", async () => {
    const file = newFile();
    const db = new BetterSqlite(file);
    const saver = new SqliteSaver(db);
    expect(saver.db).toBe(db);
    expect((await chain(saver, 3).invoke({ log: [] }, syncRun("t"))).log).toEqual(wholeLog(3));
    await saver.prune("*", { latestOnly: true });
    await saver.end();
    expect(db.open).toBe(false);
    const again = placeAt(`sqlite:${file}`).open();
    expect((await chain(again, 3).getState(onThread("t"))).values).toEqual({ log: wholeLog(3) });
  });

  it("is waited for while the user has a transaction open on it", async () => {
    const db = new BetterSqlite(":memory:");
    const saver = new SqliteSaver(db, undefined, { lockTimeout: 50 });
    onTestFinished(() => saver.end());
    await saver.setup();
    db.exec("BEGIN");
    await expect(putOne(saver, "t")).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
    db.exec("ROLLBACK");
    await putOne(saver, "t");
  });
});

describe("a file that cannot be used", () => {
  /** One error, of ours, with a message that a user can act on. */
  async function refusal(file: string): Promise<string> {
    try {
      const saver = SqliteSaver.fromConnString(file, { lockTimeout: 100 });
      onTestFinished(() => saver.end());
      await saver.getTuple(onThread("t"));
    } catch (error) {
      expect(isHoldfastError(error, "DATABASE_UNAVAILABLE"), String(error)).toBe(true);
      return (error as Error).message;
    }
    throw new Error("it was used");
  }

  it("is named where its folder is missing", async () => {
    const file = join(dirname(newFile()), "missing", "agents.db");
    expect(await refusal(file)).toContain(file);
  });

  it("is named where it is a folder", async () => {
    const folder = newFile("folder");
    mkdirSync(folder);
    expect(await refusal(folder)).toContain(folder);
  });

  it("is left as it is where it is no database", async () => {
    const file = newFile("notes.txt");
    const text = "Dear diary, this is no database.\n".repeat(500);
    writeFileSync(file, text);
    expect(await refusal(file)).toMatch(/not a database/);
    expect(await refusal(file)).toContain(file);
    expect(readFileSync(file, "utf8")).toBe(text);
  });

  it("is reported where it is damaged", async () => {
    const file = newFile();
    const saver = SqliteSaver.fromConnString(file);
    await chain(saver, 20).invoke({ log: ["x".repeat(5_000)] }, syncRun("t"));
    await saver.end();
    const bytes = readFileSync(file);
    bytes.fill(0xa5, 4_096, statSync(file).size);
    writeFileSync(file, bytes);
    expect(await refusal(file)).toMatch(/malformed/);
  });

  it("is reported where it is empty and read-only", async () => {
    const file = newFile();
    new DatabaseSync(file).close();
    const saver = new SqliteSaver(new DatabaseSync(file, { readOnly: true }));
    onTestFinished(() => saver.end());
    await expect(saver.setup()).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
  });
});

describe("a Postgres that cannot be used", () => {
  it("is reported in words: no server, no database, no such user", async () => {
    const url = new URL(await createDatabase());
    const refusal = async (change: Partial<URL>): Promise<unknown> => {
      const saver = PostgresSaver.fromConnString(Object.assign(new URL(url), change).href, {
        retryTimeout: 200,
      });
      onTestFinished(() => saver.end());
      return saver.setup().catch((error: unknown) => error);
    };
    for (const change of [{ port: "1" }, { pathname: "/nowhere" }, { password: "wrong" }]) {
      const error = await refusal(change);
      expect(isHoldfastError(error, "DATABASE_UNAVAILABLE"), String(error)).toBe(true);
    }
  });
});

describe("a Postgres role without the right to create", () => {
  async function asWriter(url: string): Promise<string> {
    const role = `writer_${new URL(url).pathname.slice(1)}`;
    await withClient(url, (client) => client.query(`CREATE ROLE ${role} LOGIN PASSWORD 'pass'`));
    onTestFinished(() =>
      withClient(url, async (client) => {
        await client.query(`DROP OWNED BY ${role}`);
        await client.query(`DROP ROLE ${role}`);
      }),
    );
    return Object.assign(new URL(url), { username: role, password: "pass" }).href;
  }

  it("is enough where the tables exist", async () => {
    const url = await createDatabase();
    await placeAt(url).open().setup();
    const writer = await asWriter(url);
    const role = new URL(writer).username;
    await withClient(url, async (client) => {
      await client.query(`GRANT USAGE ON SCHEMA holdfast TO ${role}`);
      await client.query(
        `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA holdfast TO ${role}`,
      );
      await client.query(`GRANT USAGE ON ALL SEQUENCES IN SCHEMA holdfast TO ${role}`);
    });
    const saver = placeAt(writer).open();
    expect((await chain(saver, 3).invoke({ log: [] }, syncRun("t"))).log).toEqual(wholeLog(3));
    await saver.copyThread("t", "u");
    await saver.prune("*", { latestOnly: true });
    await saver.deleteThread("t");
    expect((await saver.stats()).threads).toBe(1);
  });

  it("gets told what is missing where they don't", async () => {
    const url = await createDatabase();
    const writer = await asWriter(url);
    const error: unknown = await placeAt(writer)
      .open()
      .setup()
      .catch((caught: unknown) => caught);
    expect(isHoldfastError(error), String(error)).toBe(true);
    // What it wanted to make, and that it may not.
    expect((error as Error).message).toMatch(/holdfast/);
    expect((error as Error).message).toMatch(/permission|right/);
  });

  it("gets told what is missing where it may not use them", async () => {
    const url = await createDatabase();
    await placeAt(url).open().setup();
    const error: unknown = await placeAt(await asWriter(url))
      .open()
      .setup()
      .catch((caught: unknown) => caught);
    expect(isHoldfastError(error), String(error)).toBe(true);
    expect((error as Error).message).toMatch(/permission|right/);
  });
});

describe("the official saver's tables", () => {
  const official = {
    SQLite: {
      url: () => Promise.resolve(`sqlite:${newFile()}`),
      open: (url: string) => Promise.resolve(OfficialSqlite.fromConnString(url.slice(7))),
      options: {},
    },
    Postgres: {
      url: createDatabase,
      open: async (url: string) => {
        const saver = OfficialPostgres.fromConnString(url, { schema: "public" });
        await saver.setup();
        onTestFinished(() => saver.end());
        return saver;
      },
      // The official default.
      options: { schema: "public" },
    },
  };

  it.each(["SQLite", "Postgres"] as const)(
    "are left alone, and pointed out once, on %s",
    async (database) => {
      const { url: newUrl, open, options } = official[database];
      const url = await newUrl();
      const theirs = (await open(url)) as unknown as BaseCheckpointSaver;
      await chain(theirs, 3).invoke({ log: ["theirs"] }, onThread("t"));
      const before = await chain(theirs, 3).getState(onThread("t"));

      const notices: string[] = [];
      const saver = placeAt(url).open({ ...options, onNotice: (notice) => notices.push(notice) });
      const graph = chain(saver, 3);
      await graph.invoke({ log: ["ours"] }, syncRun("t"));
      await saver.setup();
      await saver.deleteThread("t");
      expect(notices).toHaveLength(1);
      expect(notices[0]).toContain("importThreads");
      expect(await chain(theirs, 3).getState(onThread("t"))).toEqual(before);
    },
  );

  it("are pointed out on Postgres also beside a schema of our own", async () => {
    const url = await createDatabase();
    await official.Postgres.open(url);
    const notices: string[] = [];
    await placeAt(url)
      .open({ onNotice: (notice) => notices.push(notice) })
      .setup();
    expect(notices).toHaveLength(1);
  });

  it("are not seen where there are none", async () => {
    for (const url of [`sqlite:${newFile()}`, await createDatabase()]) {
      const notices: string[] = [];
      const saver = placeAt(url).open({ onNotice: (notice) => notices.push(notice) });
      await saver.setup();
      expect(notices).toEqual([]);
    }
  });
});
