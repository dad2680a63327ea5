/**
 * `holdfast/pg-boss`: workers on many machines get their runs from queues of pg-boss.
 *
 * A job names a run that a worker may take, from when, and with which priority; each graph has a queue,
 * which only workers that have the graph fetch from. The job is stored in the transaction that makes the
 * run due, so both are there or neither. It is active while a worker of this process is on the run, and
 * removed when that has left it. Whatever pg-boss does, the run is taken by a turn of its thread.
 *
 * Invariants
 *   P1  An engine that fails costs time, and no run: turns are made without it, workers look by themselves,
 *       and what is missing of pg-boss (its schema, a queue) is made anew.
 *   P2  A job whose worker died is pg-boss's again once its heartbeat is late. The lease, which is mostly
 *       shorter, decides when the run goes on.
 *   P3  At most one job of a run waits: a later turn moves it.
 */

import { createHash } from "node:crypto";
import type { PgBoss, Job, SendOptions } from "pg-boss";
import { systemClock } from "../clock.ts";
import {
  DatabaseUnavailableError,
  HoldfastError,
  InvalidInputError,
  MissingDependencyError,
} from "../errors.ts";
import { events } from "../events.ts";
import type { RunServer, TurnChange, TurnGuest, TurnTransaction } from "../run-store.ts";
import { Bell } from "./bell.ts";
import type { Delivery, Engine, EngineSite, Listening } from "./engine.ts";
import { Messages, serverOf, tellOf } from "./messages.ts";

export interface PgBossEngineOptions {
  /**
   * The schema of pg-boss's tables, beside the saver's in the same database; made where it is missing.
   * Savers with schemas of their own have an engine's schema each. Default "holdfast_pgboss".
   */
  schema?: string;
}

/**
 * An engine for runs in Postgres that are done by many machines: pg-boss dispatches, delays and orders
 * them, and hands on those of workers that died; workers hear of runs at once, by LISTEN and NOTIFY.
 * It uses the saver's pool, and one connection more in each process that has a worker.
 * It needs the package `pg-boss`.
 *
 * @example
 * const runtime = createRuntime({ saver, graphs, engine: pgBossEngine() });
 */
export function pgBossEngine(options: PgBossEngineOptions = {}): Engine {
  return new PgBossEngine(options);
}

const DEFAULT_SCHEMA = "holdfast_pgboss";

/** How late a worker's heartbeat may be, in seconds; pg-boss takes no less. */
const HEARTBEAT = 10;

/** In seconds. */
const SUPERVISION = 5;
const HOUR = 3_600;

/** Of all queues. That a job failed is nobody's concern: runs have their own count of crashes. */
const QUEUE = {
  // Of the waiting jobs with the same key there is one: invariant P3.
  policy: "short",
  heartbeatSeconds: HEARTBEAT,
  expireInSeconds: 24 * HOUR,
  retryLimit: 100,
  retryDelay: 0,
  deleteAfterSeconds: HOUR,
} as const;

/** Later than that is no date for Postgres; workers look by themselves. */
const LAST_DATE = Date.UTC(9999, 11, 31);
const MAX_PRIORITY = 2 ** 31 - 1;

const NO_JOB = "00000000-0000-0000-0000-000000000000";

type Data = { run: string };

/** What it works for. */
interface Attached {
  graphs: readonly string[];
  server: RunServer;
  bell: Bell;
  messages: Messages;
}

class PgBossEngine implements Engine, TurnGuest {
  readonly name = "pg-boss";
  readonly #schema: string;
  #site: Attached | undefined;
  #leave: (() => void) | undefined;
  #boss: Promise<PgBoss> | undefined;
  /** It worked once: from then on, what fails is made up for. */
  #hasWorked = false;
  /** Jobs of this process's workers, by id. */
  readonly #active = new Map<string, { queue: string; job: Job<Data> }>();
  readonly #settled: { queue: string; job: Job<Data> }[] = [];
  #beating: Promise<void> | undefined;
  #removing: Promise<void> | undefined;
  readonly #ending = new AbortController();
  /** Whose queue was asked first; each in turn. */
  #turn = 0;

  constructor({ schema = DEFAULT_SCHEMA }: PgBossEngineOptions) {
    if (!/^[a-z_]\w{0,49}$/i.test(schema)) {
      throw new InvalidInputError(
        `The schema of pg-boss is a name of up to 50 letters, digits and "_", not ${JSON.stringify(schema)}.`,
      );
    }
    this.#schema = schema;
  }

  attach(site: EngineSite): void {
    if (this.#site !== undefined) {
      throw new InvalidInputError("An engine works for one runtime: make another one.");
    }
    const server = serverOf(site, "pgBossEngine()");
    const bell = new Bell(site.clock);
    const messages = new Messages(server, bell, site);
    this.#site = { graphs: site.graphs, server, bell, messages };
    this.#leave = server.join(this);
  }

  notify(graphs: readonly string[]): void {
    this.#site?.bell.ring(graphs);
  }

  listen(graphs: readonly string[]): Listening {
    const { bell, messages } = this.#attached();
    messages.hear();
    return bell.listen(graphs);
  }

  async prepare(): Promise<void> {
    try {
      await this.#ready();
    } catch (error) {
      if (!this.#hasWorked) throw error;
      this.failed(error);
    }
  }

  async store(change: TurnChange, transaction: TurnTransaction): Promise<void> {
    const next = await tellOf(change, transaction);
    if (next === undefined || next.at > LAST_DATE) return;
    const { run, at } = next;
    // Its queue is another runtime's; the workers there find the run with their next look.
    if (!this.#attached().graphs.includes(run.graph)) return;
    const boss = await this.#ready();
    const isDue = at <= change.now;
    const data: Data = { run: JSON.stringify(run.runId) };
    const options: SendOptions & { singletonKey: string } = {
      singletonKey: data.run,
      priority: Math.trunc(Math.max(-MAX_PRIORITY, Math.min(run.priority, MAX_PRIORITY))),
      ...(isDue ? {} : { startAfter: new Date(at) }),
      db: { executeSql: (text, values) => transaction.execute(text, values) },
    };
    const queue = queueOf(run.graph);
    if ((await boss.send(queue, data, options)) === null) {
      // Invariant P3.
      await boss.update(queue, data, { ...options, ...(isDue && { startAfter: 0 }) });
    }
  }

  async take(graphs: readonly string[], limit: number): Promise<Delivery[]> {
    const taken: Delivery[] = [];
    this.#turn += 1;
    try {
      const boss = await this.#ready();
      for (let i = 0; i < graphs.length && taken.length < limit; i += 1) {
        const queue = queueOf(graphs[(i + this.#turn) % graphs.length] as string);
        const jobs = await boss.fetch<Data>(queue, { batchSize: limit - taken.length });
        for (const job of jobs) {
          const runId = runOf(job);
          const settle = this.#hold(queue, job);
          if (runId === undefined) settle();
          else taken.push({ runId, settle });
        }
      }
    } catch (error) {
      this.failed(error);
    }
    return taken;
  }

  /** Invariant P1. */
  failed(error: unknown): void {
    events.emit("engine.troubled", { engine: this.name, error });
    const { code, message } = error as { code?: string; message?: string };
    const isDamaged = code === "42P01" || code === "3F000" || code === "42883";
    if (!isDamaged && !/^Queue .* does not exist/.test(message ?? "")) return;
    this.#makeAnew();
  }

  #makeAnew(): void {
    const damaged = this.#boss;
    this.#boss = undefined;
    damaged?.then(stop).catch(() => undefined);
  }

  async end(): Promise<void> {
    this.#leave?.();
    this.#site?.messages.end();
    this.#ending.abort(new Error("The engine was ended."));
    await this.#beating;
    await this.#removing;
    const boss = await this.#boss?.catch(() => undefined);
    this.#boss = undefined;
    if (boss !== undefined) await stop(boss);
  }

  /** @returns settles it */
  #hold(queue: string, job: Job<Data>): () => void {
    this.#active.set(job.id, { queue, job });
    this.#beating ??= this.#beat();
    return () => {
      if (!this.#active.delete(job.id)) return;
      this.#settled.push({ queue, job });
      this.#removing ??= this.#remove();
    };
  }

  /** Removes what is settled, all of a queue at once. */
  async #remove(): Promise<void> {
    while (this.#settled.length > 0) {
      const batch = this.#settled.splice(0);
      await this.#forEachQueue(batch, (boss, queue, jobs) => boss.deleteJob(queue, jobs));
    }
    this.#removing = undefined;
  }

  /** Invariant P2. */
  async #beat(): Promise<void> {
    const pause = (HEARTBEAT * 1_000) / 3;
    while (this.#active.size > 0) {
      await systemClock.sleep(pause, this.#ending.signal).catch(() => undefined);
      if (this.#ending.signal.aborted) break;
      await this.#forEachQueue([...this.#active.values()], (boss, queue, jobs) =>
        boss.touch(queue, jobs),
      );
    }
    this.#beating = undefined;
  }

  async #forEachQueue(
    batch: readonly { queue: string; job: Job<Data> }[],
    act: (boss: PgBoss, queue: string, jobs: Job<Data>[]) => Promise<unknown>,
  ): Promise<void> {
    try {
      const boss = await this.#ready();
      for (const [queue, of] of Map.groupBy(batch, (each) => each.queue)) {
        await act(
          boss,
          queue,
          of.map(({ job }) => job),
        );
      }
    } catch (error) {
      this.failed(error);
    }
  }

  #ready(): Promise<PgBoss> {
    if (this.#boss === undefined) {
      const starting = this.#start();
      this.#boss = starting;
      starting.catch(() => {
        if (this.#boss === starting) this.#boss = undefined;
      });
    }
    return this.#boss;
  }

  async #start(): Promise<PgBoss> {
    const { server, graphs } = this.#attached();
    const library = await load();
    const boss = new library.PgBoss({
      db: {
        executeSql: (text, values) => server.execute(text, values),
      },
      schema: this.#schema,
      schedule: false,
      superviseIntervalSeconds: SUPERVISION,
      monitorIntervalSeconds: SUPERVISION,
      maintenanceIntervalSeconds: HOUR,
      // Its jobs do not wait for each other.
      flowIntervalSeconds: HOUR,
      // Jobs are few, and of short life; and what takes long would be broken off.
      reindex: false,
      monitorVacuum: false,
    });
    boss.on("error", (error) => events.emit("engine.troubled", { engine: this.name, error }));
    try {
      await boss.start().catch((error: unknown) => {
        if (!isMadeByAnother(error)) throw error;
        return boss.start();
      });
      for (const graph of graphs) await boss.createQueue(queueOf(graph), QUEUE);
      // It keeps in mind what it knows of a queue, so that a turn need not ask for it.
      for (const graph of graphs) await boss.findJobs(queueOf(graph), { id: NO_JOB });
    } catch (error) {
      await stop(boss);
      if (error instanceof HoldfastError) throw error;
      throw explained(error, this.#schema);
    }
    this.#hasWorked = true;
    return boss;
  }

  #attached(): Attached {
    if (this.#site !== undefined) return this.#site;
    throw new InvalidInputError("This engine has no runtime yet: give it to createRuntime().");
  }
}

/** Two processes that make the same schema at the same moment: one of them is told that it is there. */
function isMadeByAnother(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === "23505" || code === "42P06" || code === "42P07";
}

/** Its timers, and no more: the pool is the saver's. */
function stop(boss: PgBoss): Promise<void> {
  return boss.stop({ graceful: false, close: false });
}

/** @throws {MissingDependencyError} */
async function load(): Promise<typeof import("pg-boss")> {
  try {
    return await import("pg-boss");
  } catch (cause) {
    throw new MissingDependencyError(
      'pgBossEngine() needs the package "pg-boss": npm install pg-boss',
      { cause },
    );
  }
}

/** Names of queues have letters, digits and `_-./` only. */
function queueOf(graph: string): string {
  if (/^[\w.\-/]{1,100}$/.test(graph)) return `graph/${graph}`;
  return `graph-hash/${createHash("sha256").update(JSON.stringify(graph)).digest("hex")}`;
}

/** As JSON, in which a text has no NUL and no lone surrogate; undefined in a job that is not ours. */
function runOf({ data }: Job<Data>): string | undefined {
  try {
    const runId: unknown = JSON.parse(data.run);
    return typeof runId === "string" ? runId : undefined;
  } catch {
    return undefined;
  }
}

function explained(error: unknown, schema: string): Error {
  const { message } = error as Error;
  return new DatabaseUnavailableError(
    `pg-boss could not make its tables in the schema "${schema}", or use them: ${message}.`,
    { cause: error },
  );
}
