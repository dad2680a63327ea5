/**
 * Hears what a database server tells, for as long as it is wanted.
 *
 * States: connecting -> listening -> lost -> connecting, after a pause that grows -> ... -> ended
 *
 * Invariants
 *   L1  It never fails: whoever listens is told when it hears (again), and looks for what it missed.
 *   L2  A connection that died without anybody being told is noticed: it is asked from time to time.
 */

import { anySignal, orAborted } from "../src/abort.ts";
import type { Clock } from "../src/clock.ts";
import type { Ear } from "../src/run-store.ts";

/** A connection that listens. */
export interface OpenEar {
  /** Settles when it ended. */
  readonly lost: Promise<void>;
  /** Rejects, in time, where it does not answer. */
  check(): Promise<unknown>;
  close(): void;
}

/** Between two questions whether a connection lives, in milliseconds. */
const CHECK = 5_000;
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 30_000;

export class Listener {
  readonly #open: (heard: (message: string) => void) => Promise<OpenEar>;
  readonly #ear: Ear;
  readonly #clock: Clock;
  readonly #ending = new AbortController();

  constructor(
    open: (heard: (message: string) => void) => Promise<OpenEar>,
    ear: Ear,
    clock: Clock,
  ) {
    this.#open = open;
    this.#ear = ear;
    this.#clock = clock;
    void this.#listen();
  }

  end(): void {
    this.#ending.abort(new Error("nobody listens any more"));
  }

  /** Invariant L1. */
  async #listen(): Promise<void> {
    const { signal } = this.#ending;
    let pause = FIRST_PAUSE;
    while (!signal.aborted) {
      try {
        const open = await this.#open((message) => this.#ear.heard(message));
        try {
          if (signal.aborted) return;
          pause = FIRST_PAUSE;
          this.#ear.connected();
          await this.#watch(open);
        } finally {
          open.close();
        }
      } catch {
        // It is made anew.
      }
      await this.#clock.sleep(pause, signal).catch(() => undefined);
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    }
  }

  /** Settles, or rejects, when the connection is of no use any more. */
  async #watch(open: OpenEar): Promise<void> {
    const gone = new AbortController();
    void open.lost.then(() => gone.abort(new Error("the connection is lost")));
    const signal = anySignal(this.#ending.signal, gone.signal);
    for (;;) {
      await this.#clock.sleep(CHECK, signal);
      // Invariant L2.
      await orAborted(open.check(), signal);
    }
  }
}
