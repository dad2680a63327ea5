/**
 * What a checkpoint's state looks like to a user. A graph knows it exactly, values of `DeltaChannel`s
 * included; without one it is read from what the checkpoint holds.
 */

import type { RunnableConfig } from "@langchain/core/runnables";
import type { StateSnapshot } from "@langchain/langgraph";
import { copyCheckpoint } from "@langchain/langgraph-checkpoint";
import type { CheckpointTuple } from "@langchain/langgraph-checkpoint";
import { addressOf, configFor } from "./address.ts";
import { nextNodes, valuesOf } from "./channels.ts";
import { subgraphAt } from "./source.ts";
import type { AnySaver, ResolvedSource, TimeTravelGraph } from "./source.ts";

export interface State {
  values: unknown;
  next: string[] | undefined;
  tasks: StateSnapshot["tasks"] | undefined;
}

export class StateReader {
  readonly #saver: AnySaver;
  readonly #graph: TimeTravelGraph | undefined;
  readonly #subgraphs = new Map<string, Promise<TimeTravelGraph | undefined>>();

  constructor(source: ResolvedSource) {
    this.#saver = source.saver;
    this.#graph = source.graph;
  }

  async read(tuple: CheckpointTuple): Promise<State> {
    const { namespace } = addressOf(tuple);
    const graph = await this.#graphAt(namespace);
    // Also where the graph has changed and no longer has this subgraph.
    if (graph === undefined) {
      const { checkpoint } = tuple;
      return { values: valuesOf(checkpoint), next: nextNodes(checkpoint), tasks: undefined };
    }
    const { values, next, tasks } = await graph.getState(onlyReading(tuple));
    return { values: values as unknown, next, tasks };
  }

  #graphAt(namespace: string): Promise<TimeTravelGraph | undefined> {
    if (this.#graph === undefined) return Promise.resolve(undefined);
    if (namespace === "") return Promise.resolve(this.#graph);
    let found = this.#subgraphs.get(namespace);
    if (found === undefined) {
      found = subgraphAt(this.#graph, namespace).then((subgraph) => this.#withSaver(subgraph));
      this.#subgraphs.set(namespace, found);
    }
    return found;
  }

  /** LangGraph reads `DeltaChannel`s with the graph's own saver only, and a subgraph has none. */
  #withSaver(subgraph: TimeTravelGraph | undefined): TimeTravelGraph | undefined {
    if (subgraph === undefined) return undefined;
    const own = { checkpointer: { value: this.#saver } };
    return Object.create(subgraph, own) as TimeTravelGraph;
  }
}

/**
 * Makes `getState` use a tuple that was read already, so that a listing costs no query per state.
 * The copy is because LangGraph notes in the checkpoint what it looked at.
 */
function onlyReading(tuple: CheckpointTuple): RunnableConfig {
  const { threadId, namespace, checkpointId } = addressOf(tuple);
  const saved = { ...tuple, checkpoint: copyCheckpoint(tuple.checkpoint) };
  const config = configFor(threadId, namespace, checkpointId);
  return {
    ...config,
    configurable: {
      ...config.configurable,
      __pregel_checkpointer: { getTuple: () => Promise.resolve(saved) },
    },
  };
}
