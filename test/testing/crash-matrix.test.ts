import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { crashMatrix, fakeWorld } from "../../src/testing/index.ts";
import { nameOf, readStatement } from "../../src/testing/crash/statements.ts";
import { newFile } from "../support/places.ts";

/** A program in a file of its own. */
function program(source: string): { script: string; setUp: () => { args: string[]; db: string } } {
  const script = newFile("program.mjs");
  writeFileSync(script, source);
  const folder = newFile("");
  let count = 0;
  return {
    script,
    setUp: () => {
      const db = `${folder}${(count += 1)}.db`;
      return { args: [db], db };
    },
  };
}

const OPEN = `
  import { DatabaseSync } from "node:sqlite";
  const db = new DatabaseSync(process.argv[2]);
  db.exec("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, note TEXT)");
`;

describe("what is counted", () => {
  test("commits and lone writes, not reads and what a transaction holds", async () => {
    const { operations } = await crashMatrix({
      ...program(`${OPEN}
        db.exec("BEGIN");
        db.prepare("INSERT INTO t VALUES (1, 'x')").run();
        db.prepare("SELECT * FROM t").all();
        db.exec("COMMIT");
        db.prepare("INSERT INTO t VALUES (2, ?) RETURNING id").get("update");
        db.prepare("SELECT 'insert' FROM t").get();
        db.exec("BEGIN; UPDATE t SET note = 'y'; ROLLBACK");
      `),
      points: () => false,
      check: () => {},
    });
    expect(operations.map((what) => what.slice(0, 12))).toEqual([
      "CREATE TABLE",
      "COMMIT",
      "INSERT INTO ",
    ]);
  });

  test("requests, by fetch and by node:http", async () => {
    const world = await fakeWorld();
    const { operations } = await crashMatrix({
      script: program(`
        import { get } from "node:http";
        const url = process.argv[2];
        await (await fetch(url + "/stock/a")).text();
        await new Promise((resolve) => get(url + "/stock/b", (answer) => {
          answer.resume().on("end", resolve);
        }));
      `).script,
      setUp: () => ({ args: [world.url] }),
      points: () => false,
      check: () => {},
    });
    expect(operations).toEqual([`GET ${world.url}/stock/a`, `GET ${world.url}/stock/b`]);
    await world.close();
  });
});

describe("where it kills", () => {
  test("before, nothing of the operation is there; after, all of it", async () => {
    const seen: Record<string, number> = {};
    const { failures, kills, missed } = await crashMatrix({
      ...program(`${OPEN}
        process.stdout.write(String(db.prepare("SELECT count(*) AS n FROM t").get().n));
        db.exec("BEGIN");
        db.exec("INSERT OR IGNORE INTO t VALUES (1, 'x'), (2, 'y')");
        db.exec("COMMIT");
      `),
      points: ({ what }) => what === "COMMIT",
      check: ({ point, runs }) => {
        if (point !== undefined) seen[point.side] = Number(runs.at(-1)?.stdout);
      },
    });
    expect(failures).toEqual([]);
    expect(missed).toEqual([]);
    expect(kills).toBe(2);
    expect(seen).toEqual({ before: 0, after: 2 });
  });

  test("nothing that the program would do next is done", async () => {
    const { failures } = await crashMatrix({
      ...program(`${OPEN}
        import { appendFileSync } from "node:fs";
        db.exec("INSERT INTO t (note) VALUES ('x')");
        appendFileSync(process.argv[2] + ".log", "x");
      `),
      points: ({ what }) => what.startsWith("INSERT"),
      check: ({ setup: { db }, point }) => {
        expect(readFileSync(`${db}.log`, "utf8")).toBe("x");
        if (point) expect(point.stack).toContain("program.mjs:");
      },
    });
    expect(failures).toEqual([]);
  });

  test("after one of several requests at once, whatever else has begun", async () => {
    await using world = await fakeWorld();
    world.fail({ delay: 100, on: "charge", times: Infinity });
    const { failures, kills } = await crashMatrix({
      script: program(`
        const ask = (kind) => fetch(process.argv[2] + "/" + kind, { method: "POST", body: "{}" });
        await Promise.all([ask("charge"), ask("email"), ask("label")]);
      `).script,
      setUp: () => ({ args: [world.url] }),
      points: ({ operation, side }) => operation === 1 && side === "after",
      check: ({ point }) => {
        if (point) expect(point.what).toBe(`POST ${world.url}/charge`);
      },
    });
    expect(failures).toEqual([]);
    expect(kills).toBe(1);
  });

  test("a sample is the same for the same seed", async () => {
    const sampled = async (seed: number): Promise<string[]> => {
      const points = new Set<string>();
      const { points: count } = await crashMatrix({
        ...program(
          `${OPEN} for (let n = 0; n < 20; n += 1) db.exec("INSERT INTO t VALUES (NULL, 'x')");`,
        ),
        points: { sample: 3, seed },
        check: ({ point }) => void (point && points.add(`${point.operation} ${point.side}`)),
      });
      expect(count).toBe(3);
      return [...points].toSorted();
    };
    const first = await sampled(7);
    expect(first).toHaveLength(3);
    expect(await sampled(7)).toEqual(first);
    expect(await sampled(8)).not.toEqual(first);
  });

  test("a point that is not reached is told as missed", async () => {
    const { missed, kills, points } = await crashMatrix({
      ...program(`${OPEN}
        import { existsSync, writeFileSync } from "node:fs";
        const seen = process.argv[1] + ".seen";
        if (!existsSync(seen)) db.exec("INSERT INTO t (note) VALUES ('only the first time ever')");
        writeFileSync(seen, "");
      `),
      check: () => {},
    });
    expect(points).toBe(4);
    expect(kills).toBe(2);
    expect(missed.map(({ operation }) => operation)).toEqual([2, 2]);
  });
});

describe("how a program may end", () => {
  test("75 asks for another start; only so often", async () => {
    const source = (starts: number) => `${OPEN}
      db.exec("INSERT INTO t (note) VALUES ('start')");
      const { n } = db.prepare("SELECT count(*) AS n FROM t").get();
      if (n < ${starts}) process.exitCode = 75;
    `;
    const once = { points: ({ operation }: { operation: number }) => operation === 1 };
    const patient = await crashMatrix({ ...program(source(3)), ...once, check: () => {} });
    expect(patient.failures).toEqual([]);
    const endless = crashMatrix({
      ...program(source(99)),
      ...once,
      maxResumes: 2,
      check: () => {},
    });
    await expect(endless).rejects.toThrow("not done after 2 resumes");
  });

  test("a failure, undisturbed, is the program's, with what it said", async () => {
    const broken = crashMatrix({ ...program("throw new Error('no luck')"), check: () => {} });
    await expect(broken).rejects.toThrow("no luck");
  });

  test("a failure after a kill is a failure of the point", async () => {
    const { failures, summary } = await crashMatrix({
      ...program(`${OPEN} db.exec("INSERT INTO t VALUES (1, 'once only')");`),
      check: () => {},
    });
    expect(failures.map(({ point }) => `${point.side} ${point.operation}`)).toEqual(["after 2"]);
    expect(failures[0]?.runs.map(({ outcome }) => outcome)).toEqual(["killed", "failed"]);
    expect(summary).toContain("UNIQUE constraint failed");
    expect(summary).toContain("Killed after operation 2: INSERT INTO t");
  });

  test("one that hangs is ended, and told", async () => {
    const { failures } = await crashMatrix({
      ...program(`${OPEN}
        import { existsSync, writeFileSync } from "node:fs";
        const seen = process.argv[1] + ".seen";
        if (existsSync(seen)) setInterval(() => {}, 1_000);
        writeFileSync(seen, "");
      `),
      points: ({ operation, side }) => operation === 1 && side === "before",
      timeout: 1_500,
      check: () => {},
    });
    expect(failures).toHaveLength(1);
    expect(String(failures[0]?.error)).toContain("took too long");
  });

  test("one that does nothing durable has no points", async () => {
    const idle = crashMatrix({ ...program(""), check: () => {} });
    await expect(idle).rejects.toThrow("nothing to kill it at");
  });
});

describe("statements", () => {
  test.each([
    ["insert into t values (1)", false, true, false],
    ["INSERT INTO t VALUES ('commit')", true, false, true],
    ["select * from t for update", false, false, false],
    ["select 'insert into t'", false, false, false],
    ['select "update" from t -- delete', false, false, false],
    ["with a as (insert into t values (1) returning *) select * from a", false, true, false],
    ["BEGIN IMMEDIATE", false, false, true],
    ["start transaction", false, false, true],
    ["COMMIT", true, true, false],
    ["COMMIT", false, false, false],
    ["END", true, true, false],
    ["ROLLBACK", true, false, false],
    ["rollback to savepoint a", true, false, true],
    ["begin; insert into t values (1); commit;", false, true, false],
    ["do $$ begin insert into t values (1); end $$", false, true, false],
    ["create table t (a int)", false, true, false],
    ["PRAGMA journal_mode = WAL", false, false, false],
  ])("%s (in a transaction: %s)", (sql, before, isDurable, inTransaction) => {
    expect(readStatement(sql, before)).toEqual({ isDurable, inTransaction });
  });

  test("are named by what they write to", () => {
    expect(nameOf("  COMMIT ")).toBe("COMMIT");
    expect(
      nameOf(`with a as (insert into "s".t (x) values ($1) on conflict do update set x = 1 returning x)
        update u set x = 2 where 'delete from v' = ''`),
    ).toBe("INSERT INTO s.t, UPDATE u");
  });
});
