import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import pg from "pg";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import { pgBossEngine } from "../../src/engine/pg-boss.ts";
import { isHoldfastError } from "../../src/errors.ts";
import { events } from "../../src/events.ts";
import { createRuntime, localEngine, sleep, durable, type Engine } from "../../src/index.ts";
import type { TurnGuest } from "../../src/run-store.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { startChild } from "../support/child.ts";
import { createDatabase } from "../support/databases.ts";
import { newEngine } from "../support/engines.ts";
import { newFile, placeAt, type Place } from "../support/places.ts";
import { startPooler } from "../support/pooler.ts";

const State = Annotation.Root({ topic: Annotation<string>(), done: Annotation<boolean>() });

/** Nobody looks for themselves in the time that a test has. */
const HOUR = 3_600_000;

/** What runs wait for within their only node. */
let gate: Promise<void> = Promise.resolve();
afterEach(() => {
  gate = Promise.resolve();
});

const noteGraph = (nap = 0) =>
  new StateGraph(State)
    .addNode(
      "note",
      durable.for(State)(async () => {
        await gate;
        if (nap > 0) await sleep(nap);
        return { done: true };
      }),
    )
    .addEdge(START, "note")
    .addEdge("note", END)
    .compile();

async function newPlace(): Promise<Place> {
  return placeAt(await createDatabase());
}

interface Begun {
  saver: HoldfastSaver;
  runtime: Runtime;
}

/** A runtime without a worker, as in a process of its own. */
function begin(
  place: Place,
  engine: Engine,
  graphs: Record<string, object> = { note: noteGraph() },
): Begun {
  const saver = place.open({ retryTimeout: 3_000 });
  const runtime = createRuntime({ saver, graphs, engine, worker: false });
  onTestFinished(() => runtime.close({ gracePeriod: 0 }));
  return { saver, runtime };
}

/** A client for what a test does to the tables behind everybody's back. */
async function connect(place: Place): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: place.url });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

async function jobs(client: pg.Client): Promise<{ state: string; data: { run: string } }[]> {
  const { rows } = await client.query("SELECT state::text, data FROM holdfast_pgboss.job");
  return rows as { state: string; data: { run: string } }[];
}

/** The order in which runs were begun. */
function begunRuns(): string[] {
  const begun: string[] = [];
  onTestFinished(events.on("run.started", ({ runId }) => void begun.push(runId ?? "")));
  return begun;
}

function troubles(): unknown[] {
  const told: unknown[] = [];
  onTestFinished(events.on("engine.troubled", ({ error }) => void told.push(error)));
  return told;
}

describe.each(["listening", "pg-boss"] as const)("workers of another process (%s)", (name) => {
  it("hear at once of a run, of one that is due later, and of the next one of its thread", async () => {
    const place = await newPlace();
    const here = begin(place, newEngine(name));
    const there = begin(place, newEngine(name), { note: noteGraph(20) });
    await there.runtime.worker({ pollInterval: HOUR }).start();
    const first = await here.runtime.start("note", { topic: "a" }, { threadId: "t" });
    const second = await here.runtime.start("note", { topic: "b" }, { threadId: "t" });
    const startAt = Date.now() + 300;
    const later = await here.runtime.start("note", { topic: "c" }, { startAt });
    for (const { runId } of [first, second, later]) {
      expect((await here.runtime.result(runId)).status).toBe("completed");
    }
    expect((await here.runtime.run(later.runId)).startedAt).toBeGreaterThanOrEqual(startAt);
  });

  it("hear at once of a run that is to stop", async () => {
    const place = await newPlace();
    const here = begin(place, newEngine(name));
    const there = begin(place, newEngine(name), {
      note: new StateGraph(State)
        .addNode("wait", (_, { signal }) => {
          return new Promise((_resolve, reject) => {
            signal?.addEventListener("abort", () => reject(new Error("aborted")));
          });
        })
        .addEdge(START, "wait")
        .compile(),
    });
    await there.runtime.worker({ pollInterval: HOUR }).start();
    const { runId } = await here.runtime.start("note", { topic: "a" });
    await expect.poll(async () => (await here.runtime.run(runId)).status).toBe("running");
    await here.runtime.cancel(runId);
    expect((await here.runtime.result(runId)).status).toBe("cancelled");
  });

  it("hear again after their connection was lost", async () => {
    const place = await newPlace();
    const here = begin(place, newEngine(name));
    const there = begin(place, newEngine(name));
    await there.runtime.worker({ pollInterval: HOUR }).start();
    const client = await connect(place);
    const listening = async (): Promise<number[]> => {
      const { rows } = await client.query(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'",
      );
      return rows.map(({ pid }: { pid: number }) => pid);
    };
    await expect.poll(listening).toHaveLength(1);
    const [old] = await listening();
    await client.query("SELECT pg_terminate_backend($1)", [old]);
    await expect.poll(async () => (await listening()).filter((pid) => pid !== old)).toHaveLength(1);
    const run = await here.runtime.start("note", { topic: "a" });
    expect((await here.runtime.result(run.runId)).status).toBe("completed");
  });

  it("look for themselves where a pooler carries no messages", async () => {
    const place = placeAt((await startPooler(await createDatabase(), 3)).url);
    const here = begin(place, newEngine(name));
    const there = begin(place, newEngine(name));
    await there.runtime.worker({ pollInterval: 50 }).start();
    const run = await here.runtime.start("note", { topic: "a" });
    expect((await here.runtime.result(run.runId)).status).toBe("completed");
  });

  it("hear of graphs and runs with any name", async () => {
    const place = await newPlace();
    const graph = `größe "\0\ud800' ${"x".repeat(9_000)}`;
    const here = begin(place, newEngine(name), { [graph]: noteGraph() });
    const there = begin(place, newEngine(name), { [graph]: noteGraph() });
    await there.runtime.worker({ pollInterval: HOUR }).start();
    const runId = `"a"\0\ud800'\\ü`;
    await here.runtime.start(graph, { topic: "a" }, { runId });
    expect((await here.runtime.result(runId)).status).toBe("completed");
  });
});

describe("an engine", () => {
  it("says what it needs", async () => {
    const sqlite = placeAt(`sqlite:${newFile()}`).open();
    const graphs = { note: noteGraph() };
    for (const engine of [pgBossEngine(), localEngine({ listen: true })]) {
      expect(() => createRuntime({ saver: sqlite, graphs, engine })).toThrow(/runs in Postgres/);
    }
    const place = await newPlace();
    const engine = pgBossEngine();
    begin(place, engine);
    expect(() => createRuntime({ saver: place.open(), graphs, engine })).toThrow(/one runtime/);
    expect(() => pgBossEngine({ schema: 'x"; drop' })).toThrow(/up to 50 letters/);
  });

  it("that cannot have its tables refuses runs and workers, and stores nothing", async () => {
    const place = await newPlace();
    const owner = place.open();
    await owner.setup();
    const client = await connect(place);
    await client.query(`CREATE ROLE reader_${process.pid} LOGIN PASSWORD 'x'`);
    const role = `reader_${process.pid}`;
    onTestFinished(async () => {
      await client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    });
    await client.query(`
      GRANT USAGE ON SCHEMA holdfast TO ${role};
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA holdfast TO ${role};
      GRANT USAGE ON ALL SEQUENCES IN SCHEMA holdfast TO ${role}`);
    const url = Object.assign(new URL(place.url), { username: role, password: "x" }).href;
    const { runtime } = begin(placeAt(url), pgBossEngine());
    const refused = (error: unknown): boolean => isHoldfastError(error, "DATABASE_UNAVAILABLE");
    await expect(runtime.start("note", {})).rejects.toSatisfy(refused);
    await expect(runtime.worker().start()).rejects.toSatisfy(refused);
    expect(await runtime.runs()).toEqual([]);
  });
});

describe("jobs of pg-boss", () => {
  it("are there with the run that they are of, or not at all", async () => {
    const place = await newPlace();
    const { runtime, saver } = begin(place, pgBossEngine());
    const client = await connect(place);
    const server = saver.steps.queue?.server;
    if (server === undefined) throw new Error("a server is needed");
    // Comes after the engine: the job is stored, and the connection breaks.
    let breaks = 1;
    const breaking: TurnGuest = {
      prepare: () => Promise.resolve(),
      store: async (_, transaction) => {
        if (breaks-- > 0)
          await transaction.execute("SELECT pg_terminate_backend(pg_backend_pid())");
      },
      failed: () => undefined,
    };
    const leave = server.join(breaking);
    await runtime.start("note", { topic: "a" }, { runId: "a" });
    expect((await jobs(client)).map(({ data }) => data.run)).toEqual(['"a"']);
    breaks = Infinity;
    const lost = runtime.start("note", { topic: "b" }, { runId: "b" });
    await expect(lost).rejects.toSatisfy((error) => isHoldfastError(error, "DATABASE_UNAVAILABLE"));
    leave();
    expect((await runtime.runs()).map(({ runId }) => runId)).toEqual(["a"]);
    expect(await jobs(client)).toHaveLength(1);
  });

  it("go with a process that is killed before its transaction ends", async () => {
    const place = await newPlace();
    const { runtime } = begin(place, pgBossEngine());
    const client = await connect(place);
    const child = startChild("accept.ts", place.url, "r");
    await child.next("stored");
    await child.kill();
    expect(await runtime.runs()).toEqual([]);
    expect(await jobs(client)).toEqual([]);
    await runtime.start("note", { topic: "a" }, { runId: "r", threadId: "r" });
    expect(await jobs(client)).toEqual([{ state: "created", data: { run: '"r"' } }]);
  });

  it("are removed when the worker has left the run", async () => {
    const place = await newPlace();
    const { runtime } = begin(place, pgBossEngine());
    const client = await connect(place);
    await runtime.worker({ pollInterval: HOUR }).start();
    for (const runId of ["a", "b", "c"]) await runtime.start("note", { topic: runId }, { runId });
    for (const runId of ["a", "b", "c"]) await runtime.result(runId);
    await expect.poll(() => jobs(client)).toEqual([]);
  });

  it("are taken in the order of their priority, as many as there is room for", async () => {
    const place = await newPlace();
    const { runtime } = begin(place, pgBossEngine());
    const client = await connect(place);
    const begun = begunRuns();
    await runtime.start("note", { topic: "x" }, { runId: "slow", priority: -1 });
    await runtime.start("note", { topic: "x" }, { runId: "plain" });
    await runtime.start("note", { topic: "x" }, { runId: "urgent", priority: 5 });
    await runtime.start("note", { topic: "x" }, { runId: "next", priority: 4 });
    const go = Promise.withResolvers<void>();
    gate = go.promise;
    await runtime.worker({ concurrency: 2, pollInterval: 50 }).start();
    await expect.poll(() => begun).toHaveLength(2);
    const states = (await jobs(client)).map(({ state, data }) => [data.run, state]);
    expect(Object.fromEntries(states)).toEqual({
      '"urgent"': "active",
      '"next"': "active",
      '"plain"': "created",
      '"slow"': "created",
    });
    go.resolve();
    for (const runId of ["slow", "plain"]) await runtime.result(runId);
    expect(begun.slice(0, 2).toSorted()).toEqual(["next", "urgent"]);
    expect(begun).toHaveLength(4);
  });

  it("are left to workers that have their graph", async () => {
    const place = await newPlace();
    const here = begin(place, pgBossEngine(), { note: noteGraph(), other: noteGraph() });
    const client = await connect(place);
    const begun = begunRuns();
    await here.runtime.start("other", { topic: "x" }, { runId: "other" });
    const without = begin(place, pgBossEngine());
    await without.runtime.worker({ pollInterval: 20 }).start();
    await here.runtime.start("note", { topic: "x" }, { runId: "note" });
    await here.runtime.result("note");
    expect(begun).toEqual(["note"]);
    await expect.poll(() => jobs(client)).toEqual([{ state: "created", data: { run: '"other"' } }]);
    const having = begin(place, pgBossEngine(), { other: noteGraph() });
    await having.runtime.worker({ pollInterval: HOUR }).start();
    expect((await here.runtime.result("other")).status).toBe("completed");
  });

  it("may come twice, for runs that are at work, or over, or of nobody", async () => {
    const place = await newPlace();
    const { runtime } = begin(place, pgBossEngine());
    const client = await connect(place);
    const begun = begunRuns();
    const go = Promise.withResolvers<void>();
    gate = go.promise;
    const workers = [runtime.worker({ pollInterval: 20 }), runtime.worker({ pollInterval: 20 })];
    await Promise.all(workers.map((worker) => worker.start()));
    await runtime.start("note", { topic: "x" }, { runId: "a" });
    await expect.poll(() => begun).toEqual(["a"]);
    const again = async (...data: unknown[]): Promise<void> => {
      for (const each of data) {
        await client.query(
          `INSERT INTO holdfast_pgboss.job (name, data, policy, singleton_key, heartbeat_seconds)
           SELECT 'graph/note', $1::jsonb, 'short', gen_random_uuid()::text, 10`,
          [JSON.stringify(each)],
        );
      }
    };
    const run = { run: '"a"' };
    await again(run, run, run, { run: '"nobody"' }, { run: "no JSON" }, { strange: true }, 7);
    const waiting = async () => (await jobs(client)).filter(({ state }) => state !== "active");
    await expect.poll(waiting).toEqual([]);
    go.resolve();
    await runtime.result("a");
    await again(run, run);
    await expect.poll(() => jobs(client)).toEqual([]);
    expect(begun).toEqual(["a"]);
    expect(await runtime.run("a")).toMatchObject({ status: "completed", attempt: 1 });
  });

  it("may come too late, or never: workers look for themselves, too", async () => {
    const place = await newPlace();
    const { runtime } = begin(place, pgBossEngine());
    const client = await connect(place);
    for (const runId of ["late", "lost"]) {
      await runtime.start("note", { topic: runId }, { runId });
    }
    await client.query(
      `UPDATE holdfast_pgboss.job SET start_after = now() + interval '1 day'
       WHERE data->>'run' = '"late"'`,
    );
    await client.query(`DELETE FROM holdfast_pgboss.job WHERE data->>'run' = '"lost"'`);
    await runtime.worker({ pollInterval: 50 }).start();
    for (const runId of ["late", "lost"]) {
      expect((await runtime.result(runId)).status).toBe("completed");
    }
  });

  it("of a run that is woken are moved, not doubled", async () => {
    const place = await newPlace();
    const { runtime } = begin(place, pgBossEngine(), { note: noteGraph(HOUR) });
    const client = await connect(place);
    const worker = runtime.worker({ pollInterval: HOUR });
    await worker.start();
    await runtime.start("note", { topic: "x" }, { runId: "a", threadId: "t" });
    const status = async () => (await runtime.run("a")).status;
    await expect.poll(status).toBe("parked");
    await expect.poll(async () => (await jobs(client)).length).toBe(1);
    await worker.drain();
    await runtime.resume("t");
    const { rows } = await client.query(
      "SELECT count(*)::int AS jobs, max(start_after) <= now() AS due FROM holdfast_pgboss.job",
    );
    expect(rows).toEqual([{ jobs: 1, due: true }]);
  });

  it("are handed on when the worker that took them gives no sign of life", async () => {
    const place = await newPlace();
    const dying = pgBossEngine();
    const living = pgBossEngine();
    const { runtime } = begin(place, dying);
    begin(place, living);
    const client = await connect(place);
    await runtime.start("note", { topic: "x" }, { runId: "a" });
    expect((await dying.take?.(["note"], 5))?.map(({ runId }) => runId)).toEqual(["a"]);
    expect(await living.take?.(["note"], 5)).toEqual([]);
    const beat = async (): Promise<number> => {
      const { rows } = await client.query(
        "SELECT extract(epoch FROM heartbeat_on)::float8 AS at FROM holdfast_pgboss.job",
      );
      return (rows[0] as { at: number }).at;
    };
    const first = await beat();
    await expect.poll(beat, { timeout: 20_000 }).toBeGreaterThan(first);
    await dying.end();
    // As if time had passed.
    await client.query("UPDATE holdfast_pgboss.job SET heartbeat_on = now() - interval '1 minute'");
    await expect
      .poll(async () => (await living.take?.(["note"], 5))?.map(({ runId }) => runId), {
        timeout: 30_000,
      })
      .toEqual(["a"]);
  });

  it("whose tables are gone cost no run, and are made anew", async () => {
    const place = await newPlace();
    const { runtime } = begin(place, pgBossEngine());
    const client = await connect(place);
    const told = troubles();
    await runtime.worker({ pollInterval: 50 }).start();
    await client.query("DROP SCHEMA holdfast_pgboss CASCADE");
    await runtime.start("note", { topic: "x" }, { runId: "a" });
    expect((await runtime.result("a")).status).toBe("completed");
    expect(told).not.toEqual([]);
    await expect.poll(() => jobs(client).catch(() => undefined)).toEqual([]);
    // And used again.
    const go = Promise.withResolvers<void>();
    gate = go.promise;
    await expect
      .poll(async () => {
        const { runId } = await runtime.start("note", { topic: "x" });
        return (await jobs(client)).some(({ data }) => data.run === JSON.stringify(runId));
      })
      .toBe(true);
    go.resolve();
  });
});
