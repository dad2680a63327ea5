/**
 * Events in and out of a runtime: emitted from outside, delivered, by this process's workers, to the waits
 * that they match and to listeners, and swept when nobody needs them any more.
 */

import { randomId } from "../ids.ts";
import type { Engine } from "../engine/engine.ts";
import { InvalidInputError, NotDurableError } from "../errors.ts";
import type { EventStore } from "../event-store.ts";
import type { DurableSaver } from "../step-store.ts";
import { deliverEvents } from "../steps/deliver-events.ts";
import { checkEventName } from "../steps/emit.ts";
import { eachApart } from "../worker/apart.ts";
import type { Chore } from "../worker/worker.ts";
import { Triggers, type Listener, type OnOptions, type StartRun } from "./triggers.ts";

export interface EmitOptions {
  /** Twice the same id is one event, as long as it is kept. At most 200 characters. Default: a new one. */
  id?: string;
}

/** What `runtime.emit()` says. */
export interface Emitted {
  id: string;
  /** False where an event with this id had been emitted before. */
  isNew: boolean;
}

/** What it needs of its runtime. */
export interface DeskNeeds {
  engine: Engine;
  graphs: readonly string[];
  start: StartRun;
  /** How long events are kept, in milliseconds. */
  keep: number | undefined;
}

const DAY = 24 * 60 * 60_000;
const WEEK = 7 * DAY;
/** A listener that nobody has had for so long holds nothing back any more. */
const FORGET = 30 * DAY;
const SWEEP_EVERY = 60_000;
const SWEEP_ROWS = 500;

export class EventDesk implements Chore {
  readonly #saver: DurableSaver;
  readonly #store: EventStore;
  readonly #engine: Engine;
  readonly #graphs: readonly string[];
  readonly #triggers: Triggers;
  readonly #keep: number;
  readonly #leave: () => void;
  #sweepAt: number | undefined;
  readonly isForRuns = true;
  isWanted = false;

  /** @throws {InvalidInputError} `keep` is no length of time */
  constructor(saver: DurableSaver, { engine, graphs, start, keep = WEEK }: DeskNeeds) {
    const { events: store } = saver.steps;
    if (store === undefined) throw new NotDurableError("This saver's steps keep no events.");
    this.#saver = saver;
    this.#store = store;
    this.#engine = engine;
    this.#graphs = graphs;
    if (!(keep >= 0))
      throw new InvalidInputError(`keepEmitted is a number of milliseconds, not ${String(keep)}.`);
    this.#keep = keep;
    this.#triggers = new Triggers(saver, store, start);
    this.#leave = store.onLeft((isRunEnd) => {
      // Most runs end unheard: what waits for them elsewhere is found at the next look.
      if (!isRunEnd || this.#triggers.hearsRuns) this.#want();
    });
  }

  async emit(name: string, payload: unknown, { id = randomId() }: EmitOptions): Promise<Emitted> {
    checkEventName(name);
    await this.#triggers.known();
    const event = { id, name, payload: this.#store.serialize(name, payload) };
    return { id, isNew: await this.#store.add(event) };
  }

  async on(event: string, graph: string, options: OnOptions): Promise<Listener> {
    const listener = await this.#triggers.add(event, graph, options);
    this.#want();
    return listener;
  }

  async work(graphs: readonly string[]): Promise<number | undefined> {
    this.isWanted = false;
    let due: number | undefined;
    const deliver = async (): Promise<void> => {
      const woken = await deliverEvents(this.#saver.steps);
      // Which graphs they are of, the workers find out.
      if (woken.length > 0) this.#engine.notify(this.#graphs);
    };
    const handOut = async (): Promise<void> => {
      const { hasMore, nextAt } = await this.#triggers.work(graphs);
      if (hasMore) this.#want();
      due = nextAt;
    };
    await eachApart([deliver, handOut], (each) => each());
    return due;
  }

  /** Old events go: a chore of its own, as it is not for everyone who works on runs. */
  get sweeper(): Chore {
    return { isWanted: false, work: () => this.#sweep() };
  }

  async #sweep(): Promise<undefined> {
    const { clock } = this.#saver.steps;
    this.#sweepAt ??= clock.now() + SWEEP_EVERY;
    if (clock.now() < this.#sweepAt) return undefined;
    await this.#triggers.touch();
    if (this.#keep === Infinity) {
      this.#sweepAt = clock.now() + SWEEP_EVERY;
      return undefined;
    }
    const before = (await this.#saver.steps.now()) - this.#keep;
    const forgotten = before + this.#keep - Math.max(this.#keep, FORGET);
    const hasMore = await this.#store.sweep({ before, forgotten, limit: SWEEP_ROWS });
    this.#sweepAt = clock.now() + (hasMore ? 0 : SWEEP_EVERY);
    return undefined;
  }

  end(): void {
    this.#leave();
  }

  #want(): void {
    this.isWanted = true;
    this.#engine.notify(this.#graphs);
  }
}
