/**
 * Writes that may wait a moment. What is noted goes to the database together with whatever else was
 * noted meanwhile, one statement for all threads.
 *
 * States of an entry: waiting -> in flight -> gone, or waiting again where the database was away.
 *
 * Invariants
 *   Q1  One flush at a time: of one key the database gets the notes in their order.
 *   Q2  Who notes never waits and never fails. A flush that the database could not take is tried again,
 *       under what was noted since; that is reported once, until one succeeds. An item that the database
 *       refuses is reported and dropped.
 *   Q3  Who writes hears when that, or what took its place, is durable, or that it failed.
 */

import { systemClock } from "../../src/clock.ts";
import { isHoldfastError } from "../../src/errors.ts";

/** How long a note may wait for others, in milliseconds of real time: it is no decision of a step. */
const DELAY = 50;
const MAX_DELAY = 30_000;
/** Items of one statement. */
const MOST = 512;

interface Waiter {
  resolve: () => void;
  reject: (error: unknown) => void;
}

interface Entry<Item> {
  item: Item;
  /** Noted: tried again after a failure. What was only written is its writer's to try again. */
  noted: boolean;
  waiters: Waiter[];
}

export interface SoonOptions<Item> {
  /** Stores items of different keys, in one transaction. */
  store: (items: readonly Item[]) => Promise<void>;
  /** What of two items of one key is stored; by default the newer. */
  merge?: (older: Item, newer: Item) => Item;
  /** Told once of a failure that nobody else hears of, until something succeeds. */
  onFailure: (error: unknown) => void;
}

export class Soon<Item> {
  readonly #options: SoonOptions<Item>;
  readonly #waiting = new Map<string, Entry<Item>>();
  readonly #flight = new Map<string, Entry<Item>>();
  #running = false;
  /** Settles when nothing is in flight. */
  #landing: Promise<void> = Promise.resolve();
  /** Ends the pause before the next flush. */
  #hurry = new AbortController();
  #delay = DELAY;
  #reported = false;
  #closed = false;

  constructor(options: SoonOptions<Item>) {
    this.#options = options;
  }

  note(key: string, item: Item): void {
    if (this.#closed) {
      this.#report(new Error("the saver was ended"));
      return;
    }
    this.#add(key, { item, noted: true, waiters: [] });
  }

  write(key: string, item: Item): Promise<void> {
    const done = new Promise<void>((resolve, reject) => {
      this.#add(key, { item, noted: false, waiters: [{ resolve, reject }] });
    });
    this.#hurry.abort();
    return done;
  }

  /** What was noted or written and is not durable yet. */
  pending(key: string): Item | undefined {
    return (this.#waiting.get(key) ?? this.#flight.get(key))?.item;
  }

  /** Settles when all that is here now is durable; rejects where that failed. */
  async flush(): Promise<void> {
    const here = [...this.#waiting.values(), ...this.#flight.values()];
    const settled = here.map(
      (entry) =>
        new Promise<void>((resolve, reject) => {
          entry.waiters.push({ resolve, reject });
        }),
    );
    if (here.length > 0) this.#hurry.abort();
    await Promise.all(settled);
  }

  /** Drops what waits, and waits for what cannot be stopped any more. */
  async forget(matches: (item: Item) => boolean): Promise<void> {
    await this.#landing;
    for (const [key, { item, waiters }] of this.#waiting) {
      if (!matches(item)) continue;
      this.#waiting.delete(key);
      for (const { resolve } of waiters) resolve();
    }
  }

  /** Stores what is here; what the database does not take now is reported, and lost. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.flush().catch((error: unknown) => this.#report(error));
    this.#waiting.clear();
  }

  #add(key: string, entry: Entry<Item>): void {
    const older = this.#waiting.get(key);
    this.#waiting.set(key, older === undefined ? entry : this.#joined(older, entry));
    if (!this.#running) void this.#run();
  }

  #joined(older: Entry<Item>, newer: Entry<Item>): Entry<Item> {
    const { merge } = this.#options;
    return {
      item: merge === undefined ? newer.item : merge(older.item, newer.item),
      noted: older.noted || newer.noted,
      waiters: [...older.waiters, ...newer.waiters],
    };
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.size > 0) {
      // Rejects when there is hurry.
      await systemClock.sleep(this.#delay, this.#hurry.signal).catch(() => undefined);
      this.#hurry = new AbortController();
      // In the order of the keys: two processes then lock rows in the same order.
      const batch = [...this.#waiting].toSorted(([a], [b]) => (a < b ? -1 : 1)).slice(0, MOST);
      for (const [key, entry] of batch) {
        this.#waiting.delete(key);
        this.#flight.set(key, entry);
      }
      this.#landing = this.#fly(batch);
      await this.#landing;
    }
    this.#running = false;
  }

  async #fly(batch: readonly (readonly [string, Entry<Item>])[]): Promise<void> {
    const failures = await this.#store(batch.map(([, entry]) => entry));
    this.#flight.clear();
    let isAway = false;
    for (const [key, entry] of batch) {
      const { waiters } = entry;
      const failure = failures.get(entry);
      if (failure === undefined) {
        for (const { resolve } of waiters) resolve();
        continue;
      }
      for (const { reject } of waiters) reject(failure.error);
      if (!entry.noted) continue;
      this.#report(failure.error);
      if (!isHoldfastError(failure.error, "DATABASE_UNAVAILABLE") || this.#closed) continue;
      isAway = true;
      const again = { ...entry, waiters: [] };
      const newer = this.#waiting.get(key);
      this.#waiting.set(key, newer === undefined ? again : this.#joined(again, newer));
    }
    this.#delay = isAway ? Math.min(Math.max(1_000, this.#delay * 2), MAX_DELAY) : DELAY;
    if (failures.size === 0) this.#reported = false;
  }

  /** All at once; if that fails item by item, so that a bad one fails alone. @returns what failed */
  async #store(entries: readonly Entry<Item>[]): Promise<Map<Entry<Item>, { error: unknown }>> {
    const failures = new Map<Entry<Item>, { error: unknown }>();
    try {
      await this.#options.store(entries.map(({ item }) => item));
    } catch (error) {
      // Trying each by itself would take the database's absence as many times as there are items.
      if (entries.length === 1 || isHoldfastError(error, "DATABASE_UNAVAILABLE")) {
        for (const entry of entries) failures.set(entry, { error });
        return failures;
      }
      for (const entry of entries) {
        for (const [failed, why] of await this.#store([entry])) failures.set(failed, why);
      }
    }
    return failures;
  }

  #report(error: unknown): void {
    if (this.#reported) return;
    this.#reported = true;
    this.#options.onFailure(error);
  }
}
