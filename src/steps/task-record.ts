/**
 * What is on record of a node's task: its failures so far, the attempt that runs, and until when it
 * has been put to sleep. One record, kept by the attempt loop and by `sleep()` together.
 *
 * Invariants
 *   K1  The whole record is written each time: neither of the two loses what the other one keeps.
 *   K2  A task that nothing was kept of costs nothing when it ends.
 */

import type { AttemptContext } from "../context.ts";
import type { AttemptStore, AttemptsRecord, TaskAddress } from "../step-store.ts";

export class TaskRecord {
  /** The failures of the series; undefined before the first, and when a new series begins. */
  series: AttemptsRecord | undefined;
  running: AttemptsRecord["running"];
  /** By occurrence: the first `sleep()` of the node's body, the second, and so on. */
  readonly wakeAt: number[];
  readonly #store: AttemptStore;
  readonly #task: TaskAddress;
  #isKept: boolean;

  constructor(store: AttemptStore, task: TaskAddress, found: AttemptsRecord | undefined) {
    this.#store = store;
    this.#task = task;
    this.#isKept = found !== undefined;
    this.running = found?.running;
    this.wakeAt = [...(found?.wakeAt ?? [])];
    const isSeries = found !== undefined && (found.failed > 0 || found.nextAttemptAt !== undefined);
    this.series = isSeries ? { ...found, running: undefined } : undefined;
  }

  /** Durable when it settles. */
  write(): Promise<void> {
    this.#isKept = true;
    return this.#store.write(this.#task, this.#whole());
  }

  /** Durable soon. */
  note(): void {
    this.#isKept = true;
    this.#store.note(this.#task, this.#whole());
  }

  /** The attempt ended without failing: what else is known stays. */
  rest(): void {
    this.running = undefined;
    if (this.#isKept) this.note();
  }

  /** The task is done. */
  clear(): void {
    if (this.#isKept) this.#store.note(this.#task, null);
  }

  #whole(): AttemptsRecord | null {
    const { series, running, wakeAt } = this;
    if (series === undefined && running === undefined && wakeAt.length === 0) return null;
    return {
      failed: 0,
      startedAt: running?.startedAt ?? 0,
      ...series,
      running,
      ...(wakeAt.length > 0 && { wakeAt }),
    };
  }
}

/** The sleeps of an attempt: the task's record, and how many there were so far. */
export interface Sleeps {
  readonly record: TaskRecord;
  count: number;
}

/** An attempt whose code may sleep. */
export interface SleepingAttempt extends AttemptContext {
  readonly sleeps: Sleeps;
}

export function sleepsOf(attempt: AttemptContext | SleepingAttempt): Sleeps | undefined {
  return "sleeps" in attempt ? attempt.sleeps : undefined;
}
