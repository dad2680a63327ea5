/**
 * What holdfast tells while it works: one typed emitter for the process.
 *
 * Listeners hear of a decision when it was taken, in its order, and can do no harm: what one throws is
 * reported by {@link Emitter.onListenerError} and changes nothing else.
 */

/** Where something happened; what is not known, or does not apply, is undefined. */
export interface EventOrigin {
  threadId?: string | undefined;
  /** The run that the thread was in; see docs/semantics.md. */
  runId?: string | undefined;
  node?: string | undefined;
  taskId?: string | undefined;
}

/** The events, by name, and what each tells. Instants are milliseconds since the epoch. */
export interface HoldfastEvents {
  /** An attempt failed; without `nextAttemptAt` it was the last. */
  "attempt.failed": EventOrigin & {
    attempt: number;
    maxAttempts: number;
    kind: string;
    error: unknown;
    nextAttemptAt?: number | undefined;
    /** Where it was an attempt of one call of a model alone: LangChain's id of that call. */
    callId?: string | undefined;
  };
  /** All attempts are used up. */
  "attempt.exhausted": EventOrigin & { attempts: number; error: unknown };
  /** A policy's fallback takes over. */
  "fallback.used": EventOrigin & { name: string; error: unknown };
  "deadline.exceeded": EventOrigin & { deadlineAt: number };
  /** A wait became a row: the node runs again at `resumeAt`. */
  "run.parked": EventOrigin & { reason: string; resumeAt: number };
  /** Once for each outage, in the process whose call was the last straw; trials that fail add none. */
  "breaker.opened": { name: string; failures: number; retryAt: number };
  /** A call goes through on trial. */
  "breaker.halfOpened": { name: string };
  /** By a trial that succeeded, or by hand. */
  "breaker.closed": { name: string };
  /** A call has to wait for a limit; `until` is when it asks again. */
  "limit.waiting": EventOrigin & { name: string; until: number };
  /** Once for each budget, unit and limit: the first call that it did not cover. */
  "budget.exceeded": EventOrigin & { name: string; limit: number; spent: number; unit: string };
  /** A person let it grow: `limit` is what holds now. */
  "budget.raised": EventOrigin & { name: string; limit: number; unit: string };
  "usage.recorded": EventOrigin & {
    model: string;
    inputTokens: number;
    outputTokens: number;
    usd: number | undefined;
    estimated: boolean;
  };
  "effect.claimed": EventOrigin & { effect: string; idempotencyKey: string };
  "effect.recorded": EventOrigin & { effect: string; idempotencyKey: string };
  /** A recorded result was returned, and nothing performed. */
  "effect.reused": EventOrigin & { effect: string; idempotencyKey: string };
  /** Nobody knows whether it was performed; `answer` is what is done about it. */
  "effect.unknown": EventOrigin & {
    effect: string;
    idempotencyKey: string;
    answer: "reconcile" | "repeat" | "ask";
  };
  "compensation.started": EventOrigin & { effects: number };
  "compensation.undone": EventOrigin & { effect: string };
  "compensation.stuck": EventOrigin & { effect: string; error: unknown };
  "compensation.finished": EventOrigin & { undone: number; stuck: number };
  "approval.requested": EventOrigin & { approvalId: string; title: string };
  "approval.answered": EventOrigin & {
    approvalId: string;
    decision: string;
    by: string | undefined;
  };
  "approval.expired": EventOrigin & { approvalId: string };
  /** A worker took it. */
  "run.started": EventOrigin & { graph: string; attempt: number };
  /** Its worker has left it, and stored how it goes on: it is over, waits, or is for others to take. */
  "run.left": EventOrigin & {
    graph: string;
    attempt: number;
    status: string;
    /** When a worker looks at it again. */
    startAt?: number | undefined;
    reason?: string | undefined;
  };
  /** Its worker could not end it; another one goes on, once the lease has expired. */
  "run.abandoned": EventOrigin & { error: unknown };
  /** It is at work, and nothing was heard of it for long (`stallAfter`). Once for each silence. */
  "run.stalled": EventOrigin & {
    graph: string;
    /** The durable node that was heard last. */
    step: string | undefined;
    lastHeartbeat: number;
  };
  /** It was given up, since its workers died again and again: a person must look. */
  "run.dead": EventOrigin & { graph: string; crashes: number; reason?: string | undefined };
  /** A run was accepted for that instant. */
  "schedule.fired": EventOrigin & { schedule: string; graph: string; scheduledAt: number };
  /**
   * Instants from `scheduledAt` to `untilAt` were left out for good: nobody was there to fire them, or the thread
   * did not take the run.
   */
  "schedule.skipped": EventOrigin & {
    schedule: string;
    graph: string;
    scheduledAt: number;
    untilAt: number;
    reason: string;
  };
  /** A worker could not ask the database for work, or do what it does beside runs; it tries again. */
  "worker.troubled": { error: unknown };
  /** What an engine keeps could not be reached or stored; runs go on by the workers' own look. */
  "engine.troubled": { engine: string; error: unknown };
  /** A listener could not begin a run from an event; it tries again, unless the event is `skipped`. */
  "trigger.failed": {
    listener: string;
    event: string;
    eventId: string;
    graph: string;
    tries: number;
    skipped: boolean;
    error: unknown;
  };
  "run.completed": EventOrigin;
  "run.failed": EventOrigin & { error: unknown };
  "lease.lost": EventOrigin & { token: number };
}

export type EventName = keyof HoldfastEvents;

export interface EmittedEvent<Name extends EventName = EventName> {
  name: Name;
  data: HoldfastEvents[Name];
}

type Listener = (event: EmittedEvent) => unknown;

export class Emitter {
  readonly #listeners = new Map<EventName | "*", Set<Listener>>();
  /** Told of what a listener threw. Default: `console.error`. */
  onListenerError: (error: unknown, event: EmittedEvent) => void = (error, event) => {
    // oxlint-disable-next-line no-console -- the default, for want of a better ear
    console.error(`holdfast: a listener of "${event.name}" threw`, error);
  };

  /** Told what a user should know, once in a process. Default: `console.warn`. */
  onNotice: (message: string) => void = (message) => {
    // oxlint-disable-next-line no-console -- the default, for want of a better ear
    console.warn(message);
  };
  readonly #noticed = new Set<string>();

  /** Tells a user something, once. */
  notice(message: string): void {
    if (this.#noticed.has(message)) return;
    this.#noticed.add(message);
    this.onNotice(message);
  }

  /**
   * Hears one event, or with "*" all. Nobody waits for what a listener returns. @returns stops listening
   */
  on<Name extends EventName>(
    name: Name,
    listener: (data: HoldfastEvents[Name], event: EmittedEvent<Name>) => unknown,
  ): () => void;
  on(name: "*", listener: (event: EmittedEvent) => unknown): () => void;
  on(name: EventName | "*", listener: (...heard: never[]) => void): () => void {
    const call = listener as (...heard: unknown[]) => void;
    const own: Listener =
      name === "*" ? (event) => call(event) : (event) => call(event.data, event);
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(own);
    return () => {
      listeners.delete(own);
    };
  }

  emit<Name extends EventName>(name: Name, data: HoldfastEvents[Name]): void {
    const event = { name, data } as EmittedEvent;
    for (const listeners of [this.#listeners.get(name), this.#listeners.get("*")]) {
      for (const listener of [...(listeners ?? [])]) this.#tell(listener, event);
    }
  }

  #tell(listener: Listener, event: EmittedEvent): void {
    try {
      // An async listener's failure is a listener's failure, too.
      const result = listener(event);
      if (result instanceof Promise) {
        result.catch((error: unknown) => {
          this.onListenerError(error, event);
        });
      }
    } catch (error) {
      this.onListenerError(error, event);
    }
  }
}

/** Every decision of this process. */
export const events = new Emitter();
