/** Steps on databases that were there before them. */

import { readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { expect, it, onTestFinished } from "vitest";
import { PostgresSaver } from "../../../checkpointers/postgres/index.ts";
import { createDatabase } from "../../support/databases.ts";
import { PLACES } from "../../support/places.ts";
import { execute, withClient } from "../../support/raw-tables.ts";
import { chain, onThread, syncRun, wholeLog } from "../../support/small-graphs.ts";

/** What the first release left: its tables, and a thread. */
async function makeFirst(place: string): Promise<void> {
  const dialect = place.startsWith("sqlite:") ? "sqlite" : "postgres";
  const file = `../../../checkpointers/${dialect}/migrations/0001_checkpoints.sql`;
  const first = readFileSync(new URL(file, import.meta.url), "utf8");
  if (dialect === "sqlite") {
    const db = new DatabaseSync(place.slice("sqlite:".length));
    db.exec(first);
    db.exec(
      "CREATE TABLE holdfast_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL)",
    );
    db.close();
  } else {
    await withClient(place, async (client) => {
      await client.query("CREATE SCHEMA holdfast");
      await client.query(first.replaceAll("{schema}", "holdfast").replaceAll("{prefix}", ""));
      await client.query(
        "CREATE TABLE holdfast.migrations (version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())",
      );
    });
  }
  await execute(
    place,
    (table) =>
      `INSERT INTO ${table("migrations")} (version, name, applied_at) VALUES (1, 'checkpoints', '2026-01-01')`,
  );
  const bytes = (text: string) =>
    `${dialect === "sqlite" ? "X'" : "'\\x"}${Buffer.from(text).toString("hex")}'`;
  await execute(
    place,
    (table) =>
      `INSERT INTO ${table("threads")} (key, hash_key, created_at, updated_at)
       VALUES (${bytes("old")}, ${bytes("sixteen bytes...")}, 1, 1)`,
  );
}

it.each(PLACES)(
  "a database of the first release is brought up to date on %s",
  async (_, newPlace) => {
    const place = await newPlace();
    await makeFirst(place.url);
    const saver = place.open();
    const { steps } = saver;
    steps.status.note("old", { currentStep: "n3" });
    expect(await steps.status.read("old")).toMatchObject({ currentStep: "n3" });
    expect((await saver.listThreads()).threads).toMatchObject([{ threadId: "old" }]);
    await chain(saver, 3).invoke({ log: [] }, syncRun("old"));
    expect((await chain(saver, 3).getState(onThread("old"))).values).toEqual({ log: wholeLog(3) });
  },
);

it("steps share a Postgres schema with others' tables", async () => {
  const url = await createDatabase();
  await withClient(url, async (client) => {
    for (const table of ["thread_status", "usage", "limits"]) {
      await client.query(`CREATE TABLE public.${table} (mine integer)`);
    }
  });
  const saver = PostgresSaver.fromConnString(url, { schema: "public" });
  onTestFinished(() => saver.end());
  await chain(saver, 2).invoke({ log: [] }, syncRun("t"));
  const { steps } = saver;
  steps.status.note("t", { currentStep: "n2" });
  await steps.status.flush();
  const decided = steps.states.decide("limits", { name: "n" }, () => ({ state: 1, result: "ok" }));
  expect(await decided).toBe("ok");
  await withClient(url, async (client) => {
    const { rows } = await client.query(
      "SELECT thread_id, current_step FROM public.holdfast_workflow_status",
    );
    expect(rows).toEqual([{ thread_id: "t", current_step: "n2" }]);
  });
});
