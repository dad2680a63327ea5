/**
 * A worker: takes runs that are due, as many at a time as it has room for, and works on each until it
 * has ended or waits.
 *
 * States: idle -> working -> draining (takes nothing more, and leaves each run after its superstep)
 * -> stopped.
 *
 * Invariants
 *   W1  A run is worked on only under the lease that was taken in the same transaction as the run.
 *   W2  How a run goes on is stored in the same transaction as its lease is given back; a worker that
 *       dies before leaves a run whose lease expires, which another one takes.
 *   W3  Nothing that a run does ends the worker. A database that is gone is waited for.
 *   W4  A chore that fails is told of, and keeps no other one from being done.
 */

import { anySignal } from "../abort.ts";
import type { Clock } from "../clock.ts";
import type { Delivery, Engine, Listening } from "../engine/engine.ts";
import { InvalidInputError, LeaseLostError } from "../errors.ts";
import { events } from "../events.ts";
import { processOf, systemProcesses } from "../process.ts";
import { Attempt, type AttemptEnd } from "../run/attempt.ts";
import { isForeign } from "../run/foreign.ts";
import type { HostedGraph } from "../run/graph-change.ts";
import { newOwner } from "../run/lease.ts";
import { RunStream } from "../run/run-stream.ts";
import type { DueGraph, RunQueue, RunRecord, StoredRun } from "../run-store.ts";
import type { DurableSaver, Lease } from "../step-store.ts";
import { eachApart } from "./apart.ts";
import { claim, finish, isOver, type ClaimedGraph } from "../turns.ts";

export interface WorkerOptions {
  /** Names of the graphs whose runs it takes. Default: all that the runtime has. */
  graphs?: readonly string[];
  /** How many runs at a time. Default 10. */
  concurrency?: number;
  /** How long a run stays this worker's own after it died, in milliseconds. Default 30,000. */
  leaseDuration?: number;
  /** How often it looks for what other processes accepted or asked for, in milliseconds. Default 1,000. */
  pollInterval?: number;
  /** A run whose workers died more often than this in a row is given up as "dead". Default 3. */
  maxCrashes?: number;
  /**
   * A run of which nothing was heard for so long is told of as `run.stalled`, in milliseconds; it goes on.
   * Default 600,000.
   */
  stallAfter?: number;
  /** Takes these runs only, and leaves schedules to others. Default: any. */
  runs?: readonly { runId: string; threadId: string }[];
  /**
   * Hears of its runs' tasks, as LangGraph's stream mode "tasks" tells of them, subgraphs included:
   * `[namespace, "tasks", task]`, when one begins and when it has ended.
   */
  onTasks?: (runId: string, chunk: unknown) => void;
}

export interface DrainOptions {
  /** How long runs may take to end their superstep before they are broken off, in milliseconds. Default 25,000. */
  gracePeriod?: number;
}

/** What workers do beside runs, as those of all processes may do at the same time. */
export interface Chore {
  /** It is not to wait until the worker looks around by itself. */
  readonly isWanted: boolean;
  /** Runs that go on may wait for it: done by workers of a few runs, too. */
  readonly isForRuns?: boolean;
  /** Does what is due. @returns when something will be due next, where that is known */
  work(graphs: readonly string[]): Promise<number | undefined>;
}

/** What a worker needs of its runtime. */
export interface Workshop {
  saver: DurableSaver;
  queue: RunQueue;
  engine: Engine;
  graphs: ReadonlyMap<string, HostedGraph>;
  chores: readonly Chore[];
  /** More of what a run streams is stored. */
  onStreamed?: (runId: string) => void;
  /** A run ended, or waits; with how it was left, where this worker stored that. */
  onLeft?: (runId: string, left?: LeftRun) => void;
}

/** A run as it was left. */
export interface LeftRun {
  run: StoredRun;
  /** Its last state, where that is at hand: nobody else's. */
  values: Record<string, unknown> | undefined;
}

const DEFAULT_CONCURRENCY = 10;
const DEFAULT_LEASE = 30_000;
const DEFAULT_POLL = 1_000;
const DEFAULT_CRASHES = 3;
const DEFAULT_STALL = 600_000;
const DEFAULT_GRACE = 25_000;

export class Worker {
  readonly #shop: Workshop;
  readonly #clock: Clock;
  readonly #graphs: readonly string[];
  readonly #versions: ReadonlyMap<string, ClaimedGraph>;
  readonly #concurrency: number;
  readonly #lease: number;
  readonly #poll: number;
  readonly #maxCrashes: number;
  readonly #stallAfter: number;
  /** With the threads that they are of. */
  readonly #only: { runs: ReadonlySet<string>; threads: ReadonlySet<string> } | undefined;
  readonly #onTasks: WorkerOptions["onTasks"];
  readonly #chores: readonly Chore[];
  readonly #active = new Map<string, { attempt: Attempt; ended: Promise<void> }>();
  readonly #closing = new AbortController();
  #freed = new AbortController();
  #lookedAt = -Infinity;
  /** When the next chore is due, by the database's clock. */
  #choresAt = Infinity;
  #loop: Promise<void> | undefined;

  constructor(shop: Workshop, options: WorkerOptions = {}) {
    const { graphs = [...shop.graphs.keys()] } = options;
    const unknown = graphs.find((name) => !shop.graphs.has(name));
    if (unknown !== undefined) {
      throw new InvalidInputError(`The runtime has no graph "${unknown}" for this worker.`);
    }
    this.#shop = shop;
    this.#clock = shop.saver.steps.clock;
    this.#graphs = graphs;
    this.#versions = new Map(
      graphs.flatMap((name) => {
        const { fingerprint = "", onChange } = shop.graphs.get(name) ?? {};
        return [[name, { fingerprint, pins: onChange === "pin" }]];
      }),
    );
    this.#concurrency = positive("concurrency", options.concurrency ?? DEFAULT_CONCURRENCY);
    this.#lease = positive("leaseDuration", options.leaseDuration ?? DEFAULT_LEASE);
    this.#poll = positive("pollInterval", options.pollInterval ?? DEFAULT_POLL);
    this.#maxCrashes = options.maxCrashes ?? DEFAULT_CRASHES;
    this.#stallAfter = positive("stallAfter", options.stallAfter ?? DEFAULT_STALL);
    this.#only = options.runs && {
      runs: new Set(options.runs.map(({ runId }) => runId)),
      threads: new Set(options.runs.map(({ threadId }) => threadId)),
    };
    this.#onTasks = options.onTasks;
    this.#chores =
      options.runs === undefined ? shop.chores : shop.chores.filter((chore) => chore.isForRuns);
  }

  /** The ids of the runs that it works on now. */
  get runs(): string[] {
    return [...this.#active.keys()];
  }

  /** Begins to take runs; settles once the database is ready for it. */
  async start(): Promise<void> {
    if (this.#closing.signal.aborted) {
      throw new InvalidInputError("This worker was stopped; make another one.");
    }
    if (this.#loop !== undefined) return;
    await this.#shop.queue.nextAt(this.#graphs);
    await this.#shop.engine.prepare?.();
    this.#loop ??= this.#work();
  }

  /** Takes nothing more, lets each run end its superstep, and leaves the rest to other workers. */
  async drain({ gracePeriod = DEFAULT_GRACE }: DrainOptions = {}): Promise<void> {
    this.#close();
    const drainAll = (): void => {
      for (const { attempt } of this.#active.values()) attempt.drain();
    };
    drainAll();
    // It may be about to take one.
    await this.#loop;
    drainAll();
    const ended = Promise.all([...this.#active.values()].map((each) => each.ended));
    const calm = new AbortController();
    const late = this.#clock.sleep(gracePeriod, calm.signal).then(
      () => this.#breakOff(),
      () => undefined,
    );
    await Promise.race([ended, late]);
    await ended;
    calm.abort(new Error("drained"));
  }

  /** Breaks off what it works on, and leaves it to other workers. */
  async stop(): Promise<void> {
    this.#close();
    await this.#loop;
    this.#breakOff();
    await Promise.all([...this.#active.values()].map((each) => each.ended));
  }

  #close(): void {
    this.#closing.abort(new Error("The worker is closing."));
  }

  #breakOff(): void {
    for (const { attempt } of this.#active.values()) attempt.breakOff();
  }

  async #work(): Promise<void> {
    const { signal } = this.#closing;
    const { engine } = this.#shop;
    while (!signal.aborted) {
      this.#freed = new AbortController();
      const heard = engine.listen(this.#graphs);
      try {
        let taken = await this.#takeDelivered();
        const isTime = this.#clock.now() - this.#lookedAt >= this.#poll;
        // With an engine that delivers, its own look is for what the engine missed.
        if (isTime || engine.take === undefined) taken += await this.#takeDue();
        if (isTime) {
          this.#lookedAt = this.#clock.now();
          await this.#takeOver();
          await this.heed();
          for (const { attempt } of this.#active.values()) {
            await attempt.tellOfStall(this.#stallAfter);
          }
          await this.#doChores(this.#chores);
        } else {
          await this.#doChores(this.#chores.filter(({ isWanted }) => isWanted));
        }
        if (taken === 0 || this.#room() === 0) await this.#rest(heard);
      } catch (error) {
        if (signal.aborted) return;
        // Invariant W3.
        events.emit("worker.troubled", { error });
        await this.#clock.sleep(this.#poll, signal).catch(() => undefined);
      } finally {
        heard.end();
      }
    }
  }

  #room(): number {
    return this.#concurrency - this.#active.size;
  }

  /** @returns how many messages there were */
  async #takeDelivered(): Promise<number> {
    const room = this.#room();
    if (room <= 0 || this.#only !== undefined) return 0;
    const deliveries = (await this.#shop.engine.take?.(this.#graphs, room)) ?? [];
    await Promise.all(deliveries.map((delivery) => this.#takeUp(delivery)));
    return deliveries.length;
  }

  /** Twice, late, or for a run that is another's: it is a message, and no more. */
  async #takeUp({ runId, settle }: Delivery): Promise<void> {
    let isTaken = false;
    try {
      const run = await this.#shop.queue.read(runId);
      if (run === undefined || isOver(run)) return;
      isTaken = await this.#take(run.threadId, settle);
    } finally {
      if (!isTaken) settle();
    }
  }

  /** @returns how many runs it took */
  async #takeDue(): Promise<number> {
    const room = this.#room();
    if (room <= 0) return 0;
    if (this.#only !== undefined) return this.#takeOf(this.#only.threads);
    const threads = await this.#shop.queue.due({ graphs: this.#wanted(), limit: room });
    const taken = await Promise.all(threads.map((threadId) => this.#take(threadId)));
    return taken.filter(Boolean).length;
  }

  /** Of these threads, whether anything of theirs is due or not. */
  async #takeOf(threads: Iterable<string>): Promise<number> {
    let taken = 0;
    for (const threadId of threads) {
      if (this.#room() > 0 && (await this.#take(threadId))) taken += 1;
    }
    return taken;
  }

  #wanted(): DueGraph[] {
    return [...this.#versions].map(([name, { pins, fingerprint }]) =>
      pins ? { name, fingerprint } : { name },
    );
  }

  /** Runs of processes of this machine that are gone: their leases need not be waited for. */
  async #takeOver(): Promise<void> {
    if (this.#room() <= 0 || this.#only !== undefined) return;
    for (const { threadId, owner } of await this.#shop.queue.working()) {
      if (this.#room() <= 0) return;
      if (isDead(owner)) await this.#take(threadId);
    }
  }

  /** Stops those of its runs that are to be stopped, whoever asked for it. */
  async heed(runIds: readonly string[] = this.runs): Promise<void> {
    for (const runId of await this.#shop.queue.stopping(runIds)) {
      const run = await this.#shop.queue.read(runId);
      if (run?.stop !== undefined) this.#active.get(runId)?.attempt.stop(run.stop, run.reason);
    }
  }

  /** Invariant W4. */
  async #doChores(chores: readonly Chore[]): Promise<void> {
    if (chores.length === this.#chores.length) this.#choresAt = Infinity;
    await eachApart(chores, async (chore) => {
      const next = await chore.work(this.#graphs);
      this.#choresAt = Math.min(this.#choresAt, next ?? Infinity);
    });
  }

  /** Until something may be due, a run has ended, or it is time to look again. */
  async #rest(heard: Listening): Promise<void> {
    const { queue } = this.#shop;
    const { signal } = this.#closing;
    const { at = Infinity, now } = await queue.nextAt(this.#graphs);
    // Without room for it, nothing is gained by being there in time.
    const isLooking = this.#room() > 0 && this.#only === undefined;
    const next = Math.min(isLooking ? at : Infinity, this.#choresAt);
    const pause = Math.min(this.#poll, Math.max(1, next - now));
    if (now + pause >= this.#choresAt) this.#lookedAt = -Infinity;
    const woken = anySignal(signal, this.#freed.signal);
    await heard.within(pause, woken).catch(() => undefined);
  }

  /** @param onLeft it has left the run that it took */
  async #take(threadId: string, onLeft?: () => void): Promise<boolean> {
    const { queue, saver } = this.#shop;
    const owner = newOwner();
    const asked = this.#clock.now();
    const { result, taken } =
      (await queue.take(threadId, (turn) =>
        claim(turn, {
          owner,
          graphs: this.#versions,
          duration: this.#lease,
          maxCrashes: this.#maxCrashes,
          only: this.#only?.runs,
          isDead,
        }),
      )) ?? {};
    for (const run of result?.dead ?? []) await this.#giveUp(run);
    const claimed = result?.claimed;
    if (claimed === undefined) return false;
    // The answer to the turn may have been lost.
    const run = taken ?? (await queue.read(claimed.run.runId));
    const hosted = this.#shop.graphs.get(claimed.run.graph);
    if (run === undefined || hosted === undefined) return false;
    const accepted = { ...claimed.run, details: run.details, end: run.end };
    const attempt = new Attempt({
      hosted,
      saver,
      run: accepted,
      lease: claimed.lease,
      isEmpty: taken?.isEmpty === true,
      asked,
      duration: this.#lease,
      stream: this.#streamOf(accepted, claimed.lease),
      onTasks: this.#onTasks && ((chunk) => this.#onTasks?.(accepted.runId, chunk)),
    });
    const ended = this.#attend(attempt, accepted, claimed.lease).finally(() => {
      this.#active.delete(accepted.runId);
      onLeft?.();
      this.#freed.abort(new Error("freed"));
    });
    this.#active.set(accepted.runId, { attempt, ended });
    return true;
  }

  #streamOf(run: StoredRun, lease: Lease): RunStream | undefined {
    const { saver, onStreamed } = this.#shop;
    const store = saver.steps.runEvents;
    if (store === undefined || (run.details.streamMode ?? []).length === 0) return undefined;
    return new RunStream({ store, run, lease, onStored: () => onStreamed?.(run.runId) });
  }

  /** Nobody else says so: its own workers are gone. */
  async #giveUp({ runId, threadId, graph, crashes, reason }: RunRecord): Promise<void> {
    const { status } = this.#shop.saver.steps;
    status.note(threadId, { status: "dead", errorMessage: reason });
    // What the database could not take is tried again by itself; a run that was just taken must not be left.
    await status.flush().catch(() => undefined);
    events.emit("run.dead", { threadId, runId, graph, crashes, reason });
    this.#shop.onLeft?.(runId);
  }

  /** Invariants W2 and W3. */
  async #attend(attempt: Attempt, run: StoredRun, lease: Lease): Promise<void> {
    const origin = { threadId: run.threadId, runId: run.runId };
    events.emit("run.started", { ...origin, graph: run.graph, attempt: run.attempt });
    let left: LeftRun | undefined;
    try {
      const end = await attempt.work().catch((error: unknown) => unforeseen(error));
      left = await this.#leave(run, lease, end);
    } catch (error) {
      events.emit("run.abandoned", { ...origin, error });
    }
    this.#shop.onLeft?.(run.runId, left);
  }

  async #leave(
    run: StoredRun,
    lease: Lease,
    { ending, end, values }: AttemptEnd,
  ): Promise<LeftRun> {
    const { runId, threadId, details } = run;
    const left = await this.#shop.queue.turn(
      threadId,
      (turn) => finish(turn, runId, lease.token, ending),
      { runId, ...(end === undefined ? {} : { end }) },
    );
    if (left === undefined) throw new LeaseLostError(threadId, lease.token);
    const { graph, attempt, status, startAt, reason } = left;
    events.emit("run.left", { threadId, runId, graph, attempt, status, startAt, reason });
    // What comes next on the thread, or this very run, may be due at once.
    this.#shop.engine.notify([run.graph]);
    return { run: { ...left, details, end: end ?? run.end }, values };
  }
}

function isDead(owner: string): boolean {
  return systemProcesses.isDead(processOf(owner));
}

/** What a run cannot be blamed for goes on elsewhere; anything else ends it. */
function unforeseen(error: unknown): AttemptEnd {
  if (isForeign(error)) throw error;
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return {
    ending: { status: "failed", reason: message },
    end: { checkpointId: undefined, error: { name, message }, undone: [], stuck: [] },
  };
}

function positive(name: string, value: number): number {
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidInputError(`A worker's ${name} is a number greater than 0, not ${value}.`);
}
