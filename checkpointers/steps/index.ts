/**
 * `saver.steps`: what durable steps keep in the saver's database, put together from its parts.
 *
 * Each part has its logic here (`states.ts`), the port to its rows beside it (`states-rows.ts`), a
 * member of the dialect, and its SQL in both dialects under the same name.
 */

import type { Clock } from "../../src/clock.ts";
import type { StepStore } from "../../src/step-store.ts";
import { Approvals } from "./approvals.ts";
import { Attempts } from "./attempts.ts";
import { Effects } from "./effects.ts";
import { Events } from "./events.ts";
import { Leases, type LeaseNeeds } from "./leases.ts";
import type { StepParts } from "./parts.ts";
import { Pulses } from "./pulses.ts";
import { RunEvents } from "./run-events.ts";
import { AcceptedRuns, type RunThreads } from "./run-queue.ts";
import { Runs } from "./runs.ts";
import { Schedules } from "./schedules.ts";
import { States } from "./states.ts";
import { Status } from "./status.ts";
import { Usage } from "./usage.ts";

export class Steps implements StepStore {
  readonly #parts: StepParts;
  readonly clock: Clock;
  readonly states: States;
  readonly attempts: Attempts;
  readonly status: Status;
  readonly usage: Usage;
  readonly runs: Runs;
  readonly approvals: Approvals;
  readonly leases: Leases;
  readonly effects: Effects;
  readonly queue: AcceptedRuns;
  readonly events: Events;
  readonly runEvents: RunEvents;
  readonly schedules: Schedules;
  readonly pulses: Pulses;

  constructor(parts: StepParts, needs: LeaseNeeds & { threads: RunThreads }) {
    this.#parts = parts;
    this.clock = parts.clock;
    this.states = new States(parts);
    this.attempts = new Attempts(parts);
    this.status = new Status(parts);
    this.usage = new Usage(parts);
    this.runs = new Runs(parts);
    this.approvals = new Approvals(parts);
    this.leases = new Leases(parts, needs);
    this.effects = new Effects(parts);
    this.events = new Events(parts);
    this.queue = new AcceptedRuns(parts, needs.threads, () => this.events.left(true));
    this.runEvents = new RunEvents(parts);
    this.schedules = new Schedules(parts);
    this.pulses = new Pulses(parts, this.status);
  }

  async now(): Promise<number> {
    return this.#parts.dialect.now();
  }

  /** The thread is about to be deleted: what waits to be written about it is dropped. */
  async forget(threadId: string): Promise<void> {
    for (const part of [this.attempts, this.status, this.usage]) await part.forget(threadId);
  }

  /** Stores what waits. */
  async close(): Promise<void> {
    for (const part of [this.attempts, this.status, this.usage]) await part.close();
  }
}
