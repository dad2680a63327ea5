/** How long nothing was heard of a run that is at work: no node of it ended, and none gave a sign of life. */

import type { StepStore } from "../step-store.ts";

/** A run whose lease is renewed, and which does not move. */
export interface Stall {
  /** The durable node that was heard last. */
  step: string | undefined;
  lastHeartbeat: number;
}

/** The part of the limit after which it is looked for signs of life again. */
const PATIENCE = 10;

export class Silence {
  readonly #steps: StepStore;
  readonly #threadId: string;
  #heardAt: number;
  /** Not before that the database is asked. */
  #lookAt = -Infinity;
  /** The last sign of life before the silence that was told. */
  #toldOf: number | undefined;

  constructor(steps: StepStore, threadId: string) {
    this.#steps = steps;
    this.#threadId = threadId;
    this.#heardAt = steps.clock.now();
  }

  /** It moves. */
  heard(): void {
    this.#heardAt = this.#steps.clock.now();
  }

  /** @returns the stall, once, where nothing was heard for so many milliseconds */
  async stalled(limit: number): Promise<Stall | undefined> {
    const now = this.#steps.clock.now();
    if (now - this.#heardAt < limit || now < this.#lookAt) return undefined;
    this.#lookAt = now + limit / PATIENCE;
    // Durable nodes note their signs of life there: heartbeats, attempts, progress.
    const status = await this.#steps.status.read(this.#threadId);
    const lastHeartbeat = Math.max(this.#heardAt, status?.lastHeartbeat ?? 0);
    if (now - lastHeartbeat < limit || this.#toldOf === lastHeartbeat) return undefined;
    this.#toldOf = lastHeartbeat;
    return { step: status?.currentStep, lastHeartbeat };
  }
}
