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
  /** Latest first. */
  list(query?: EventQuery): Promise<StoredEvent[]>;
  /** Hears whenever events have left by this saver. @returns stops listening */
  onLeft(listener: () => void): () => void;
}
