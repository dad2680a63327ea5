/**
 * Schedules: runs that begin at the instants of a cron expression, fired by any worker that has the graph.
 *
 * States of a schedule: waiting (its next instant is to come) -> due (it is not fired yet) -> waiting;
 * paused.
 *
 * Invariants
 *   S1  An instant is fired by the transaction that accepts its run and moves the schedule on. So of any
 *       number of workers one fires it, and one that dies has either done both or nothing.
 *   S2  A change draws a new revision, and who goes by an older one changes nothing: nothing fires what
 *       was removed, paused or replaced before.
 *   S3  A schedule that is declared again goes on where it was, unless its cron or zone is another one.
 *   S4  What a schedule fires passes no gate, and takes the place of no question (invariant T7 in
 *       turns.ts); the instant is left out, and `schedule.skipped` says so.
 *   S5  A schedule that cannot be fired keeps no other one from it.
 */

import { isCommand } from "@langchain/langgraph";
import { InvalidInputError, NotFoundError, isHoldfastError } from "../errors.ts";
import { events } from "../events.ts";
import { randomId } from "../ids.ts";
import { gatesOf } from "../run/gate.ts";
import type { HostedGraph } from "../run/graph-change.ts";
import { questionsOf, readLevel } from "../run/tasks.ts";
import type { RunQueue, RunRecord, ScheduleMove } from "../run-store.ts";
import type {
  ScheduleDetails,
  ScheduleRecord,
  ScheduleStore,
  StoredSchedule,
} from "../schedule-store.ts";
import { isParked } from "../steps/wait.ts";
import type { DurableSaver } from "../step-store.ts";
import { isOver } from "../turns.ts";
import type { Chore } from "../worker/worker.ts";
import { parseCron, type Cron } from "./cron.ts";
import { firings } from "./firings.ts";
import { checkedOptions, checkedName } from "./schedule-options.ts";
import type { StreamMode } from "./stream.ts";
import type { ScheduleInfo, ScheduleOptions, StartOptions } from "./types.ts";

/** How many schedules a look takes care of. */
const SCHEDULES = 100;

/** How many runs a look accepts, all schedules together; each may have one. */
const RUNS = 100;

/** What schedules need of their runtime. */
export interface ScheduleShop {
  saver: DurableSaver;
  queue: RunQueue;
  store: ScheduleStore;
  graphs: ReadonlyMap<string, HostedGraph>;
  /**
   * Accepts a run and moves the schedule in one transaction.
   * @returns undefined where somebody else has moved it
   * @throws {RunActiveError} the thread does not take it now
   */
  accept(
    graph: string,
    input: unknown,
    options: StartOptions & { runId: string; threadId: string },
    firing: ScheduleMove,
  ): Promise<{ run: RunRecord; isNew: boolean } | undefined>;
}

export class Schedules implements Chore {
  readonly #shop: ScheduleShop;
  #isWanted = false;

  constructor(shop: ScheduleShop) {
    this.#shop = shop;
  }

  /** Something was declared in this process, and may be due before it would look. */
  get isWanted(): boolean {
    return this.#isWanted;
  }

  /** Invariant S3. */
  async put(
    name: string,
    expression: string,
    graph: string,
    input: unknown,
    options: ScheduleOptions,
  ): Promise<ScheduleInfo> {
    checkedName(name);
    const { zone, missed, ...rest } = checkedOptions(options);
    const cron = parseCron(expression, zone);
    if (input === undefined || input === null || isCommand(input)) {
      // To LangGraph it means "go on", and would pass what the thread waits for.
      throw new InvalidInputError("What a schedule begins needs an input that is data.");
    }
    const details: ScheduleDetails = { input, ...rest };
    return this.#change(name, details, (known, now) => {
      const { text } = cron;
      const isSame = known?.cron === text && known.zone === zone;
      return {
        ...{ name, cron: text, zone, graph, missed },
        paused: known?.paused ?? false,
        nextAt: isSame ? known.nextAt : firstAfter(cron, now),
        ...{ createdAt: known?.createdAt ?? now, updatedAt: now },
        ...{ lastAt: known?.lastAt, lastRun: known?.lastRun },
      };
    });
  }

  /** @throws {NotFoundError} there is no such schedule */
  pause(name: string): Promise<ScheduleInfo> {
    return this.#change(name, undefined, (known, now) => {
      const schedule = found(name, known);
      return schedule.paused ? schedule : { ...schedule, paused: true, updatedAt: now };
    });
  }

  /** @throws {NotFoundError} there is no such schedule */
  resume(name: string): Promise<ScheduleInfo> {
    return this.#change(name, undefined, (known, now) => {
      const schedule = found(name, known);
      if (!schedule.paused) return schedule;
      const nextAt = parseCron(schedule.cron, schedule.zone).next(now);
      return { ...schedule, paused: false, nextAt, updatedAt: now };
    });
  }

  remove(name: string): Promise<boolean> {
    return this.#shop.store.remove(name);
  }

  async list(): Promise<ScheduleInfo[]> {
    return (await this.#shop.store.list()).map(infoOf);
  }

  /** Fires what is due. */
  async work(graphs: readonly string[]): Promise<number | undefined> {
    const { store, saver } = this.#shop;
    this.#isWanted = false;
    const schedules = await store.next(graphs, SCHEDULES);
    if (schedules.length === 0) return undefined;
    const now = await saver.steps.now();
    const due = schedules.filter(({ nextAt = Infinity }) => nextAt <= now);
    const next = [schedules[due.length]?.nextAt];
    // A fair share: one that has much to catch up with does not keep others waiting.
    const share = Math.max(1, Math.floor(RUNS / due.length));
    for (const schedule of due) next.push(await this.#tryToFire(schedule, now, share));
    return next.reduce((a = Infinity, b = Infinity) => Math.min(a, b), undefined);
  }

  /** Invariant S5. */
  async #tryToFire(
    schedule: ScheduleRecord,
    now: number,
    limit: number,
  ): Promise<number | undefined> {
    try {
      const nextAt = await this.#fire(schedule, now, limit);
      // What did not fit comes with the next look, and others have their turn before.
      return nextAt !== undefined && nextAt > now ? nextAt : undefined;
    } catch (error) {
      if (isHoldfastError(error, "DATABASE_UNAVAILABLE")) throw error;
      events.emit("worker.troubled", { error });
      return undefined;
    }
  }

  async #fire(seen: ScheduleRecord, now: number, limit: number): Promise<number | undefined> {
    const { store } = this.#shop;
    const schedule = await store.read(seen.name);
    // Invariant S2.
    if (schedule?.revision !== seen.revision || schedule.nextAt === undefined) return undefined;
    const { name, cron, zone, graph, missed, nextAt } = schedule;
    const decided = firings(parseCron(cron, zone), { missed, nextAt }, now, limit);
    const [first] = decided.fire;
    let revision = schedule.revision;
    if (decided.missed !== undefined) {
      const to = randomId();
      const move = { name, from: revision, to, nextAt: first ?? decided.nextAt, fired: undefined };
      if (!(await store.move(move))) return undefined;
      const { at: scheduledAt, until: untilAt } = decided.missed;
      const range = { scheduledAt, untilAt, reason: "missed" };
      events.emit("schedule.skipped", { schedule: name, graph, ...range });
      revision = to;
    }
    for (const [i, at] of decided.fire.entries()) {
      const to = randomId();
      const following = decided.fire[i + 1] ?? decided.nextAt;
      const fired = { at, runId: runIdOf(name, at) };
      const isMoved = await this.#fireAt(schedule, {
        ...{ name, from: revision, to, nextAt: following, fired },
      });
      if (!isMoved) return undefined;
      revision = to;
    }
    return decided.nextAt;
  }

  /** Invariants S1 and S4. @returns false where somebody else was faster */
  async #fireAt(
    { name, graph, details }: StoredSchedule,
    move: ScheduleMove & { fired: { at: number; runId: string } },
  ): Promise<boolean> {
    const { at, runId } = move.fired;
    const { input, threadId = runId, metadata } = details;
    const origin = { schedule: name, graph, threadId, scheduledAt: at };
    let reason: string;
    if (details.threadId !== undefined && (await this.#isAsked(graph, threadId))) {
      reason = `Thread "${threadId}" waits for a person.`;
    } else {
      try {
        const instant = new Date(at).toISOString();
        const accepted = await this.#shop.accept(
          graph,
          input,
          {
            ...{ runId, threadId, metadata: { ...metadata, schedule: name, scheduledAt: instant } },
            ...startOptions(details),
          },
          move,
        );
        if (accepted === undefined) return false;
        const { run, isNew } = accepted;
        if (run.threadId !== threadId || run.graph !== graph) {
          const taken = `Its id "${runId}" is that of a run of thread "${run.threadId}".`;
          events.emit("schedule.skipped", { ...origin, untilAt: at, reason: taken });
        } else if (isNew) events.emit("schedule.fired", { ...origin, runId });
        return true;
      } catch (error) {
        if (!isHoldfastError(error, "RUN_ACTIVE")) throw error;
        reason = error.message;
      }
    }
    const isMoved = await this.#shop.store.move({ ...move, fired: undefined });
    if (isMoved) events.emit("schedule.skipped", { ...origin, untilAt: at, reason });
    return isMoved;
  }

  /**
   * Whether a thread waits for a person outside of runs that were accepted. Of those the turn knows; and
   * what one that is over has left unanswered is nobody's question any more.
   */
  async #isAsked(graph: string, threadId: string): Promise<boolean> {
    const { queue, saver, graphs } = this.#shop;
    const runnable = graphs.get(graph)?.graph;
    const [latest] = await queue.list({ threadId, limit: 1 });
    if (runnable === undefined || (latest !== undefined && !isOver(latest))) return false;
    const level = await readLevel(runnable, saver, threadId);
    if (level === undefined) return false;
    const end = latest === undefined ? undefined : (await queue.read(latest.runId))?.end;
    if (end?.checkpointId === level.tuple.checkpoint.id) return false;
    if (questionsOf(level).some(({ value }) => !isParked(value))) return true;
    return (await gatesOf(level, saver, threadId)).length > 0;
  }

  /** Again and again, until nobody else was faster. Without details those that are there stay. */
  async #change(
    name: string,
    details: ScheduleDetails | undefined,
    decide: (
      known: ScheduleRecord | undefined,
      now: number,
    ) => Omit<ScheduleRecord, "revision"> | ScheduleRecord,
  ): Promise<ScheduleInfo> {
    const { store, saver } = this.#shop;
    for (;;) {
      const known = await store.read(name);
      const decided = decide(known, await saver.steps.now());
      if (known !== undefined && decided === known) return infoOf(known);
      const changed = { ...decided, revision: randomId() };
      if (await store.put(changed, known?.revision, details)) {
        this.#isWanted = true;
        return infoOf(changed);
      }
    }
  }
}

function infoOf(schedule: ScheduleRecord): ScheduleInfo {
  const { name, cron, zone, graph, missed, paused } = schedule;
  const { nextAt, lastAt, lastRun, createdAt, updatedAt } = schedule;
  return {
    ...{ name, cron, zone, graph, missed, paused },
    ...{ nextAt, lastAt, lastRun, createdAt, updatedAt },
  };
}

function runIdOf(name: string, at: number): string {
  return `cron:${name}:${new Date(at).toISOString().replace(".000Z", "Z")}`;
}

function firstAfter(cron: Cron, now: number): number {
  const at = cron.next(now);
  if (at !== undefined) return at;
  throw new InvalidInputError(`The cron expression "${cron.text}" never comes.`);
}

function found<Schedule>(name: string, schedule: Schedule | undefined): Schedule {
  if (schedule !== undefined) return schedule;
  throw new NotFoundError(`There is no schedule "${name}".`);
}

function startOptions(details: ScheduleDetails): StartOptions {
  const { multitaskStrategy, priority, deadline, stepLimit, budget, streamMode } = details;
  const { configurable, compensate } = details;
  return {
    ...{ multitaskStrategy, priority },
    ...(deadline === undefined ? {} : { deadline }),
    ...(stepLimit === undefined ? {} : { stepLimit }),
    ...(budget === undefined ? {} : { budget }),
    ...(streamMode === undefined ? {} : { streamMode: streamMode as readonly StreamMode[] }),
    ...(configurable === undefined ? {} : { configurable }),
    ...(compensate === undefined ? {} : { compensate }),
  };
}
