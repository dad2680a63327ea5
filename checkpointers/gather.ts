/**
 * Gathers what is asked for at the same moment into one call: while one call is under way, the next
 * batch collects. What group-commit.ts is for checkpoints, this is for everything smaller.
 */

import { DatabaseUnavailableError } from "../src/errors.ts";

interface Waiting<Item, Result> {
  item: Item;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

export class Gather<Item, Result> {
  readonly #flush: (items: readonly Item[]) => Promise<readonly Result[]>;
  readonly #most: number;
  #waiting: Waiting<Item, Result>[] = [];
  #running = false;

  /**
   * @param flush answers in the order of the items
   * @param most items of one call
   */
  constructor(flush: (items: readonly Item[]) => Promise<readonly Result[]>, most = 512) {
    this.#flush = flush;
    this.#most = most;
  }

  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
      const batch = this.#waiting.splice(0, this.#most);
      await this.#settle(batch);
    }
    this.#running = false;
  }

  /** A batch that fails is tried again item by item, so that one bad item fails alone. */
  async #settle(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    try {
      const results = await this.#flush(batch.map(({ item }) => item));
      for (const [i, { resolve }] of batch.entries()) resolve(results[i] as Result);
    } catch (error) {
      // Trying each by itself would make the last of them wait many times as long as it may.
      const hasWaited = error instanceof DatabaseUnavailableError && error.waited !== undefined;
      if (hasWaited || batch.length === 1) for (const { reject } of batch) reject(error);
      else for (const one of batch) await this.#settle([one]);
    }
  }
}
