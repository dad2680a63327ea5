/**
 * Listeners: who begins runs of a graph from events of a name.
 *
 * A listener is a row with its place in the order of events, so one that was away goes on where it was. It
 * is handed out by every process that has it, by what this process does beside its runs.
 *
 * Invariants
 *   L1  A run's id is made of the listener and the event: handed out twice, they are one run.
 *   L2  A listener moves on only once the run is stored, or the event is given up, and that is told.
 *   L3  An event that a listener cannot take keeps no other listener from anything, and its own only for
 *       as long as it is tried.
 *   L4  What newer code made a listener of is nothing to a process that has it as it was.
 */

import { isCommand } from "@langchain/langgraph";
import { InvalidInputError } from "../errors.ts";
import type { EventStore, ListenerRecord, PlacedEvent, StoredEvent } from "../event-store.ts";
import { events } from "../events.ts";
import { digestOf } from "../ids.ts";
import { isForeign } from "../run/foreign.ts";
import type { DurableSaver } from "../step-store.ts";
import { BEGUN_BY } from "../steps/wait-for-event.ts";
import { eachApart } from "../worker/apart.ts";
import type { StartOptions } from "./types.ts";

/** An event as a listener sees it. */
export interface TriggerEvent<Payload = unknown> extends Omit<
  StoredEvent,
  "payload" | "unreadable"
> {
  payload: Payload;
}

export interface OnOptions<Payload = unknown> {
  /** The input of the run that an event begins: plain data. */
  input(event: TriggerEvent<Payload>): unknown;
  /** The id of its thread; default: a new thread, with the id of the run. */
  key?(event: TriggerEvent<Payload>): string;
  /** Listeners of different names each begin their runs. Default: the event's and the graph's name. */
  name?: string;
}

export interface Listener {
  readonly name: string;
  /** Listens no more in this process; the listener keeps its place. */
  end(): void;
}

export type StartRun = (
  graph: string,
  input: unknown,
  options: StartOptions & { runId: string },
) => Promise<unknown>;

interface Registered extends ListenerRecord {
  options: OnOptions;
  /** What of the event that it is at was tried in this process. */
  failure: { eventId: string; tries: number; retryAt: number } | undefined;
}

const BATCH = 100;
const MAX_TRIES = 3;
/** After the first try; then twice as long. */
const PAUSE = 1_000;

export class Triggers {
  readonly #saver: DurableSaver;
  readonly #store: EventStore;
  readonly #start: StartRun;
  readonly #listeners = new Map<string, Registered>();
  /** Being made known. */
  readonly #adding = new Set<Promise<void>>();

  constructor(saver: DurableSaver, store: EventStore, start: StartRun) {
    this.#saver = saver;
    this.#store = store;
    this.#start = start;
  }

  /** Whether somebody here listens to the ends of runs. */
  get hearsRuns(): boolean {
    return [...this.#listeners.values()].some(({ event }) => event.startsWith("run."));
  }

  async add(event: string, graph: string, options: OnOptions): Promise<Listener> {
    const { name = `${event} -> ${graph}` } = options;
    if (this.#listeners.has(name))
      throw new InvalidInputError(`There is a listener "${name}" already: give this one a name.`);
    const listener: Registered = { name, event, graph, options, failure: undefined };
    const adding = this.#store.listen(listener);
    this.#adding.add(adding);
    try {
      await adding;
    } finally {
      this.#adding.delete(adding);
    }
    this.#listeners.set(name, listener);
    return { name, end: () => this.#listeners.delete(name) };
  }

  /** Settles once those that were added before are known: what is emitted then is for them, too. */
  async known(): Promise<void> {
    await Promise.allSettled(this.#adding);
  }

  /** Those of this process are still there. */
  async touch(): Promise<void> {
    for (const listener of this.#listeners.values()) await this.#store.touch(listener);
  }

  /** @returns whether there is more to do at once, and when else there will be */
  async work(graphs: readonly string[]): Promise<{ hasMore: boolean; nextAt: number | undefined }> {
    let [hasMore, nextAt] = [false, Infinity];
    const own = [...this.#listeners.values()].filter(({ graph }) => graphs.includes(graph));
    await eachApart(own, async (listener) => {
      const now = await this.#saver.steps.now();
      if ((listener.failure?.retryAt ?? 0) <= now) {
        const found = await this.#store.behind(listener, BATCH);
        const isDone = await this.#handOut(listener, found, now);
        hasMore ||= isDone && found.length === BATCH;
      }
      nextAt = Math.min(nextAt, listener.failure?.retryAt ?? Infinity);
    });
    return { hasMore, nextAt: nextAt === Infinity ? undefined : nextAt };
  }

  /** @returns whether all of them are dealt with */
  async #handOut(
    listener: Registered,
    found: readonly PlacedEvent[],
    now: number,
  ): Promise<boolean> {
    for (const event of found) {
      try {
        await this.#begin(listener, event);
        listener.failure = undefined;
      } catch (error) {
        if (isForeign(error)) throw error;
        if (!this.#failed(listener, event, error, now)) return false;
      }
      await this.#store.advance(listener.name, event.place);
    }
    return true;
  }

  /** Invariant L1. */
  async #begin({ name, graph, options }: Registered, event: PlacedEvent): Promise<void> {
    const runId = `on-${digestOf("on", name, event.id)}`;
    if ((await this.#saver.steps.queue?.read(runId)) !== undefined) return;
    const { seq: _seq, place: _place, unreadable, ...told } = event;
    if (unreadable !== undefined) throw unreadable;
    const input = options.input(told);
    if (input === undefined || input === null || isCommand(input)) {
      // To LangGraph it means "go on", and would pass what the thread waits for.
      throw new InvalidInputError(`The input that listener "${name}" makes is not plain data.`);
    }
    const threadId = options.key?.(told) ?? runId;
    await this.#start(graph, input, { runId, threadId, metadata: { [BEGUN_BY]: event.id } });
  }

  /** @returns true where the event is given up */
  #failed(
    listener: Registered,
    { id: eventId }: PlacedEvent,
    error: unknown,
    now: number,
  ): boolean {
    const { name, event, graph, failure } = listener;
    const tries = (failure?.eventId === eventId ? failure.tries : 0) + 1;
    const skipped = tries >= MAX_TRIES;
    const retryAt = now + PAUSE * 2 ** (tries - 1);
    listener.failure = skipped ? undefined : { eventId, tries, retryAt };
    events.emit("trigger.failed", {
      ...{ listener: name, event, eventId, graph, tries, skipped, error },
    });
    return skipped;
  }
}
