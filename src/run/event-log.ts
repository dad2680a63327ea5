/**
 * Events on their way to the database: numbered as they come, stored soon, in batches, in their order.
 *
 * States: empty -> waiting (for others, a moment) -> storing -> ... -> failed, for good: a log whose end
 * is missing is no log, so that the run is left to another worker.
 *
 * Invariants
 *   L1  Batches are stored one after the other, each with the events that follow the one before: what is
 *       stored is always all up to some event, and nothing behind it.
 *   L2  Who adds never waits, and `room()` is there for who can: what waits then stays within bounds.
 *   L3  When `flush()` settles, all that had been added is stored; else it rejects with what came between.
 */

import { systemClock, type Clock } from "../clock.ts";
import type { NewRunEvent } from "../run-event-store.ts";

/** How long an event may wait for others, in milliseconds of real time: it is no decision of a run. */
const DELAY = 50;
/** Of a batch. */
const MAX_EVENTS = 100;
const MAX_BYTES = 64 * 1024;
/** Batches that may wait before those who can wait have to. */
const MOST_BATCHES = 8;

export interface EventLogOptions {
  /** Stores a batch, or nothing of it. */
  store: (events: readonly NewRunEvent[]) => Promise<void>;
  /** A batch is stored. */
  onStored?: () => void;
  /** Told once, of what ended the log. */
  onFailure?: (error: unknown) => void;
  clock?: Clock;
}

export class EventLog {
  readonly #options: EventLogOptions;
  readonly #waiting: NewRunEvent[] = [];
  readonly #listeners = new Set<() => void>();
  #bytes = 0;
  #added = 0;
  #stored = 0;
  #running = false;
  /** Up to where somebody waits: until then there is no pause. */
  #wanted = 0;
  #hurry = new AbortController();
  #failure: Error | undefined;

  constructor(options: EventLogOptions) {
    this.#options = options;
  }

  /** Waits for nothing. What comes after a failure goes nowhere. */
  add(event: Omit<NewRunEvent, "n">): void {
    if (this.#failure !== undefined) return;
    this.#added += 1;
    this.#waiting.push({ ...event, n: this.#added });
    this.#bytes += event.data.length;
    if (this.#isBatch()) this.#hurry.abort();
    if (!this.#running) void this.#run();
  }

  /** It is better not to add more for now. */
  get isFull(): boolean {
    return (
      this.#waiting.length >= MOST_BATCHES * MAX_EVENTS || this.#bytes >= MOST_BATCHES * MAX_BYTES
    );
  }

  /** Settles once it is not full any more. @throws what ended the log */
  room(): Promise<void> {
    return this.#until(() => !this.isFull);
  }

  /** Settles once all that was added until now is stored. @throws what ended the log */
  flush(): Promise<void> {
    const upTo = this.#added;
    this.#wanted = upTo;
    this.#hurry.abort();
    return this.#until(() => this.#stored >= upTo);
  }

  #isBatch(): boolean {
    return this.#waiting.length >= MAX_EVENTS || this.#bytes >= MAX_BYTES;
  }

  #until(isSo: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (this.#failure !== undefined) reject(this.#failure);
        else if (isSo()) resolve();
        else return;
        this.#listeners.delete(look);
      };
      this.#listeners.add(look);
      look();
    });
  }

  async #run(): Promise<void> {
    const { store, clock = systemClock, onStored, onFailure } = this.#options;
    this.#running = true;
    try {
      while (this.#waiting.length > 0) {
        this.#hurry = new AbortController();
        if (this.#wanted <= this.#stored && !this.#isBatch()) {
          // Rejects when there is hurry.
          await clock.sleep(DELAY, this.#hurry.signal).catch(() => undefined);
        }
        const batch = this.#take();
        await store(batch);
        this.#stored += batch.length;
        onStored?.();
        this.#tell();
      }
    } catch (error) {
      this.#failure = error as Error;
      this.#waiting.length = 0;
      this.#tell();
      onFailure?.(error);
    }
    this.#running = false;
  }

  #take(): NewRunEvent[] {
    let bytes = 0;
    let count = 0;
    for (const { data } of this.#waiting) {
      if (count > 0 && (count === MAX_EVENTS || bytes + data.length > MAX_BYTES)) break;
      bytes += data.length;
      count += 1;
    }
    this.#bytes -= bytes;
    return this.#waiting.splice(0, count);
  }

  #tell(): void {
    for (const look of [...this.#listeners]) look();
  }
}
