import pg from "pg";
import { beforeAll, describe, expect, it, onTestFinished, afterAll } from "vitest";
import { PostgresSaver } from "../../checkpointers/postgres/index.ts";
import { startChild } from "../support/child.ts";
import { createDatabase } from "../support/databases.ts";
import { placeAt } from "../support/places.ts";
import { startPostgres, type Postgres } from "../support/postgres.ts";
import { withClient } from "../support/raw-tables.ts";
import { chain, onThread, putOne, syncRun, wholeLog } from "../support/small-graphs.ts";

/** A saver whose connections can be told from all others. */
function openNamed(url: string, retryTimeout = 20_000): { saver: PostgresSaver; name: string } {
  const name = `test_${crypto.randomUUID()}`;
  const saver = PostgresSaver.fromConnString(url, {
    retryTimeout,
    pool: { application_name: name },
  });
  onTestFinished(() => saver.end());
  return { saver, name };
}

async function terminate(url: string, name: string): Promise<number> {
  return withClient(url, async (client) => {
    const { rowCount } = await client.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1",
      [name],
    );
    return rowCount ?? 0;
  });
}

/**
 * Takes all threads' rows, so that the next commit has to wait, and then ends its backend.
 * @returns when they are taken; `done` when a commit was ended
 */
async function endNextCommit(url: string, name: string): Promise<{ done: Promise<void> }> {
  const blocker = new pg.Client({ connectionString: url });
  await blocker.connect();
  await blocker.query("BEGIN");
  await blocker.query("SELECT * FROM holdfast.threads FOR UPDATE");
  // By another connection: within a transaction, the view of the activity stays as it was.
  const done = withClient(url, async (observer) => {
    for (let ended = 0; ended === 0;) {
      const { rows } = await observer.query<{ pid: number }>(
        "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'",
        [name],
      );
      for (const { pid } of rows) await observer.query("SELECT pg_terminate_backend($1)", [pid]);
      ended = rows.length;
    }
    await blocker.end();
  });
  return { done };
}

describe("backends that are terminated", () => {
  it("cost a retry, not the run", async () => {
    const url = await createDatabase();
    const { saver, name } = openNamed(url);
    let terminated = 0;
    const graph = chain(saver, 8, async () => {
      terminated += await terminate(url, name);
    });
    expect((await graph.invoke({ log: [] }, syncRun("t"))).log).toEqual(wholeLog(8));
    expect(terminated).toBeGreaterThanOrEqual(8);
    await terminate(url, name);
    expect((await graph.getState(onThread("t"))).values).toEqual({ log: wholeLog(8) });
    await terminate(url, name);
    await saver.prune(["t"], { latestOnly: true });
    await terminate(url, name);
    await saver.deleteThread("t");
    expect(await saver.getTuple(onThread("t"))).toBeUndefined();
  });

  it("cost a retry in the middle of a commit", async () => {
    const url = await createDatabase();
    const { saver, name } = openNamed(url);
    await chain(saver, 1).invoke({ log: [] }, syncRun("t"));
    let blocked: { done: Promise<void> } | undefined;
    const graph = chain(saver, 3, async (step) => {
      if (step === 2) blocked = await endNextCommit(url, name);
    });
    const state = await graph.invoke({ log: [] }, syncRun("t"));
    expect(state.log).toEqual(["n1", ...wholeLog(3)]);
    await blocked?.done;
    const stored = await chain(placeAt(url).open(), 3).getState(onThread("t"));
    expect(stored.values).toEqual({ log: ["n1", ...wholeLog(3)] });
  });
});

describe("a server", () => {
  let postgres: Postgres;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres.stop());

  it.each(["restarts", "crashes and comes back"])(
    "that %s costs a retry, not the run",
    async (how) => {
      const url = await postgres.createDatabase();
      const { saver } = openNamed(url);
      const graph = chain(saver, 4, async (step) => {
        if (step !== 2) return;
        if (how !== "restarts") await postgres.kill();
        await postgres.restart();
      });
      expect((await graph.invoke({ log: [] }, syncRun("t"))).log).toEqual(wholeLog(4));
      const history = await Array.fromAsync(saver.list(onThread("t")));
      expect(history).toHaveLength(6);
    },
  );

  it("that goes away never ends a process whose connections are idle", async () => {
    const child = startChild("idle-pool.ts", await postgres.createDatabase());
    await child.next("idle");
    await postgres.kill();
    await postgres.restart();
    child.send({ type: "go on" });
    expect(await child.ended).toMatchObject({ code: 0, signal: null });
    expect(child.messages.at(-1)).toEqual({ type: "done" });
  });

  it("that goes away is waited for, also by those who brought their own pool", async () => {
    const url = await postgres.createDatabase();
    const saver = new PostgresSaver(new pg.Pool({ connectionString: url }));
    onTestFinished(() => saver.end());
    await saver.setup();
    await postgres.kill();
    const put = putOne(saver, "t", { value: 1 });
    await postgres.restart();
    await put;
    expect(await saver.getTuple(onThread("t"))).toMatchObject({
      checkpoint: { channel_values: { value: 1 } },
    });
  });

  it("that stays away is reported within the set time, and the run stops", async () => {
    const url = await postgres.createDatabase();
    const { saver } = openNamed(url, 1_000);
    const ran: number[] = [];
    let goneAt = 0;
    const graph = chain(saver, 6, async (step) => {
      ran.push(step);
      if (step !== 2 || goneAt > 0) return;
      await postgres.kill();
      goneAt = performance.now();
    });
    await expect(graph.invoke({ log: [] }, syncRun("t"))).rejects.toMatchObject({
      code: "DATABASE_UNAVAILABLE",
      message: expect.stringContaining("1000 ms") as string,
    });
    expect(performance.now() - goneAt).toBeLessThan(2_500);
    expect(ran).toEqual([1, 2]);
    await postgres.restart();
    // The same saver goes on where the database left off.
    expect((await graph.invoke(null, syncRun("t"))).log).toEqual(wholeLog(6));
    expect(ran).toEqual([1, 2, 2, 3, 4, 5, 6]);
  });

  it("that stays away is reported within the set time to all who wait, however many", async () => {
    const url = await postgres.createDatabase();
    const { saver } = openNamed(url, 1_000);
    await saver.setup();
    await postgres.kill();
    const goneAt = performance.now();
    const puts = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) => putOne(saver, `t${i}`, { value: i })),
    );
    const waited = performance.now() - goneAt;
    await postgres.restart();
    for (const put of puts) expect(put).toMatchObject({ reason: { code: "DATABASE_UNAVAILABLE" } });
    expect(waited).toBeLessThan(2_500);
  });
});
