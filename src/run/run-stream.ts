/**
 * What one attempt of a run streams: LangGraph's chunks, and what becomes of them, as events that are
 * kept for readers in any process.
 *
 * A task may be run again: after a failed attempt, a wait, a question, a crash. What it had streamed until
 * then is no part of what it says in the end, so an event lists it as void: the ids of tasks, or of
 * messages where only a call of a model was tried again.
 *
 * Invariants
 *   S1  What a task streamed is stored before its result is. So what finished is told in full, whatever
 *       crashes; what did not finish is run again.
 *   S2  What is behind an event that lists a task as void is not void: a chunk that comes late, of what
 *       failed before, is dropped.
 *   S3  A stream that cannot be stored ends the attempt, and the run goes on elsewhere or later.
 */

import { consumeCallback } from "@langchain/core/callbacks/promises";
import type { BaseMessage } from "@langchain/core/messages";
import { AsyncLocalStorageProviderSingleton } from "@langchain/core/singletons";
import type { RunnableConfig } from "@langchain/core/runnables";
import { events, type HoldfastEvents } from "../events.ts";
import type { RunEventStore } from "../run-event-store.ts";
import type { StoredRun } from "../run-store.ts";
import type { Lease } from "../step-store.ts";
import { EventLog } from "./event-log.ts";
import { StreamGate, tasksIn, type GateKeeper } from "./stream-gate.ts";
import { hasResult, type Level } from "./tasks.ts";

export interface RunStreamOptions {
  store: RunEventStore;
  run: StoredRun;
  lease: Lease;
  onStored: () => void;
}

/** Of what a chunk was part, when it came to be. */
interface Origin {
  path: readonly string[];
  /** How often each of these had failed by then. */
  failures: readonly number[];
  call: Call | undefined;
  callFailures: number;
}

/** One call of a model, however often it is tried. */
interface Call {
  path: readonly string[];
  failures: readonly number[];
  callFailures: number;
  /** Ids of messages that it streamed since it last failed. */
  messages: Set<string>;
  /** And before. */
  voided: Set<string>;
}

/** What a node wrote to the stream, with where it did. */
class Written {
  readonly value: unknown;
  readonly origin: Origin;

  constructor(value: unknown, origin: Origin) {
    this.value = value;
    this.origin = origin;
  }
}

/** How many turns of the event loop a task's last chunks are waited for, while others stream. */
const QUIET_TURNS = 3;

export class RunStream implements GateKeeper {
  readonly #options: RunStreamOptions;
  readonly #log: EventLog;
  readonly #failed = new AbortController();
  /** Tasks that streamed what is not void, with those around them, by their ids. */
  readonly #streamed = new Map<string, readonly string[]>();
  readonly #finished = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #calls = new Map<string, Call>();
  readonly #origins = new WeakMap<object, Origin>();
  #taken = 0;
  /** What attempts before this one streamed is known. */
  #isRestarted = false;
  readonly #unlisten: () => void;

  constructor(options: RunStreamOptions) {
    this.#options = options;
    const { store, run, lease, onStored } = options;
    const { threadId, seq, attempt, graph } = run;
    const writer = { threadId, seq, attempt, leaseToken: lease.token };
    this.#log = new EventLog({
      store: (batch) => store.append(writer, batch),
      onStored,
      onFailure: (error) => this.#failed.abort(error),
    });
    this.#unlisten = events.on("attempt.failed", (event) => {
      if (event.threadId === threadId) this.#attemptFailed(event);
    });
    this.#add("run.started", undefined, { data: { graph, attempt } });
  }

  /** As LangGraph is asked for them. */
  get modes(): readonly string[] {
    return this.#options.run.details.streamMode ?? [];
  }

  /** Aborts when the stream cannot be stored, with the reason. */
  get signal(): AbortSignal {
    return this.#failed.signal;
  }

  /** For the config of the run. */
  get config(): Pick<RunnableConfig, "callbacks"> & { writer?: (chunk: unknown) => void } {
    return {
      callbacks: [new StreamGate(this)],
      ...(this.modes.includes("custom") && { writer: (chunk: unknown) => this.#write(chunk) }),
    };
  }

  /**
   * LangGraph is about to run the tasks that are not done where the thread stands; undefined for a run
   * that begins, from its input.
   */
  async restart(level: Level | undefined): Promise<void> {
    const { store, run } = this.#options;
    if (!this.#isRestarted && run.attempt > 1) {
      for (const path of await store.paths(run.seq)) this.#streamed.set(path.at(-1) ?? "", path);
    }
    this.#isRestarted = true;
    const isVoid = (path: readonly string[]): boolean =>
      level === undefined || !isDone(level, path);
    const tasks = [...this.#streamed].filter(([, path]) => isVoid(path)).map(([task]) => task);
    this.#finished.clear();
    if (tasks.length === 0) return;
    this.#void(tasks);
    this.#add("tasks.restarted", undefined, { data: { voids: { tasks, messages: [] } } });
  }

  /** @param chunk as LangGraph streams it: `[namespace, mode, payload]` */
  take(chunk: unknown): void {
    const [namespace, mode, payload] = chunk as [string[], string, unknown];
    this.#taken += 1;
    if (mode === "messages") return this.#takeMessage(namespace, payload as [object, object]);
    if (payload instanceof Written) {
      return this.#takeOf(payload.origin, mode, { data: payload.value, namespace });
    }
    this.#add(mode, undefined, { data: payload, namespace });
  }

  /** Settles when all is stored. @throws what keeps it from that */
  async end(): Promise<void> {
    this.#unlisten();
    await this.#log.flush();
  }

  /** For an attempt that ended in trouble. */
  abandon(): void {
    this.#unlisten();
  }

  asked(callId: string, path: readonly string[]): void {
    const failures = path.map((task) => this.#failuresOf(task));
    this.#calls.set(callId, {
      path,
      failures,
      callFailures: 0,
      messages: new Set(),
      voided: new Set(),
    });
  }

  said(callId: string, message: object): void {
    const call = this.#calls.get(callId);
    if (call === undefined || this.#origins.has(message)) return;
    const { path, failures, callFailures } = call;
    this.#origins.set(message, { path, failures, call, callFailures });
  }

  answered(callId: string): void {
    this.#calls.delete(callId);
  }

  room(): Promise<void> | undefined {
    return this.#log.isFull ? orNever(this.#log.room()) : undefined;
  }

  async done(path: readonly string[]): Promise<void> {
    await this.#quiet();
    const task = path.at(-1);
    if (task === undefined) return;
    this.#finished.add(task);
    // Invariant S1.
    if (this.#streamed.has(task)) await orNever(this.#log.flush());
  }

  /** Settles once all that was streamed so far has been taken. */
  async #quiet(): Promise<void> {
    // LangChain calls handlers that nobody waits for one after the other.
    await new Promise<void>((resolve) => {
      void consumeCallback(() => Promise.resolve(resolve()), false);
    });
    // From there to here a chunk needs no more than a turn of the event loop; other tasks may go on for long.
    for (let [taken, turns] = [-1, 0]; taken !== this.#taken && turns < QUIET_TURNS; turns += 1) {
      taken = this.#taken;
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
    }
  }

  #takeMessage(namespace: string[], payload: [message: object, metadata: object]): void {
    const [message, metadata] = payload;
    const { langgraph_checkpoint_ns: ns } = metadata as { langgraph_checkpoint_ns?: unknown };
    const origin = this.#origins.get(message) ?? this.#originNow(tasksIn(ns));
    if (!this.#isLate(origin)) nameAnew(message as BaseMessage, origin.call);
    this.#takeOf(origin, "messages", { data: payload, namespace });
  }

  #takeOf(origin: Origin, mode: string, said: { data: unknown; namespace: string[] }): void {
    // Invariant S2.
    if (this.#isLate(origin)) return;
    const task = origin.path.at(-1);
    if (task !== undefined) this.#streamed.set(task, origin.path);
    this.#add(mode, origin.path, said);
  }

  /** As LangGraph's own writer does it, with where it was. */
  #write(value: unknown): void {
    const { configurable = {} } = (AsyncLocalStorageProviderSingleton.getRunnableConfig() ??
      {}) as RunnableConfig;
    const ns = (configurable["checkpoint_ns"] ?? "") as string;
    const written = new Written(value, this.#originNow(tasksIn(ns)));
    const chunk = [ns.split("|").slice(0, -1), "custom", written];
    const stream = configurable["__pregel_stream"] as { push(chunk: unknown): void } | undefined;
    // Through the stream of the run, so that it keeps its place among the other chunks.
    if (stream === undefined) this.take(chunk);
    else stream.push(chunk);
  }

  #originNow(path: readonly string[]): Origin {
    const failures = path.map((task) => this.#failuresOf(task));
    return { path, failures, call: undefined, callFailures: 0 };
  }

  #failuresOf(task: string): number {
    return this.#failures.get(task) ?? 0;
  }

  #isLate({ path, failures, call, callFailures }: Origin): boolean {
    if (call !== undefined && call.callFailures !== callFailures) return true;
    return path.some((task, i) => this.#failuresOf(task) !== failures[i]);
  }

  #attemptFailed(event: HoldfastEvents["attempt.failed"]): void {
    const { node, taskId, callId, attempt, maxAttempts, kind, error, nextAttemptAt } = event;
    const call = callId === undefined ? undefined : this.#calls.get(callId);
    const tasks: string[] = [];
    const messages = [...(call?.messages ?? [])];
    if (call !== undefined) {
      call.callFailures += 1;
      for (const id of messages) call.voided.add(id);
      call.messages.clear();
    } else if (callId === undefined && taskId !== undefined) {
      for (const [task, path] of this.#streamed) {
        const isWithin = path.includes(taskId) && (task === taskId || !this.#finished.has(task));
        if (isWithin) tasks.push(task);
      }
      this.#void([...tasks, taskId]);
    }
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    this.#add("attempt.failed", undefined, {
      data: {
        ...{ node, taskId, attempt, maxAttempts, kind, nextAttemptAt, error: { name, message } },
        voids: { tasks, messages },
      },
    });
  }

  #void(tasks: readonly string[]): void {
    for (const task of new Set(tasks)) {
      this.#streamed.delete(task);
      this.#failures.set(task, this.#failuresOf(task) + 1);
    }
  }

  #add(
    event: string,
    path: readonly string[] | undefined,
    said: { data: unknown; namespace?: string[] },
  ): void {
    const { store } = this.#options;
    try {
      this.#log.add({ event, path, data: store.serialize(said, `stream "${event}"`) });
    } catch (error) {
      const { name, message } = error as Error;
      // What cannot be kept is not left out in silence.
      const refused = { data: { mode: event, error: { name, message } } };
      const data = store.serialize(refused, "stream");
      this.#log.add({ event: "chunk.refused", path, data });
    }
  }
}

/**
 * Notes which message it is a piece of. One without an id gets from LangGraph that of the call's first
 * message, which is void once the call is made again: such a piece belongs to the newer one.
 */
function nameAnew(message: BaseMessage, call: Call | undefined): void {
  if (call === undefined) return;
  const [newest] = call.messages;
  if (newest !== undefined && call.voided.has(message.id ?? "")) message._updateId(newest);
  if (message.id !== undefined) call.messages.add(message.id);
}

/**
 * A stream that failed ends the attempt by its signal (S3): a callback that threw would only be one more
 * error of a node.
 */
function orNever(work: Promise<void>): Promise<void> {
  return work.catch(() => new Promise<void>(() => undefined));
}

/** Whether a task has finished, where the thread stands there. */
function isDone(level: Level, [first, ...rest]: readonly string[]): boolean {
  const task = level.tasks.find(({ id, name }) => id === first || name === first);
  // A superstep later.
  if (task === undefined || task.done) return true;
  const [next] = rest;
  if (next === undefined) return false;
  // A task that a function calls has its result beside that of the function.
  if (hasResult(level.tuple.pendingWrites ?? [], next)) return true;
  // Of a graph that a function calls by itself nobody can tell from here.
  return task.levels.length > 0 && task.levels.every((inner) => isDone(inner, rest));
}
