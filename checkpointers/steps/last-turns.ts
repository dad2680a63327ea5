/**
 * How turns of this process left their threads, so that the next one need not look before it writes.
 *
 * What is remembered is a guess: a write tells by the thread's row whether it was right, and so only a
 * decision that writes is made by it.
 */

import { ENDED, type RunRow } from "./run-queue-rows.ts";

/** A thread as a turn found or left it. */
export interface Held {
  /** The thread has a row. */
  isThere: boolean;
  /** The latest turn's name. */
  turn: string | null;
  owner: string | null;
  expiresAt: number | null;
  token: number;
  now: number;
  runs: readonly RunRow[];
}

/** Threads. */
const MOST = 1_024;
/** Of a thread with more of them nothing is remembered. */
const MOST_RUNS = 16;

export class LastTurns {
  /** The one that was used least recently first. */
  readonly #held = new Map<string, Held>();

  get(thread: Uint8Array): Held | undefined {
    return this.#held.get(nameOf(thread));
  }

  remember(thread: Uint8Array, held: Held): void {
    const name = nameOf(thread);
    this.#held.delete(name);
    const ended: readonly string[] = ENDED;
    const runs = held.runs.filter(({ status }) => !ended.includes(status));
    if (runs.length > MOST_RUNS) return;
    this.#held.set(name, { ...held, runs });
    const [oldest] = this.#held.keys();
    if (this.#held.size > MOST && oldest !== undefined) this.#held.delete(oldest);
  }

  forget(thread: Uint8Array): void {
    this.#held.delete(nameOf(thread));
  }
}

function nameOf(thread: Uint8Array): string {
  return Buffer.from(thread.buffer, thread.byteOffset, thread.byteLength).toString("latin1");
}
