/** LangGraph's graph, typed for graphs whose state is known only at run time. */

import { StateGraph, type Command, type StateSnapshot } from "@langchain/langgraph";
import type { RunnableConfig } from "@langchain/core/runnables";
import type { BaseCheckpointSaver, CheckpointListOptions } from "@langchain/langgraph-checkpoint";
import type { Durability } from "./case.ts";

export type State = Record<string, unknown>;

export type Config = RunnableConfig & { durability?: Durability };

export interface LooseCompiled {
  invoke(input: State | Command | null, config?: Config): Promise<unknown>;
  getState(config: RunnableConfig, options?: { subgraphs?: boolean }): Promise<StateSnapshot>;
  getStateHistory(
    config: RunnableConfig,
    options?: CheckpointListOptions,
  ): AsyncIterable<StateSnapshot>;
  updateState(config: RunnableConfig, values: unknown, asNode?: string): Promise<RunnableConfig>;
  bulkUpdateState(
    config: RunnableConfig,
    supersteps: { updates: { values: unknown; asNode?: string }[] }[],
  ): Promise<RunnableConfig>;
}

export interface LooseGraph {
  addNode(
    name: string,
    action: ((state: State, config: RunnableConfig) => unknown) | LooseCompiled,
    options?: {
      ends?: string[];
      defer?: boolean;
      subgraphs?: LooseCompiled[];
      input?: Record<string, unknown>;
    },
  ): LooseGraph;
  addEdge(from: string | string[], to: string): LooseGraph;
  addConditionalEdges(
    from: string,
    path: (state: State, config: RunnableConfig) => unknown,
    targets?: string[],
  ): LooseGraph;
  compile(options: {
    checkpointer?: BaseCheckpointSaver | boolean;
    interruptBefore?: string[];
    interruptAfter?: string[];
    name?: string;
  }): LooseCompiled;
}

export function looseGraph(channels: Record<string, unknown>): LooseGraph {
  const Graph = StateGraph as unknown as new (channels: Record<string, unknown>) => LooseGraph;
  return new Graph(channels);
}
