/** What may go wrong between steps and Postgres: lost answers, locks, a pooler. */

import pg from "pg";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { Connection } from "../../../checkpointers/postgres/connection.ts";
import { effectRows } from "../../../checkpointers/postgres/effects.ts";
import { PostgresSaver } from "../../../checkpointers/postgres/index.ts";
import type { EffectChange } from "../../../checkpointers/steps/effect-rows.ts";
import { systemClock } from "../../../src/clock.ts";
import { accept } from "../../../src/turns.ts";
import { createDatabase } from "../../support/databases.ts";
import { startPooler } from "../../support/pooler.ts";
import { withClient } from "../../support/raw-tables.ts";
import { putOne } from "../../support/small-graphs.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";

type Send = (...parameters: unknown[]) => Promise<unknown>;

/** A pool whose connections break at the first COMMITs: before they are sent, or before their answer. */
function breakingPool(url: string, plan: ("before" | "after")[]): pg.Pool {
  class Client extends pg.Client {
    constructor(config?: pg.ClientConfig) {
      super(config);
      const send = this.query.bind(this) as Send;
      const breaking: Send = async (...parameters) => {
        const [{ text }] = parameters as [{ text?: string }];
        if (text !== "COMMIT") return send(...parameters);
        const breaks = plan.shift();
        if (breaks === undefined) return send(...parameters);
        if (breaks === "after") await send(...parameters);
        throw new Error("Connection terminated unexpectedly");
      };
      this.query = breaking as unknown as typeof this.query;
    }
  }
  return new pg.Pool({ connectionString: url, Client });
}

function increment(saver: PostgresSaver, kind: "limits" | "breakers" = "limits"): Promise<number> {
  return saver.steps.states.decide<number, number>(kind, { name: "n" }, (state) => ({
    state: (state ?? 0) + 1,
    result: (state ?? 0) + 1,
  }));
}

describe("a decision whose connection breaks as it commits", () => {
  it.each([
    ["sent and not answered", ["after"]],
    ["not sent", ["before"]],
    ["now this, now that", ["before", "after", "before", "before", "after"]],
  ] as const)("is made exactly once: %s", async (_, plan) => {
    const url = await createDatabase();
    const calm = PostgresSaver.fromConnString(url);
    onTestFinished(() => calm.end());
    await calm.setup();
    const saver = new PostgresSaver(breakingPool(url, [...plan]));
    onTestFinished(() => saver.end());
    await saver.setup();
    const numbers: number[] = [];
    for (let i = 0; i < 5; i += 1) {
      numbers.push(await increment(saver));
      // Others decide in between: the row alone could not tell what became of it.
      numbers.push(await increment(calm));
    }
    expect(numbers).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it.each(["before", "after"] as const)("fires a schedule exactly once: %s", async (side) => {
    const url = await createDatabase();
    const calm = PostgresSaver.fromConnString(url);
    onTestFinished(() => calm.end());
    const schedule = {
      ...{ name: "s", revision: "1", cron: "@daily", zone: "UTC", graph: "g", paused: false },
      ...{ missed: "once" as const, nextAt: 1, createdAt: 0, updatedAt: 0 },
      ...{ lastAt: undefined, lastRun: undefined },
    };
    await calm.steps.schedules.put(schedule, undefined, {
      ...{ input: {}, metadata: {}, threadId: undefined, multitaskStrategy: "enqueue" },
      ...{ priority: 0, deadline: undefined, stepLimit: undefined, budget: undefined },
      ...{ streamMode: undefined, configurable: undefined, compensate: undefined },
    });
    const plan: ("before" | "after")[] = [];
    const saver = new PostgresSaver(breakingPool(url, plan));
    onTestFinished(() => saver.end());
    await putOne(saver, "t");
    plan.push(side);
    const accepted = await saver.steps.queue.turn(
      "t",
      (turn) =>
        accept(
          turn,
          {
            ...{ runId: "r", threadId: "t", graph: "g", priority: 0, attempt: 0, crashes: 0 },
            ...{ startAt: undefined, deadlineAt: undefined, stop: undefined, reason: undefined },
            schedule: "s",
          },
          "enqueue",
        ),
      {
        ...{ runId: "r", details: { input: {}, metadata: {}, stepLimit: undefined } },
        move: { name: "s", from: "1", to: "2", nextAt: 2, fired: { at: 1, runId: "r" } },
      },
    );
    expect(plan).toEqual([]);
    expect(accepted).toMatchObject({ isNew: true });
    expect(await calm.steps.queue.list()).toMatchObject([{ runId: "r", schedule: "s" }]);
    expect(await calm.steps.schedules.read("s")).toMatchObject({ revision: "2", lastRun: "r" });
  });

  it("is removed exactly once, too", async () => {
    const url = await createDatabase();
    const saver = new PostgresSaver(breakingPool(url, []));
    await saver.setup();
    await increment(saver);
    await saver.end();
    const broken = new PostgresSaver(breakingPool(url, ["after"]));
    onTestFinished(() => broken.end());
    const removed = broken.steps.states.decide<number, number | undefined>(
      "limits",
      { name: "n" },
      (state) => ({ state: null, result: state }),
    );
    expect(await removed).toBe(1);
    expect((await broken.steps.states.read("limits", { name: "n" })).state).toBeUndefined();
  });
});

describe("a transaction with the user's statements in it", () => {
  const change: EffectChange = {
    row: {
      identity: Buffer.from("identity"),
      generation: 1,
      kind: "transaction",
      name: "book",
      scope: "thread",
      idempotency_key: "k",
      thread_key: Buffer.from("t"),
      root_checkpoint: null,
      task_id: null,
      execution: "e",
      state: "recorded",
      version: "v1",
      process: "p",
      lease_token: null,
      attempts: 1,
      undoable: false,
      call: "{}",
      result: null,
      notes: null,
    },
    replaces: null,
    expired_at: null,
    expires_in: null,
    sent: "no",
    checkpoint: null,
    unless_rerun: false,
    unless_forked: false,
    closes: null,
  };

  it.each([["after"], ["before"]] as const)(
    "happens exactly once, though its connection broke %s its COMMIT reached the server",
    async (breaks) => {
      const url = await createDatabase();
      const calm = PostgresSaver.fromConnString(url);
      onTestFinished(() => calm.end());
      await calm.setup();
      await withClient(url, (client) => client.query("CREATE TABLE bookings (seat integer)"));
      const pool = breakingPool(url, [breaks]);
      const connection = new Connection(pool, {
        schema: "holdfast",
        retryTimeout: 5_000,
        clock: systemClock,
      });
      onTestFinished(() => connection.end());
      await effectRows(connection).transact(change, null, async (handle) => {
        await (handle as pg.PoolClient).query("INSERT INTO bookings VALUES (1)");
        return "1";
      });
      await withClient(url, async (client) => {
        expect((await client.query("SELECT seat FROM bookings")).rows).toEqual([{ seat: 1 }]);
        const { rows } = await client.query("SELECT result FROM holdfast.effects");
        expect(rows).toEqual([{ result: "1" }]);
      });
    },
  );

  it("may take its time between statements; the others' locks do not outlive them", async () => {
    const url = await createDatabase();
    const calm = PostgresSaver.fromConnString(url);
    onTestFinished(() => calm.end());
    await calm.setup();
    const connection = new Connection(new pg.Pool({ connectionString: url }), {
      schema: "holdfast",
      retryTimeout: 9_000,
      clock: systemClock,
    });
    onTestFinished(() => connection.end());
    const timeout = async (client: pg.PoolClient): Promise<string> => {
      const { rows } = await client.query<{ idle_in_transaction_session_timeout: string }>(
        "SHOW idle_in_transaction_session_timeout",
      );
      return rows[0]?.idle_in_transaction_session_timeout ?? "";
    };
    expect(await connection.transaction((_, client) => timeout(client))).toBe("3s");
    let ofUser = "";
    await effectRows(connection).transact(change, null, async (handle) => {
      ofUser = await timeout(handle as pg.PoolClient);
      return "1";
    });
    expect(ofUser).toBe("0");
  });
});

it("a copy of a thread is no failure where only the answer to its COMMIT was lost", async () => {
  const url = await createDatabase();
  const calm = PostgresSaver.fromConnString(url);
  onTestFinished(() => calm.end());
  await putOne(calm, "from", { value: 1 });
  const saver = new PostgresSaver(breakingPool(url, ["after"]));
  onTestFinished(() => saver.end());
  await saver.copyThread("from", "to");
  expect((await calm.stats("to")).checkpoints).toBe(1);
});

describe("locks", () => {
  it("hold up only those who decide on the same key", async () => {
    const url = await createDatabase();
    const saver = PostgresSaver.fromConnString(url);
    onTestFinished(() => saver.end());
    const add = (name: string) =>
      saver.steps.states.decide<number, string>("budgets", { name }, (state) => ({
        state: (state ?? 0) + 1,
        result: name,
      }));
    await add("held");
    await withClient(url, async (other) => {
      await other.query("BEGIN");
      await other.query("SELECT 1 FROM holdfast.budgets WHERE name = 'held' FOR UPDATE");
      const held = add("held");
      // A name that nobody has used, and one that somebody has.
      expect(await Promise.race([held, add("free").then(() => add("free"))])).toBe("free");
      await vi.waitFor(async () => {
        const { rows } = await other.query<{ n: string }>(
          "SELECT count(*) AS n FROM pg_locks WHERE NOT granted",
        );
        expect(Number(rows[0]?.n)).toBe(1);
      });
      await other.query("UPDATE holdfast.budgets SET state = '41' WHERE name = 'held'");
      await other.query("COMMIT");
      expect(await held).toBe("held");
    });
    expect((await saver.steps.states.read("budgets", { name: "held" })).state).toBe(42);
  });

  it("tell the time once they are there, by the server's clock", async () => {
    const url = await createDatabase();
    const saver = PostgresSaver.fromConnString(url);
    onTestFinished(() => saver.end());
    const when = () =>
      saver.steps.states.decide<number, number>("limits", { name: "n" }, (_, now) => ({
        state: now,
        result: now,
      }));
    await when();
    await withClient(url, async (other) => {
      const serverTime = async () => {
        const { rows } = await other.query<{ now: string }>(
          "SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now",
        );
        return Number(rows[0]?.now);
      };
      await other.query("BEGIN");
      await other.query("SELECT 1 FROM holdfast.limits FOR UPDATE");
      const held = when();
      await vi.waitFor(async () => {
        const { rows } = await other.query("SELECT 1 FROM pg_locks WHERE NOT granted");
        expect(rows).toHaveLength(1);
      });
      const freed = await serverTime();
      await other.query("COMMIT");
      expect(await held).toBeGreaterThanOrEqual(Math.floor(freed));
      expect(await saver.steps.now()).toBeLessThanOrEqual(Math.ceil(await serverTime()));
    });
  });
});

it("notes survive a wire that was dead for a while, and say so once", async () => {
  const url = await createDatabase();
  const proxy = await startTcpProxy(url);
  const notices: string[] = [];
  const saver = PostgresSaver.fromConnString(proxy.url, {
    retryTimeout: 300,
    onNotice: (message) => notices.push(message),
  });
  onTestFinished(() => saver.end());
  await saver.setup();
  const { status } = saver.steps;
  proxy.blackHole();
  status.note("t", { currentStep: "a", attempt: 3 });
  status.note("u", { currentStep: "a" });
  await expect(status.flush()).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
  status.note("t", { currentStep: "b" });
  await expect(status.flush()).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
  expect(notices).toEqual([expect.stringContaining("workflow_status")]);
  proxy.heal();
  const calm = PostgresSaver.fromConnString(url);
  onTestFinished(() => calm.end());
  // Without anybody asking: it is tried again.
  await vi.waitFor(
    async () => {
      expect(await calm.steps.status.read("t")).toMatchObject({ currentStep: "b", attempt: 3 });
      expect(await calm.steps.status.read("u")).toMatchObject({ currentStep: "a" });
    },
    { timeout: 20_000, interval: 50 },
  );
  expect(notices).toHaveLength(1);
});

it("a pooler in transaction mode is good enough", async () => {
  const pooler = await startPooler(await createDatabase(), 3);
  const savers = Array.from({ length: 3 }, () =>
    PostgresSaver.fromConnString(pooler.url, { pool: { max: 3 } }),
  );
  onTestFinished(async () => {
    await Promise.all(savers.map((saver) => saver.end()));
  });
  await savers[0]?.setup();
  const numbers = await Promise.all(
    Array.from({ length: 60 }, (_, i) =>
      increment(savers[i % 3] as PostgresSaver, i % 2 === 0 ? "limits" : "breakers"),
    ),
  );
  const expected = Array.from({ length: 30 }, (_, i) => [i + 1, i + 1]).flat();
  expect(numbers.toSorted((a, b) => a - b)).toEqual(expected);
  for (const [i, saver] of savers.entries()) saver.steps.status.note(`t${i}`, { attempt: i });
  for (const saver of savers) await saver.steps.status.flush();
  expect(await savers[0]?.steps.status.list()).toHaveLength(3);
});
