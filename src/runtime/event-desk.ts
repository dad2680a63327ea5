/**
 * Events in and out of a runtime: emitted from outside, and delivered, by this process's workers, to the
 * waits that they match.
 */

import { randomId } from "../ids.ts";
import type { Engine } from "../engine/engine.ts";
import { NotDurableError } from "../errors.ts";
import type { EventStore } from "../event-store.ts";
import type { DurableSaver } from "../step-store.ts";
import { deliverEvents } from "../steps/deliver-events.ts";
import { checkEventName } from "../steps/emit.ts";
import type { Chore } from "../worker/worker.ts";

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

export class EventDesk implements Chore {
  readonly #saver: DurableSaver;
  readonly #store: EventStore;
  readonly #engine: Engine;
  readonly #graphs: readonly string[];
  readonly #leave: () => void;
  isWanted = false;

  constructor(saver: DurableSaver, engine: Engine, graphs: readonly string[]) {
    const { events: store } = saver.steps;
    if (store === undefined) throw new NotDurableError("This saver's steps keep no events.");
    this.#saver = saver;
    this.#store = store;
    this.#engine = engine;
    this.#graphs = graphs;
    this.#leave = store.onLeft(() => this.#want());
  }

  async emit(name: string, payload: unknown, { id = randomId() }: EmitOptions): Promise<Emitted> {
    checkEventName(name);
    const event = { id, name, payload: this.#store.serialize(name, payload) };
    return { id, isNew: await this.#store.add(event) };
  }

  async work(): Promise<undefined> {
    this.isWanted = false;
    const woken = await deliverEvents(this.#saver.steps);
    // Which graphs they are of, the workers find out.
    if (woken.length > 0) this.#engine.notify(this.#graphs);
  }

  end(): void {
    this.#leave();
  }

  #want(): void {
    this.isWanted = true;
    this.#engine.notify(this.#graphs);
  }
}
