/**
 * The port: what runs stream, one event after the other, for readers in any process.
 *
 * Types and contract prose only. Events of a run are numbered within each of its attempts, from 1 and
 * without a gap; who reads them in this order, and goes on behind the last one, misses none and gets none
 * twice.
 */

/** Where an event stands among those of its run. */
export interface EventPlace {
  /** Of the run. */
  attempt: number;
  /** 0 is before the first one of the attempt. */
  n: number;
}

/** An event that is to be stored. */
export interface NewRunEvent {
  n: number;
  /** LangGraph's stream mode, or a name of ours, which has a dot. */
  event: string;
  /** The task that it is of, and those around it, outermost first; undefined where no task is known. */
  path: readonly string[] | undefined;
  /** As {@link RunEventStore.serialize} made it. */
  data: string;
}

export interface StoredRunEvent extends EventPlace {
  event: string;
  path: readonly string[] | undefined;
  data: unknown;
  /** When it was stored. */
  at: number;
}

/** An attempt of a run, by the lease that it is made under. */
export interface EventWriter {
  threadId: string;
  /** Of the run. */
  seq: number;
  attempt: number;
  leaseToken: number;
}

/** How far a sweep came. */
export interface Sweep {
  /** How many events went. */
  removed: number;
  /** Where the next one begins; undefined at the end of all. */
  next: number | undefined;
}

export interface RunEventStore {
  /**
   * The value as a text, at once: what becomes of the value later changes nothing.
   * @throws {UnserializableError} it cannot be kept
   */
  serialize(value: unknown, what: string): string;
  /**
   * All of them or none. Storing the same ones again changes nothing.
   * @throws {LeaseLostError} somebody else has the run, or nobody any more; nothing is stored
   */
  append(writer: EventWriter, events: readonly NewRunEvent[]): Promise<void>;
  /** Those behind a place, in their order. */
  read(seq: number, after: EventPlace, limit: number): Promise<StoredRunEvent[]>;
  /** The tasks that events of the run are of, each once. */
  paths(seq: number): Promise<(readonly string[])[]>;
  /**
   * Removes events of runs that ended at that instant or earlier, or are gone: a batch of them.
   * @param from where the sweep before left off
   */
  sweep(endedBefore: number, from?: number): Promise<Sweep>;
}
