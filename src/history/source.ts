/** What a history can be read from: a saver, or a compiled graph with one. */

import type { RunnableConfig } from "@langchain/core/runnables";
import type { StateSnapshot } from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { InvalidInputError } from "../errors.ts";

/** Any LangGraph saver, with integer versions or strings. */
export type AnySaver = BaseCheckpointSaver<number | string>;

/** What time travel needs of a compiled graph; every graph of LangGraph.js has it. */
export interface TimeTravelGraph {
  checkpointer?: unknown;
  getState(config: RunnableConfig): Promise<StateSnapshot>;
  updateState(config: RunnableConfig, values: unknown, asNode?: string): Promise<RunnableConfig>;
  getSubgraphsAsync(
    namespace?: string,
    recurse?: boolean,
  ): AsyncGenerator<[string, TimeTravelGraph]>;
}

export type HistorySource = AnySaver | TimeTravelGraph;

/** The saver of a source, and the graph where there is one. */
export interface ResolvedSource {
  saver: AnySaver;
  graph: TimeTravelGraph | undefined;
}

/** @throws {InvalidInputError} it is neither, or a graph that was compiled without a saver */
export function resolveSource(source: HistorySource): ResolvedSource {
  if (isSaver(source)) return { saver: source, graph: undefined };
  if (!hasMethods(source, ["getState", "updateState"])) {
    throw new InvalidInputError("Expected a checkpoint saver, or a compiled graph that has one.");
  }
  return { saver: saverOf(source), graph: source };
}

/** @throws {InvalidInputError} the graph was compiled without a saver of its own */
export function saverOf(graph: TimeTravelGraph): AnySaver {
  if (isSaver(graph.checkpointer)) return graph.checkpointer;
  throw new InvalidInputError(
    "This graph has no saver of its own: compile it with `{ checkpointer: saver }`. " +
      "For a subgraph, pass the outermost graph and the subgraph's `namespace`.",
  );
}

function isSaver(value: unknown): value is AnySaver {
  return hasMethods(value, ["getTuple", "list", "put", "putWrites"]);
}

function hasMethods(value: unknown, names: readonly string[]): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    names.every((name) => typeof (value as Record<string, unknown>)[name] === "function")
  );
}

/** The subgraph that runs in a checkpoint namespace; undefined when the graph has none there. */
export async function subgraphAt(
  graph: TimeTravelGraph,
  namespace: string,
): Promise<TimeTravelGraph | undefined> {
  if (namespace === "") return graph;
  const path = nodePath(namespace);
  for await (const [name, subgraph] of graph.getSubgraphsAsync(path, true)) {
    if (name === path) return subgraph;
  }
  return undefined;
}

/** "plan:9f3c...|1|search:77aa..." without task ids and counters: "plan|search". */
function nodePath(namespace: string): string {
  return namespace
    .split("|")
    .filter((part) => !/^\d+$/.test(part))
    .map((part) => part.split(":")[0])
    .join("|");
}
