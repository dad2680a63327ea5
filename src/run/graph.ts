/** A compiled graph as a run needs it. */

import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import type { TimeTravelGraph } from "../history/source.ts";

/** The part of a compiled graph (LangGraph's `Pregel`) that is used. */
export interface RunnableGraph extends TimeTravelGraph {
  name?: string | undefined;
  checkpointer?: object | boolean | undefined;
  interruptBefore?: readonly string[] | "*" | undefined;
  interruptAfter?: readonly string[] | "*" | undefined;
  nodes: Record<string, { tags?: readonly string[] | undefined }>;
  stream(input: unknown, options: Record<string, unknown>): Promise<AsyncIterable<unknown>>;
  getSubgraphsAsync(namespace?: string, recurse?: boolean): AsyncGenerator<[string, RunnableGraph]>;
}

/** The same graph on this saver; the user's own object stays as it is. */
export function withSaver<G extends RunnableGraph>(graph: G, saver: BaseCheckpointSaver): G {
  const copy = Object.create(Object.getPrototypeOf(graph) as object) as G;
  return Object.assign(copy, graph, { checkpointer: saver });
}
