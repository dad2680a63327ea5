/**
 * The port: events that leave nodes, runs and the world outside, and who waits for them.
 *
 * Types and contract prose only; `checkpointers/steps/events.ts` implements it over both dialects.
 */

/**
 * The channel, known to no graph, on which a node's events are among its task's writes: they are stored
 * with its result, and leave with the checkpoint that takes it.
 */
export const EVENTS_CHANNEL = "__holdfast_events__";

/** What a task writes there. */
export interface EmittedWrite {
  name: string;
  /** As {@link EventStore.serialize} has it. */
  payload: string;
}

/** An event that has left. */
export interface StoredEvent {
  /** Twice the same one is one event. */
  id: string;
  name: string;
  payload: unknown;
  /**
   * Why this process cannot read the event's payload, which is undefined then: it was stored with types, or
   * keys, that its saver does not have.
   */
  unreadable?: Error;
  /** When it left. */
  at: number;
  /** Where it came from, as far as that is known. */
  threadId: string | undefined;
  runId: string | undefined;
}

/** A task of a checkpoint. */
export interface EmittingTask {
  threadId: string;
  namespace: string;
  checkpointId: string;
  taskId: string;
}

/** An event in the order in which waits take them: by `at`, then by `seq`. */
export interface PlacedEvent extends StoredEvent {
  seq: number;
  /** Its place in the order of listeners, who miss none that commits late. */
  place: string;
}

/** Who begins runs of a graph from events of a name. */
export interface ListenerRecord {
  name: string;
  event: string;
  graph: string;
}

/** A wait as its node begins it. */
export interface NewWait {
  /** 32 hex digits: the same for the same wait of a task that runs again. */
  id: string;
  threadId: string;
  /** The task that waits, whose waits go with its checkpoint; undefined for a wait of the whole thread. */
  task: EmittingTask | undefined;
  name: string;
  /** What must match: the paths, and a hash of the values there. */
  paths: string;
  hash: string;
  runId: string | undefined;
  /** Earlier events are not meant for it. What comes once it is stored is, whatever this says. */
  since: number;
  /** The event that began its run. */
  except: string | undefined;
  /** How long it waits, in milliseconds; undefined for ever. */
  timeout: number | undefined;
}

/** A wait as it stands. */
export interface EventWait {
  id: string;
  /** False once it is over: with an event, or without one, since its time was up. */
  isOpen: boolean;
  isLooked: boolean;
  event: PlacedEvent | undefined;
  deadlineAt: number | undefined;
}

export interface EventQuery {
  name?: string;
  /** That left at that instant or later. */
  since?: number;
  /** Default 100. */
  limit?: number;
}

export interface EventStore {
  /**
   * A payload as it is kept.
   * @throws {UnserializableError} it cannot be stored faithfully
   */
  serialize(name: string, payload: unknown, node?: string): string;
  /** Whether the checkpoint that a task runs from is kept, and its writes with it. */
  isKept(task: EmittingTask): Promise<boolean>;
  /** @returns false where one with this id has left before */
  add(event: { id: string; name: string; payload: string }): Promise<boolean>;
  /** Begins a wait, or finds it where it was begun before. */
  openWait(wait: NewWait): Promise<EventWait>;
  /**
   * Events that an open wait may take, but for what must match: that came since it may, and before its
   * deadline, and that no wait of its thread had taken when it began. In order; a page at a time.
   */
  candidates(waitId: string, after: PlacedEvent | undefined): Promise<PlacedEvent[]>;
  /** Gives an open wait an event, unless it has been given an earlier one. */
  offer(waitId: string, seq: number): Promise<void>;
  /** All that came before the wait has been looked through. */
  looked(waitId: string): Promise<void>;
  /** Ends a wait that has been given an event, and one whose time is up; any other one stays open. */
  settle(waitId: string, isTimeUp: boolean): Promise<EventWait>;
  /** Whether there is something new for one of these waits. */
  heard(waitIds: readonly string[]): Promise<boolean>;

  /** Events that open waits have not been looked at for, in the order in which they came. */
  undelivered(limit: number): Promise<{ seq: number; name: string }[]>;
  /** The different `paths` of open waits for events of a name: one step in an index for each. */
  pathsOf(name: string): Promise<string[]>;
  read(seqs: readonly number[]): Promise<PlacedEvent[]>;
  /**
   * Gives an event to the open waits that it matches.
   * @returns their threads, also those of waits that had been given it before
   */
  give(seq: number, matches: readonly { paths: string; hash: string }[]): Promise<string[]>;
  delivered(seqs: readonly number[]): Promise<void>;

  /**
   * Makes a listener known. A new one, or one that listens to another event from now on, begins with what
   * comes from now on; any other goes on where it was.
   */
  listen(listener: ListenerRecord): Promise<void>;
  /**
   * Somebody still has the listener. One that listens to another event by now, as newer code has it, stays
   * as it is.
   */
  touch(listener: ListenerRecord): Promise<void>;
  /** Events that the listener has not handed out, in order; none where it listens to another event by now. */
  behind(listener: Pick<ListenerRecord, "name" | "event">, limit: number): Promise<PlacedEvent[]>;
  /** All up to this place is handed out. */
  advance(listener: string, place: string): Promise<void>;
  /**
   * Takes away what nobody needs any more, at most so many rows of each kind: events that left before
   * `before`, but for those that a listener seen since `forgotten` still has to hand out, and waits of
   * runs that were completed before: others may be retried. Waits of a whole thread go with it.
   * @returns whether there is more
   */
  sweep(options: { before: number; forgotten: number; limit: number }): Promise<boolean>;

  /** Latest first. */
  list(query?: EventQuery): Promise<StoredEvent[]>;
  /** Hears whenever events have left by this saver, or a run has ended. @returns stops listening */
  onLeft(listener: (isRunEnd: boolean) => void): () => void;
}
