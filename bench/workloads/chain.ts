/** A chain of small nodes: the time of a step is LangGraph's and the saver's, not the state's. */

import {
  Annotation,
  END,
  START,
  StateGraph,
  type LangGraphRunnableConfig,
} from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";

export const CHAIN_NODES = 20;

const ChainState = Annotation.Root({
  step: Annotation<number>(),
  note: Annotation<string>(),
});

type Node = (
  state: typeof ChainState.State,
  config: LangGraphRunnableConfig,
) => Partial<typeof ChainState.State> | Promise<Partial<typeof ChainState.State>>;

export function chainGraph(
  saver: BaseCheckpointSaver,
  wrap: (node: Node) => Node = (node) => node,
  length = CHAIN_NODES,
) {
  const nodes = Array.from({ length }, (_, at): [string, Node] => [
    `node${at}`,
    wrap((state) => ({ step: state.step + 1, note: `passed node ${at}` })),
  ]);
  const builder = new StateGraph(ChainState).addSequence(nodes);
  return builder
    .addEdge(START, "node0")
    .addEdge(`node${length - 1}`, END)
    .compile({ checkpointer: saver });
}
