/** Turns of a thread: one after the other, whoever asks for them, and each once. */

import fc from "fast-check";
import pg from "pg";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { PostgresSaver } from "../../../checkpointers/postgres/index.ts";
import type { HoldfastSaver } from "../../../checkpointers/saver.ts";
import type { MultitaskStrategy, RunRecord } from "../../../src/run-store.ts";
import { ManualClock } from "../../../src/testing/manual-clock.ts";
import { LEASE_TOKEN_KEY } from "../../../src/step-store.ts";
import { accept, claim, finish, stop, type Accepted } from "../../../src/turns.ts";
import { createDatabase } from "../../support/databases.ts";
import { PLACES } from "../../support/places.ts";
import { withClient } from "../../support/raw-tables.ts";
import { putOne } from "../../support/small-graphs.ts";

function acceptOne(
  { steps }: HoldfastSaver,
  run: { runId?: string; threadId?: string; strategy?: MultitaskStrategy } = {},
): Promise<Accepted | undefined> {
  const { runId = "r", threadId = "t", strategy = "enqueue" } = run;
  return steps.queue.turn(
    threadId,
    (turn) =>
      accept(
        turn,
        {
          ...{ runId, threadId, graph: "g", priority: 0, attempt: 0, crashes: 0 },
          ...{ startAt: undefined, deadlineAt: undefined, stop: undefined, reason: undefined },
          schedule: undefined,
        },
        strategy,
      ),
    { runId, details: { input: { some: "input" }, metadata: {}, stepLimit: undefined } },
  );
}

const CLAIM = {
  ...{ owner: "w", duration: 60_000, maxCrashes: 3, isDead: () => false },
  graphs: new Map([["g", { fingerprint: "f", pins: false }]]),
};

/** As a worker does. */
function takeOne({ steps }: HoldfastSaver, threadId = "t") {
  return steps.queue.take(threadId, (turn) => claim(turn, CLAIM));
}

/** @returns the run as it was left */
function endOne(
  { steps }: HoldfastSaver,
  token: number | undefined = 0,
): Promise<RunRecord | undefined> {
  return steps.queue.turn("t", (turn) => finish(turn, "r", token, { status: "completed" }), {
    runId: "r",
  });
}

/** Of the thread's newest lease. */
async function tokenOf({ steps }: HoldfastSaver): Promise<number> {
  return (await steps.queue.turn("t", ({ token }) => ({ result: token }))) ?? 0;
}

/** Counts by the run's priority. */
function count({ steps }: HoldfastSaver, lease?: "taken"): Promise<number | undefined> {
  return steps.queue.turn("t", ({ runs: [run], now }) => {
    if (run === undefined) throw new Error("The run is gone.");
    const priority = run.priority + 1;
    const taken = { owner: `owner ${priority}`, expiresAt: now + 1_000 };
    return {
      put: [{ ...run, priority }],
      ...(lease && { lease: taken }),
      result: priority,
    };
  });
}

describe.each(PLACES)("turns on %s", (_, newPlace) => {
  it("are taken one after the other, by however many", async () => {
    const place = await newPlace();
    const [one, other] = [place.open(), place.open()];
    await acceptOne(one);
    const first = await tokenOf(one);
    const counts = await Promise.all(
      Array.from({ length: 40 }, (__, i) =>
        count(i % 2 === 0 ? one : other, i % 3 === 0 ? "taken" : undefined),
      ),
    );
    expect(counts.toSorted((a = 0, b = 0) => a - b)).toEqual(
      Array.from({ length: 40 }, (__, i) => i + 1),
    );
    expect(await one.steps.queue.read("r")).toMatchObject({
      priority: 40,
      details: { input: { some: "input" } },
    });
    expect(await tokenOf(one)).toBe(first + 14);
  });

  it("change nothing where the decision throws, and store what a run left", async () => {
    const saver = (await newPlace()).open();
    await acceptOne(saver);
    const thrown = saver.steps.queue.turn("t", () => {
      throw new Error("no");
    });
    await expect(thrown).rejects.toThrow("no");
    const end = { checkpointId: "c", error: undefined, undone: ["a"], stuck: [] };
    await saver.steps.queue.turn(
      "t",
      ({ runs: [run], now }) => ({
        put: run === undefined ? [] : [{ ...run, status: "completed", endedAt: now }],
        result: undefined,
      }),
      { runId: "r", end },
    );
    expect(await saver.steps.queue.read("r")).toMatchObject({
      status: "completed",
      end: { checkpointId: "c", undone: ["a"] },
      details: { input: { some: "input" } },
    });
  });
});

describe.each(PLACES)("a turn after another one, on %s", (placeName, newPlace) => {
  it("sees what others did since", async () => {
    const place = await newPlace();
    const [one, other] = [place.open(), place.open()];
    await acceptOne(one);
    await count(other);
    expect(await count(one)).toBe(2);
    expect((await takeOne(other))?.result.claimed?.run).toMatchObject({ runId: "r", priority: 2 });
    // Its lost answers come again.
    const again = (await takeOne(one))?.result.claimed;
    expect(again?.run.attempt).toBe(1);
    expect(await endOne(one, again?.lease.token)).toMatchObject({
      status: "completed",
      priority: 2,
    });
  });

  it("refuses nothing that is over by now", async () => {
    const place = await newPlace();
    const [one, other] = [place.open(), place.open()];
    await acceptOne(one);
    await other.steps.queue.turn("t", (turn) => stop(turn, "r", "cancel", "no"), { runId: "r" });
    const next = await acceptOne(one, { runId: "next", strategy: "reject" });
    expect(next).toMatchObject({ isNew: true, isFirst: true });
  });

  it("takes an id of a run that is over for that run", async () => {
    const saver = (await newPlace()).open();
    await acceptOne(saver);
    const taken = await takeOne(saver);
    await endOne(saver, taken?.result.claimed?.lease.token);
    const again = await acceptOne(saver);
    expect(again).toMatchObject({ isNew: false, run: { status: "completed" } });
  });

  it("knows nothing of a thread that was deleted", async () => {
    const place = await newPlace();
    const [one, other] = [place.open(), place.open()];
    await acceptOne(one);
    const lost = (await takeOne(one))?.result.claimed?.lease;
    await other.deleteThread("t");
    expect(await endOne(one, lost?.token)).toBeUndefined();
    expect(await acceptOne(one)).toMatchObject({ isNew: true });
    await takeOne(one);
    expect(await one.getTuple({ configurable: { thread_id: "t" } })).toBeUndefined();
  });

  it("is not of a worker of an earlier thread with the same id", async () => {
    const place = await newPlace();
    const clock = new ManualClock();
    const [one, other] = [place.open({ clock }), place.open({ clock })];
    await acceptOne(one);
    const lost = (await takeOne(one))?.result.claimed?.lease;
    if (lost === undefined) throw new Error("The run was not taken.");
    const leased = { thread_id: "t", checkpoint_ns: "", [LEASE_TOKEN_KEY]: lost.token };
    const parent = await putOne(one, "t", { n: 1 }, { configurable: leased });
    await other.deleteThread("t");
    await clock.advance(1);
    await acceptOne(other);
    await takeOne(other);
    const stray = { configurable: { ...parent.configurable, ...leased } };
    await expect(putOne(one, "t", { n: 2 }, stray)).rejects.toMatchObject({ code: "LEASE_LOST" });
    await expect(one.steps.leases.renew(lost, 1_000)).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(await endOne(one, lost.token)).toBeUndefined();
    expect(await other.getTuple({ configurable: { thread_id: "t" } })).toBeUndefined();
    expect(await other.steps.queue.list()).toMatchObject([{ status: "running" }]);
  });

  it("stores no run under an id that another thread's has", async () => {
    const saver = (await newPlace()).open();
    await acceptOne(saver);
    await acceptOne(saver, { runId: "of another", threadId: "u" });
    await acceptOne(saver, { threadId: "u" });
    await acceptOne(saver, { threadId: "v" });
    expect(await saver.steps.queue.read("r")).toMatchObject({ threadId: "t" });
    expect(await saver.steps.queue.list({ threadId: "v" })).toEqual([]);
    expect((await takeOne(saver, "u"))?.result.claimed?.run.runId).toBe("of another");
    expect((await takeOne(saver, "v"))?.result.claimed).toBeUndefined();
  });

  it("goes by no time that is not there yet", async () => {
    const saver = (await newPlace()).open();
    await acceptOne(saver, { runId: "first", threadId: "first" });
    // As when a server with another clock takes over.
    const [now, wall] = [performance.now.bind(performance), Date.now.bind(Date)];
    const spies = [
      vi.spyOn(performance, "now").mockImplementation(() => now() + 20_000),
      vi.spyOn(Date, "now").mockImplementation(() => wall() + 20_000),
    ];
    onTestFinished(() => spies.forEach((spy) => spy.mockRestore()));
    await acceptOne(saver);
    spies.forEach((spy) => spy.mockRestore());
    const [run] = await saver.steps.queue.list({ threadId: "t" });
    expect(run?.startAt).toBeLessThanOrEqual(Date.now() + (placeName === "SQLite" ? 20_000 : 0));
  });

  it("takes a lease that lasts as long as its holder thinks, however late answers are heard", async () => {
    const place = await newPlace();
    const saver = place.open();
    await acceptOne(saver, { runId: "first", threadId: "first" });
    // Whoever is this busy hears what the time was, not what it is.
    const busy = setInterval(() => {
      const until = performance.now() + 40;
      while (performance.now() < until);
    }, 0);
    onTestFinished(() => clearInterval(busy));
    for (let i = 0; i < 10; i += 1) {
      const threadId = `t${i}`;
      await acceptOne(saver, { runId: threadId, threadId });
      const asked = Date.now();
      await takeOne(saver, threadId);
      const lease = await saver.steps.leases.read(threadId);
      expect(lease?.expiresAt).toBeGreaterThanOrEqual(asked + CLAIM.duration);
    }
  });

  it("tells who takes a run what it was given, and whether its thread is empty", async () => {
    const place = await newPlace();
    const [one, other] = [place.open(), place.open()];
    const details = { input: { some: "input" }, metadata: {} };
    for (const worker of [one, other]) {
      const threadId = worker === one ? "t" : "u";
      await acceptOne(one, { runId: threadId, threadId });
      const { taken } = (await takeOne(worker, threadId)) ?? {};
      expect(taken).toMatchObject({ isEmpty: true, end: undefined, details });
    }
    await putOne(other, "full", { value: 1 });
    await other.copyThread("full", "copy");
    for (const threadId of ["full", "copy"]) {
      await acceptOne(one, { runId: threadId, threadId });
      const { taken } = (await takeOne(one, threadId)) ?? {};
      expect(taken).toMatchObject({ isEmpty: false, details });
    }
  });
});

const someRuns = fc.array(
  fc.record({
    status: fc.constantFrom("queued", "queued", "parked", "interrupted", "running"),
    attempt: fc.nat(1),
    startAt: fc.constantFrom(undefined, -10, 10),
    graph: fc.constantFrom("a", "b"),
    fingerprint: fc.constantFrom(undefined, "one", "other"),
    stop: fc.constantFrom(undefined, undefined, "cancel" as const),
  }),
  { minLength: 1, maxLength: 4 },
);

describe.each(PLACES)("what is due on %s", (_, newPlace) => {
  it("is what a claim takes", async () => {
    const clock = new ManualClock();
    const saver = (await newPlace()).open({ clock });
    const graphs = new Map([["a", { fingerprint: "one", pins: true }]]);
    const query = { graphs: [{ name: "a", fingerprint: "one" }], limit: 100 };
    let thread = 0;
    await fc.assert(
      fc.asyncProperty(someRuns, async (runs) => {
        const threadId = `t${(thread += 1)}`;
        const isSecond = (at: number): boolean =>
          runs.findIndex(({ status }) => status === "running") < at;
        const put = runs.map(({ startAt, status, attempt, ...run }, at): RunRecord => {
          const isRunning = status === "running" && !isSecond(at);
          const isFresh = status === "queued" || (status === "running" && !isRunning);
          return {
            ...run,
            ...{ runId: `${threadId}-${at}`, threadId, seq: 0, priority: 0, crashes: 0 },
            status: isFresh ? "queued" : status,
            startAt: isRunning || startAt === undefined ? undefined : clock.now() + startAt,
            attempt: isFresh ? attempt : 1,
            ...{ deadlineAt: undefined, enqueuedAt: 0, startedAt: undefined, endedAt: undefined },
            ...{ waitingSince: undefined, schedule: undefined, reason: undefined },
          };
        });
        await saver.steps.queue.turn(threadId, () => ({ put, result: undefined }), {
          details: { input: {}, metadata: {}, stepLimit: undefined },
        });
        const claimed = await saver.steps.queue.turn(threadId, (turn) => {
          const options = { owner: "w", graphs, duration: 1_000, maxCrashes: 3 };
          return { result: claim(turn, { ...options, isDead: () => false }).result.claimed?.run };
        });
        const isDue = (await saver.steps.queue.due(query)).includes(threadId);
        expect({ isDue, put }).toEqual({ isDue: claimed !== undefined, put });
        await saver.deleteThread(threadId);
      }),
      { numRuns: 150 },
    );
  });
});

it("is given up where somebody else is about to have it, also one that was decided before", async () => {
  const url = await createDatabase();
  const saver = PostgresSaver.fromConnString(url);
  onTestFinished(() => saver.end());
  await acceptOne(saver);
  await withClient(url, async (client) => {
    await client.query("BEGIN");
    await client.query("SELECT * FROM holdfast.threads FOR UPDATE");
    for (const many of [1, 2]) {
      const taken = saver.steps.queue.turn(
        "t",
        ({ runs: [run] }) => ({
          put:
            run === undefined ? [] : Array.from({ length: many }, () => ({ ...run, priority: 9 })),
          result: "taken",
        }),
        { skipBusy: true },
      );
      expect(await taken).toBeUndefined();
    }
    await client.query("ROLLBACK");
  });
  expect(await saver.steps.queue.read("r")).toMatchObject({ priority: 0 });
});

describe("a turn whose connection breaks", () => {
  it.each([["before"], ["after"]] as const)("is taken once: %s its writing", async (side) => {
    const plan: ("before" | "after")[] = [];
    class Client extends pg.Client {
      constructor(config?: pg.ClientConfig) {
        super(config);
        // As the pool calls it: with a callback.
        const send = this.query.bind(this) as (...parameters: unknown[]) => unknown;
        this.query = ((query: { text?: string }, values: unknown, done: (error: Error) => void) => {
          const breaks =
            query.text?.startsWith("WITH taken AS") === true ? plan.shift() : undefined;
          if (breaks === undefined) return send(query, values, done);
          const lost = (): void => done(new Error("Connection terminated unexpectedly"));
          return breaks === "before" ? lost() : send(query, values, lost);
        }) as unknown as typeof this.query;
      }
    }
    const pool = new pg.Pool({ connectionString: await createDatabase(), Client });
    const saver = new PostgresSaver(pool);
    onTestFinished(() => saver.end());
    await acceptOne(saver);
    const first = await tokenOf(saver);
    for (let i = 1; i <= 3; i += 1) {
      plan.push(side);
      expect(await count(saver, "taken")).toBe(i);
      expect(plan).toEqual([]);
    }
    expect(await saver.steps.leases.read("t")).toMatchObject({ owner: "owner 3" });
    expect(await tokenOf(saver)).toBe(first + 3);
    // What accepts a run on a new thread, and what takes it.
    plan.push(side, side);
    const accepted = await acceptOne(saver, { runId: "s", threadId: "u" });
    expect(accepted).toMatchObject({ isNew: true, run: { runId: "s" } });
    expect((await takeOne(saver, "u"))?.result.claimed?.lease).toMatchObject({ threadId: "u" });
    expect(plan).toEqual([]);
    const runs = await saver.steps.queue.list({ threadId: "u" });
    expect(runs).toMatchObject([{ runId: "s", status: "running", attempt: 1 }]);
  });
});
