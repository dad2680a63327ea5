import { fork } from "./fork.ts";
import type { Fork } from "./fork.ts";
import type { TimeTravelGraph } from "./source.ts";

export interface RewindOptions {
  /** The state to go back to: a full id. */
  checkpointId: string;
  /** The checkpoint's namespace, for a subgraph's; default "", the outermost graph. */
  namespace?: string;
}

/**
 * Makes a past state the head of its thread again. Nothing is taken away: the head is a new
 * checkpoint, a copy of the old one, and what came after that stays in the history as a branch.
 *
 * The tasks that were pending at that state are pending again, all of them. Going on with
 * `graph.invoke(null, config)` runs them, through an `interruptBefore` in front of them as well,
 * since LangGraph takes going on for an answer; an `interrupt()` inside them asks again.
 *
 * @throws {NotFoundError} there is no such checkpoint
 * @throws {InvalidInputError} the graph has no saver, or no subgraph in this namespace
 */
export function rewind(
  graph: TimeTravelGraph,
  threadId: string,
  options: RewindOptions,
): Promise<Fork> {
  const { checkpointId, namespace = "" } = options;
  return fork(graph, threadId, { checkpointId, namespace });
}
