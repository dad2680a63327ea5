/**
 * The runtime: runs are accepted durably, and done by workers of any number of processes.
 *
 * All that it knows is in the database; a process may end at any time, and another one, with a runtime on
 * the same database and with the same graphs, goes on.
 */

import { Bell } from "../engine/bell.ts";
import { localEngine } from "../engine/local.ts";
import type { Engine } from "../engine/engine.ts";
import { InvalidInputError, NotDurableError, NotFoundError } from "../errors.ts";
import { compensate, type Compensation } from "../effects/saga.ts";
import { fork, history } from "../history/index.ts";
import type { Fork, ForkOptions, HistoryOptions, HistoryPoint } from "../history/index.ts";
import { randomId } from "../ids.ts";
import { chooseAnswers, keepAnswers } from "../run/answers.ts";
import { RETRIED } from "../run/attempt.ts";
import type { RunnableGraph } from "../run/graph.ts";
import type { HostedGraph } from "../run/graph-change.ts";
import { questionsOf, readLevel } from "../run/tasks.ts";
import type { Approval } from "../approval-store.ts";
import type { RunEventStore } from "../run-event-store.ts";
import type {
  RunQuery,
  RunQueue,
  RunRecord,
  ScheduleMove,
  StopRequest,
  StoredRun,
} from "../run-store.ts";
import { approvals, type AnswerOptions, type Inbox } from "../steps/inbox.ts";
import { isParked } from "../steps/wait.ts";
import { isDurableSaver, type DurableSaver, type WorkflowStatus } from "../step-store.ts";
import { resolveBudget } from "../policy/budget.ts";
import * as turns from "../turns.ts";
import { Worker, type Chore, type DrainOptions, type WorkerOptions } from "../worker/worker.ts";
import { EventDesk, type Emitted, type EmitOptions } from "./event-desk.ts";
import type { Listener, OnOptions } from "./triggers.ts";
import { checkedConfigurable } from "./configurable.ts";
import { hosted } from "./hosted.ts";
import { infoOf } from "./info.ts";
import { Results } from "./results.ts";
import { EventSweep } from "./event-sweep.ts";
import { Schedules } from "./schedules.ts";
import { checkedModes, streamBell, streamOf } from "./stream.ts";
import type { StreamEvent, StreamMode, StreamOptions } from "./stream.ts";
import type {
  RunInfo,
  RunResult,
  RuntimeOptions,
  ScheduleInfo,
  ScheduleOptions,
  StartOptions,
} from "./types.ts";

export class Runtime {
  /** The saver that all of its graphs run with. */
  readonly saver: DurableSaver;
  readonly #queue: RunQueue;
  readonly #engine: Engine;
  readonly #graphs: ReadonlyMap<string, HostedGraph>;
  readonly #inbox: Inbox;
  readonly #own: WorkerOptions | false;
  readonly #workers = new Set<Worker>();
  readonly #chores: Chore[] = [];
  readonly #schedules: Schedules;
  readonly #desk: EventDesk;
  #started: Promise<void> | undefined;
  /** Rings for a run that a worker of this process has left, and for its stream. */
  readonly #bell: Bell;
  readonly #results: Results;
  readonly #events: RunEventStore;
  readonly #streamMode: readonly StreamMode[];

  constructor(options: RuntimeOptions) {
    const { saver, graphs, engine, onGraphChange, worker = {} } = options;
    const { queue, runEvents, schedules } = isDurableSaver(saver) ? saver.steps : {};
    if (
      !isDurableSaver(saver) ||
      queue === undefined ||
      runEvents === undefined ||
      schedules === undefined
    ) {
      throw new NotDurableError(
        'A runtime needs a saver of "holdfast/sqlite" or "holdfast/postgres".',
      );
    }
    this.saver = saver;
    this.#queue = queue;
    this.#events = runEvents;
    this.#streamMode = checkedModes(options.streamMode);
    this.#chores.push(new EventSweep(saver.steps, runEvents, options.keepEvents));
    this.#bell = new Bell(saver.steps.clock);
    this.#results = new Results(queue, this.#bell, saver.steps.clock);
    this.#engine = engine ?? localEngine();
    this.#graphs = new Map(
      Object.entries(graphs).map(([name, graph]) => [
        name,
        hosted(name, graph, saver, onGraphChange),
      ]),
    );
    const { clock } = saver.steps;
    this.#engine.attach({
      ...{ queue, clock, graphs: [...this.#graphs.keys()] },
      // What cannot be looked at now is, with the worker's next look.
      heed: (runIds) => void this.#heed(runIds).catch(() => undefined),
    });
    this.#desk = new EventDesk(saver, {
      ...{ engine: this.#engine, graphs: [...this.#graphs.keys()], keep: options.keepEmitted },
      start: (graph, input, run) => this.start(graph, input, run),
    });
    this.#chores.push(this.#desk, this.#desk.sweeper);
    this.#inbox = approvals(saver);
    this.#own = worker;
    this.#schedules = new Schedules({
      ...{ saver, queue, store: schedules, graphs: this.#graphs },
      accept: (...run) => this.#accept(...run),
    });
    this.#chores.push(this.#schedules);
  }

  /**
   * Accepts a run: once this settles, a crash of any process loses nothing of it.
   *
   * @throws {RunActiveError} with `multitaskStrategy: "reject"`, while another run of the thread is active
   * @throws {UnserializableError} an input that cannot be stored
   * @throws {InvalidInputError} the run's id is another run's, or a stream mode that there is not
   */
  async start(graph: string, input: unknown, options: StartOptions = {}): Promise<RunInfo> {
    this.#mustHave(graph);
    const { runId = randomId(), budget } = options;
    const { threadId = runId } = options;
    if (typeof threadId !== "string" || threadId === "") {
      throw new InvalidInputError(`The id of a thread is a text, not ${JSON.stringify(threadId)}.`);
    }
    if (budget !== undefined) resolveBudget("budget", budget);
    const known = options.runId === undefined ? undefined : await this.#queue.read(runId);
    if (known !== undefined) mustBe(known, threadId, graph);
    const isNewId = options.runId === undefined;
    const accepted = await this.#accept(graph, input, { ...options, runId, threadId, isNewId });
    const run = accepted?.run ?? (await this.#mustRead(runId));
    mustBe(run, threadId, graph);
    if (accepted?.isNew === true) this.#results.accepted(runId);
    await this.#startOwn();
    return infoOf(run);
  }

  /** @returns undefined where the schedule that fires it has moved on */
  async #accept(
    graph: string,
    input: unknown,
    options: StartOptions & { runId: string; threadId: string; isNewId?: boolean },
    firing?: ScheduleMove,
  ): Promise<{ run: RunRecord; isNew: boolean } | undefined> {
    const { runId, threadId, metadata = {}, startAt, stepLimit, deadline, budget } = options;
    const { configurable, compensate, attended } = options;
    const { priority = 0, multitaskStrategy = "enqueue" } = options;
    const streamMode = checkedModes(options.streamMode ?? this.#streamMode);
    const accepted = await this.#queue.turn(
      threadId,
      (turn) => {
        const run = {
          ...{ runId, threadId, graph, priority, attempt: 0, crashes: 0 },
          startAt: startAt === undefined ? undefined : Number(startAt),
          deadlineAt: deadline === undefined ? undefined : turn.now + deadline,
          stop: undefined,
          reason: undefined,
          schedule: firing?.name,
        };
        return turns.accept(turn, run, multitaskStrategy);
      },
      {
        runId,
        details: {
          ...{ input, metadata, stepLimit, streamMode },
          ...(deadline === undefined ? {} : { deadline }),
          ...(budget === undefined ? {} : { budget }),
          ...(configurable && { configurable: checkedConfigurable(configurable) }),
          ...(compensate === undefined ? {} : { compensate }),
          ...(attended === undefined ? {} : { attended }),
        },
        ...(firing && { move: firing }),
      },
    );
    if (accepted === undefined) return undefined;
    // An id of somebody's own may be another thread's run.
    const run = options.isNewId === true ? accepted.run : await this.#mustRead(runId);
    if (accepted.isFirst && run.threadId === threadId) {
      this.saver.steps.status.note(threadId, {
        ...{ status: "queued", runId, workflowName: graph, startedAt: run.enqueuedAt },
        ...{ currentStep: undefined, attempt: undefined, errorMessage: undefined },
        ...{ progressPercent: undefined, progressNote: undefined },
      });
    }
    await this.#stopNow(accepted.stopped);
    this.#engine.notify([graph]);
    return { run, isNew: accepted.isNew };
  }

  /**
   * Begins runs of a graph at the instants of a cron expression, on a new thread each unless `threadId`
   * names one. Any worker of the graph fires it, and each instant is fired once, however many there are.
   * The same name again replaces it, and it goes on where it was unless its cron or zone is another one.
   *
   * @param name at most 150 characters
   * @param cron five fields ("0 9 * * 1-5"), six with seconds in front, or a nickname such as "@daily"
   * @param input plain data: it is stored
   * @throws {InvalidInputError} the name, the expression, the zone or an option makes no sense, or there is no input
   * @throws {UnserializableError} an input that cannot be stored, such as a function
   * @throws {NotFoundError} the runtime has no such graph
   */
  async schedule(
    name: string,
    cron: string,
    graph: string,
    input: unknown,
    options: ScheduleOptions = {},
  ): Promise<ScheduleInfo> {
    this.#mustHave(graph);
    return this.#scheduled(await this.#schedules.put(name, cron, graph, input, options));
  }

  /** Removes a schedule; what it has fired goes on. @returns false where there is none */
  unschedule(name: string): Promise<boolean> {
    return this.#schedules.remove(name);
  }

  /** By name. */
  schedules(): Promise<ScheduleInfo[]> {
    return this.#schedules.list();
  }

  /** Fires nothing until it is resumed. @throws {NotFoundError} there is no such schedule */
  pauseSchedule(name: string): Promise<ScheduleInfo> {
    return this.#schedules.pause(name);
  }

  /**
   * Goes on with the next instant that comes: those of the pause are left out.
   * @throws {NotFoundError} there is no such schedule
   */
  async resumeSchedule(name: string): Promise<ScheduleInfo> {
    return this.#scheduled(await this.#schedules.resume(name));
  }

  async #scheduled(schedule: ScheduleInfo): Promise<ScheduleInfo> {
    this.#engine.notify([schedule.graph]);
    await this.#startOwn();
    return schedule;
  }

  /**
   * Goes on with a thread that waits: with an answer to its question, or without one where time or an
   * inbox has changed what it waits for. A gate is passed by {@link approve} and by nothing else.
   *
   * @param value the answer; of several open questions, an object with an answer by each id
   * @throws {NotFoundError} there is no such thread
   * @throws {InvalidInputError} nothing is asked that the value could answer
   */
  async resume(threadId: string, value?: unknown): Promise<RunInfo[]> {
    if (value !== undefined) await this.#answer(threadId, value);
    return this.#wake(threadId);
  }

  /**
   * Tells all who wait for it that something has happened: nodes (`waitForEvent`) and listeners.
   *
   * @param name at most 200 characters; names that begin with "run." are holdfast's own
   * @throws {UnserializableError} the payload cannot be stored faithfully
   * @throws {InvalidInputError} a name or id that none can have
   */
  emit(name: string, payload?: unknown, options: EmitOptions = {}): Promise<Emitted> {
    return this.#desk.emit(name, payload, options);
  }

  /**
   * Begins runs of a graph from events: at most one for each event, whichever processes listen. A new
   * listener begins with what comes from now on; one that was away goes on where it was. Call it in every
   * process that shall hand out its events.
   *
   * @param event a name, also of those that holdfast emits: `run.completed`, `run.failed`, `run.cancelled`
   *   and `run.dead`, with the payload `{ runId, threadId, graph, status, reason, error }`
   * @throws {NotFoundError} the runtime has no such graph
   * @throws {InvalidInputError} a name that none can have, or another listener of this process has
   */
  async on<Payload = unknown>(
    event: string,
    graph: string,
    options: OnOptions<Payload>,
  ): Promise<Listener> {
    this.#mustHave(graph);
    const listener = await this.#desk.on(event, graph, options);
    await this.#startOwn();
    return listener;
  }

  /** Questions and gates of all threads. */
  get inbox(): Pick<Inbox, "list" | "read"> {
    return this.#inbox;
  }

  approve(id: string, options?: AnswerOptions): Promise<Approval> {
    return this.#decided(this.#inbox.approve(id, options));
  }

  reject(id: string, options?: AnswerOptions): Promise<Approval> {
    return this.#decided(this.#inbox.reject(id, options));
  }

  edit(id: string, payload: unknown, options?: AnswerOptions): Promise<Approval> {
    return this.#decided(this.#inbox.edit(id, payload, options));
  }

  respond(id: string, response: unknown, options?: AnswerOptions): Promise<Approval> {
    return this.#decided(this.#inbox.respond(id, response, options));
  }

  /**
   * Ends a run. What it did is taken back; with `rollback` its checkpoints go, too (the ledger of its
   * effects stays). A run that is at work stops as soon as its worker hears of it.
   *
   * @throws {NotFoundError} there is no such run
   */
  async cancel(runId: string, options: { rollback?: boolean } = {}): Promise<RunInfo> {
    const request: StopRequest = options.rollback === true ? "rollback" : "cancel";
    const { threadId } = await this.#mustRead(runId);
    const run = await this.#queue.turn(
      threadId,
      (turn) => turns.stop(turn, runId, request, "cancelled by hand"),
      { runId },
    );
    await this.#stopNow([runId]);
    this.#results.left(runId);
    return infoOf(this.#found(runId, run));
  }

  /**
   * Lets a run that failed, was cancelled or is dead go on: from its last checkpoint, or, where what it did
   * was taken back, from its input.
   *
   * @throws {NotFoundError} there is no such run
   * @throws {InvalidInputError} it has not ended, or has completed, or its thread has gone on
   */
  retry(runId: string): Promise<RunInfo> {
    return this.#goOn(runId, turns.retry);
  }

  /**
   * Lets a run go on that was given up because it killed its workers, once a person has seen to it.
   *
   * @throws {NotFoundError} there is no such run
   * @throws {InvalidInputError} it is not dead, or its thread has gone on
   */
  revive(runId: string): Promise<RunInfo> {
    return this.#goOn(runId, turns.revive);
  }

  async #goOn(runId: string, decide: typeof turns.retry): Promise<RunInfo> {
    const { threadId, seq, details } = await this.#mustRead(runId);
    // A turn shows the runs that have not ended; one that did has left its own end on the thread.
    const runs = await this.#queue.list({ threadId });
    const later = runs.find((run) => run.seq > seq && run.attempt > 0 && turns.isOver(run));
    if (later !== undefined) {
      throw new InvalidInputError(
        `Run "${runId}" cannot go on: its thread has gone on with run "${later.runId}", which is ${later.status}.`,
      );
    }
    const run = await this.#queue.turn(
      threadId,
      (turn) => {
        const decided = decide(turn, runId, details.deadline);
        const [again] = decided.put ?? [];
        return again === undefined ? decided : { ...decided, put: [{ ...again, reason: RETRIED }] };
      },
      { runId },
    );
    const found = this.#found(runId, run);
    this.#engine.notify([found.graph]);
    await this.#startOwn();
    return infoOf(found);
  }

  /** @throws {NotFoundError} there is no such run */
  async run(runId: string): Promise<RunInfo> {
    return infoOf(await this.#mustRead(runId));
  }

  /** Latest first. */
  async runs(query?: RunQuery): Promise<RunInfo[]> {
    return (await this.#queue.list(query)).map(infoOf);
  }

  /** Runs that wait for a time, with the instant and the reason. */
  parked(): Promise<RunInfo[]> {
    return this.runs({ status: "parked" });
  }

  /** What a thread is doing: one cheap read. */
  async status(threadId: string): Promise<WorkflowStatus> {
    const status = await this.saver.steps.status.read(threadId);
    if (status !== undefined) return status;
    throw new NotFoundError(`Nothing is known of thread "${threadId}".`);
  }

  /**
   * Waits, whichever process works on it, until a run has ended or a person is asked.
   *
   * @throws {NotFoundError} there is no such run
   */
  async result<Values = Record<string, unknown>>(
    runId: string,
    options: { signal?: AbortSignal } = {},
  ): Promise<RunResult<Values>> {
    const { run, values: left } = await this.#results.settled(runId, options.signal);
    const { threadId, reason, end } = run;
    const at = end?.checkpointId;
    const configurable = {
      thread_id: threadId,
      ...(at === undefined ? {} : { checkpoint_id: at }),
    };
    const values = left ?? (await this.#mustHave(run.graph).getState({ configurable })).values;
    return {
      ...{ runId, threadId, reason },
      status: run.status as RunResult["status"],
      values: values as Values,
      error: end?.error,
      undone: end?.undone ?? [],
      stuck: end?.stuck ?? [],
    };
  }

  /**
   * What a run streams, whichever process works on it: first what is stored, then what comes, until the
   * run has ended or waits for a person. Chunks are kept of a run that was started with a `streamMode`;
   * of any other it tells when workers took it, and how it ended.
   *
   * @throws {NotFoundError} there is no such run
   * @throws {InvalidInputError} a mode that the run does not keep, or `after` is no event's id
   * @example
   * for await (const { event, data } of runtime.stream(runId, { mode: "messages" })) {
   *   if (event === "messages") process.stdout.write(data[0].text);
   * }
   */
  stream(runId: string, options: StreamOptions = {}): AsyncGenerator<StreamEvent> {
    const source = { queue: this.#queue, events: this.#events, bell: this.#bell };
    return streamOf(source, runId, options);
  }

  /** The states of a thread, latest first. */
  history(threadId: string, options?: HistoryOptions): AsyncGenerator<HistoryPoint> {
    return history(this.saver, threadId, options);
  }

  /** A thread's latest state. */
  async state(threadId: string): Promise<Record<string, unknown>> {
    const graph = await this.#graphOf(threadId);
    const { values } = await graph.getState({ configurable: { thread_id: threadId } });
    return values as Record<string, unknown>;
  }

  /** Begins another branch at an earlier state; the runtime's runs go on from there. */
  async fork(threadId: string, options: ForkOptions): Promise<Fork> {
    return fork(await this.#graphOf(threadId), threadId, options);
  }

  /** Takes back what the thread's latest run did. */
  compensate(threadId: string): Promise<Compensation> {
    return compensate({ checkpointer: this.saver }, threadId);
  }

  /** A worker in this process, beside the one that begins by itself; call its `start()`. */
  worker(options: WorkerOptions = {}): Worker {
    const worker = new Worker(
      {
        saver: this.saver,
        queue: this.#queue,
        engine: this.#engine,
        graphs: this.#graphs,
        chores: this.#chores,
        onLeft: (runId, left) => this.#results.left(runId, left),
        onStreamed: (runId) => this.#bell.ring([streamBell(runId)]),
      },
      options,
    );
    this.#workers.add(worker);
    return worker;
  }

  /** Drains the workers of this process. The saver is its owner's to end. */
  async close(options?: DrainOptions): Promise<void> {
    await this.#started?.catch(() => undefined);
    await Promise.all([...this.#workers].map((worker) => worker.drain(options)));
    this.#desk.end();
    await this.#engine.end();
  }

  async #startOwn(): Promise<void> {
    if (this.#own === false) return;
    // Somebody who makes a worker has said how.
    if (this.#workers.size === 0) this.#started = this.worker(this.#own).start();
    await this.#started;
  }

  async #answer(threadId: string, value: unknown): Promise<void> {
    const graph = await this.#graphOf(threadId);
    const level = await readLevel(graph, this.saver, threadId);
    if (level === undefined) throw new NotFoundError(`There is no thread "${threadId}".`);
    const questions = questionsOf(level).filter((question) => !isParked(question.value));
    if (questions.length === 0) {
      throw new InvalidInputError(`Thread "${threadId}" asks nothing that a value could answer.`);
    }
    const answers = chooseAnswers(questions, value, undefined);
    const runs = await this.#queue.list({ threadId });
    const asking = runs.findLast((run) => !turns.isOver(run) && run.attempt > 0);
    await keepAnswers(level, answers, this.saver, this.saver.steps.clock.now(), {
      attempt: asking && asking.attempt + 1,
    });
  }

  async #wake(threadId: string): Promise<RunInfo[]> {
    const woken = (await this.#queue.turn(threadId, turns.wake)) ?? [];
    await this.#tellOf(threadId);
    return Promise.all(woken.map((runId) => this.run(runId)));
  }

  /** What is due on the thread is for workers to hear of. */
  async #tellOf(threadId: string): Promise<void> {
    const due = await this.#queue.list({ threadId, status: "queued" });
    this.#engine.notify(due.map(({ graph }) => graph));
    if (due.length > 0) await this.#startOwn();
  }

  async #decided(answering: Promise<Approval>): Promise<Approval> {
    const approval = await answering;
    await this.#tellOf(approval.threadId);
    return approval;
  }

  /** Those at work in this process hear of it at once. */
  async #stopNow(runIds: readonly string[]): Promise<void> {
    await this.#heed(runIds);
    const runs = await Promise.all(runIds.map((runId) => this.#mustRead(runId)));
    this.#engine.notify(runs.map(({ graph }) => graph));
    if (runs.some((run) => !turns.isOver(run))) await this.#startOwn();
  }

  async #heed(runIds: readonly string[]): Promise<void> {
    const here = runIds.filter((runId) =>
      [...this.#workers].some((worker) => worker.runs.includes(runId)),
    );
    for (const worker of this.#workers) await worker.heed(here);
  }

  async #graphOf(threadId: string): Promise<RunnableGraph> {
    const [latest] = await this.#queue.list({ threadId, limit: 1 });
    if (latest !== undefined) return this.#mustHave(latest.graph);
    const [only, ...others] = this.#graphs.values();
    if (only !== undefined && others.length === 0) return only.graph;
    throw new NotFoundError(`The runtime has accepted no run of thread "${threadId}".`);
  }

  #mustHave(name: string): RunnableGraph {
    const graph = this.#graphs.get(name)?.graph;
    if (graph !== undefined) return graph;
    const names = [...this.#graphs.keys()].map((known) => `"${known}"`).join(", ");
    throw new NotFoundError(`The runtime has no graph "${name}"; it has ${names || "none"}.`);
  }

  async #mustRead(runId: string): Promise<StoredRun> {
    return this.#found(runId, await this.#queue.read(runId));
  }

  #found<Run>(runId: string, run: Run | undefined): Run {
    if (run !== undefined) return run;
    throw new NotFoundError(`There is no run "${runId}".`);
  }
}

/** @throws {InvalidInputError} the run's id is another run's */
function mustBe(run: RunRecord, threadId: string, graph: string): void {
  if (run.threadId === threadId && run.graph === graph) return;
  throw new InvalidInputError(
    `Run "${run.runId}" was accepted before, for graph "${run.graph}" and thread "${run.threadId}".`,
  );
}
