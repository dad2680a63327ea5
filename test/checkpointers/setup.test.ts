import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { SCHEMA_VERSION as SQLITE_VERSION } from "../../checkpointers/sqlite/schema.ts";
import { SCHEMA_VERSION as POSTGRES_VERSION } from "../../checkpointers/postgres/schema.ts";
import { startChild } from "../support/child.ts";
import { PLACES } from "../support/places.ts";
import { execute, readTables } from "../support/raw-tables.ts";
import { chain, onThread, putOne, syncRun, wholeLog } from "../support/small-graphs.ts";

/** Never edit a migration that was released: add the next number, and its line here. */
const GOLDEN: Record<string, string> = {
  "postgres/0001_checkpoints.sql":
    "e2eb4a977d6abd438ff497098cc0f6c26d529ea644ef5503100203f946789df2",
  "postgres/0002_states.sql": "5189bdd0ba7c555e9e7d56e37e3d1b711b3c46767fc126ff552fb86817c93fad",
  "postgres/0003_effects.sql": "8f1d3a78d6bfd0d02b8a1e0b0aaef5e6823412d62bdfe28e0eaa257c82c6ac65",
  "postgres/0004_approvals.sql": "b3a362e9646efc8b25b1057ada5b237d4862b735f4943946de4c5fced050321f",
  "postgres/0005_leases.sql": "b6e83bfd7481d4b4f5778c6363bf734e506bccc05bdb571fc86387e7a78481fe",
  "postgres/0006_runs.sql": "764930b57b395820bcb7ace8276a244e5516547e0db559f19ae83f6ca8c72dfd",
  "postgres/0007_run_events.sql":
    "0370e6dc1d28a4f16b01a667e4843505ababf130d371f411743497c0ee7fe40f",
  "postgres/0008_schedules.sql": "0c79359e9acc46b00c475ffe45a53625cea6da1704eba080fc1162472e6c8370",
  "postgres/0009_events.sql": "7f4017f6906f70947670adc9b5475b15bbfed0c30c034aa2711acd9f028e0ab6",
  "postgres/0010_run_versions.sql":
    "395249a35429c5225608b44af580abd91cae4c3e0d0dde2c469914684aa0d748",
  "sqlite/0001_checkpoints.sql": "6f779114a859d64fdd9dcd242cc044312160db7bafb7dc0b342db2fd1c6d60c9",
  "sqlite/0002_states.sql": "c87f2b9b73c8d2d64a8ad766631d02dbcfd7fef97a0557193aa281d7c724f01a",
  "sqlite/0003_effects.sql": "0e4e87b6e0679a0540620faa17a9b5209def51fcabd6bdb1f6d6b7600406cb75",
  "sqlite/0004_approvals.sql": "fa30873241fdd9d8a72060b644ad747f6ef9484f9a17dd9a9e0df302dbbceaba",
  "sqlite/0005_leases.sql": "57437fc46908d694d96d439e8a4a93a417e6bf5ca6a7588a48fed725f1bf897b",
  "sqlite/0006_runs.sql": "5e2fdc5a674b965acd6531295736cbed5506973f56fed27cb6ba1774df515778",
  "sqlite/0007_run_events.sql": "eab9b31d28313418caf17944502d330878deec45645e601ebd84dfae235592df",
  "sqlite/0008_schedules.sql": "dc0f1fd1ef5ff5cbeb3434d582abd7f17a94287c83c50d107413752e11bf7ee9",
  "sqlite/0009_events.sql": "cd4a0a34ea571332fbedd9b3166edec017e52f3bc134f15a361274a973c0e852",
  "sqlite/0010_run_versions.sql":
    "0fb4e6bbd8f3d50a1a81b187666e2090c19324d3593c3451ba0ac0d691e7555b",
};

it("runs the migrations that were released, unchanged", () => {
  const folder = join(import.meta.dirname, "../../checkpointers");
  const found = Object.fromEntries(
    ["postgres", "sqlite"].flatMap((dialect) =>
      readdirSync(join(folder, dialect, "migrations")).map((file) => {
        const sql = readFileSync(join(folder, dialect, "migrations", file));
        return [`${dialect}/${file}`, createHash("sha256").update(sql).digest("hex")];
      }),
    ),
  );
  expect(found).toEqual(GOLDEN);
  expect(SQLITE_VERSION).toBe(POSTGRES_VERSION);
});

async function latestMigration(place: string): Promise<number> {
  const [row] = await execute(
    place,
    (table) => `SELECT max(version) AS latest FROM ${table("migrations")}`,
  );
  return Number(row?.["latest"]);
}

/** What a newer holdfast would leave. */
async function pretendMigration(place: string): Promise<void> {
  await execute(
    place,
    (table) =>
      `INSERT INTO ${table("migrations")} (version, name, applied_at) VALUES (4711, 'new', '2030-01-01')`,
  );
}

describe.each(PLACES)("setup on %s", (_, newPlace) => {
  it("runs by itself, whatever is called first", async () => {
    const config = onThread("t");
    const first: ((saver: ReturnType<Awaited<ReturnType<typeof newPlace>>["open"]>) => unknown)[] =
      [
        (saver) => saver.getTuple(config),
        (saver) => saver.list(config).next(),
        (saver) => saver.getDeltaChannelHistory({ config, channels: ["log"] }),
        (saver) => saver.listThreads(),
        (saver) => saver.stats(),
        (saver) => saver.prune("*", { latestOnly: true }),
        (saver) => saver.deleteForRuns(["run"]),
        (saver) => saver.deleteThread("t"),
        (saver) => chain(saver, 1).invoke({ log: [] }, config),
      ];
    for (const use of first) {
      const place = await newPlace();
      await use(place.open());
      await expect(readTables(place.url)).resolves.toBeDefined();
    }
  });

  it("happens once, however often it is asked for at the same time", async () => {
    const place = await newPlace();
    const saver = place.open();
    await Promise.all([saver.setup(), saver.setup(), saver.getTuple(onThread("t"))]);
    await saver.setup();
    expect(await latestMigration(place.url)).toBe(SQLITE_VERSION);
  });

  it("is safe when many processes start at once on an empty database", async () => {
    const place = await newPlace();
    const children = Array.from({ length: 6 }, (_, i) =>
      startChild("start-together.ts", place.url, `thread-${i}`),
    );
    await Promise.all(children.map((child) => child.next("ready")));
    for (const child of children) child.send({ type: "go" });
    await Promise.all(children.map((child) => child.ended));
    for (const child of children) {
      expect(child.messages.at(-1)).toEqual({ type: "done", log: wholeLog(3) });
    }
    expect(await latestMigration(place.url)).toBe(SQLITE_VERSION);
    expect((await place.open().listThreads()).threads).toHaveLength(6);
  });

  it("refuses a schema newer than the code, and changes nothing", async () => {
    const place = await newPlace();
    await chain(place.open(), 2).invoke({ log: [] }, onThread("t"));
    await pretendMigration(place.url);
    const before = await readTables(place.url);
    const old = place.open();
    const tooNew = { code: "SCHEMA_TOO_NEW", found: 4711, supported: SQLITE_VERSION };
    await expect(old.setup()).rejects.toMatchObject(tooNew);
    await expect(old.getTuple(onThread("t"))).rejects.toMatchObject(tooNew);
    await expect(chain(old, 2).invoke({ log: [] }, syncRun("u"))).rejects.toMatchObject(tooNew);
    expect(await readTables(place.url)).toEqual(before);
  });

  it("tries again at the next use after it failed", async () => {
    const place = await newPlace();
    await place.open().setup();
    await pretendMigration(place.url);
    const saver = place.open();
    await expect(saver.getTuple(onThread("t"))).rejects.toMatchObject({ code: "SCHEMA_TOO_NEW" });
    await execute(place.url, (table) => `DELETE FROM ${table("migrations")} WHERE version = 4711`);
    expect(await saver.getTuple(onThread("t"))).toBeUndefined();
  });

  it("is over after end(), which may be called twice", async () => {
    const place = await newPlace();
    const saver = place.open();
    const graph = chain(saver, 2);
    await graph.invoke({ log: [] }, onThread("t"));
    await saver.end();
    await saver.end();
    const ended = {
      code: "DATABASE_UNAVAILABLE",
      message: expect.stringContaining("ended") as string,
    };
    await expect(saver.getTuple(onThread("t"))).rejects.toMatchObject(ended);
    await expect(graph.invoke({ log: [] }, onThread("t"))).rejects.toMatchObject(ended);
    await expect(saver.listThreads()).rejects.toMatchObject(ended);
    await expect(saver.prune("*", { latestOnly: true })).rejects.toMatchObject(ended);
    const unused = place.open();
    await unused.end();
    await expect(unused.setup()).rejects.toMatchObject(ended);
  });

  it("waits with end() for what is queued", async () => {
    const place = await newPlace();
    const saver = place.open();
    const put = putOne(saver, "t");
    await saver.end();
    expect(await place.open().getTuple(onThread("t"))).toMatchObject({
      checkpoint: { id: (await put).configurable?.["checkpoint_id"] as string },
    });
  });
});
