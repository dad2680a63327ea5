/** A chain of small nodes: the time of a step is LangGraph's and the saver's, not the state's. */

import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";

export const CHAIN_NODES = 20;

const ChainState = Annotation.Root({
  step: Annotation<number>(),
  note: Annotation<string>(),
});

export function chainGraph(saver: BaseCheckpointSaver) {
  const nodes = Array.from({ length: CHAIN_NODES }, (_, at) => [
    `node${at}`,
    (state: typeof ChainState.State) => ({ step: state.step + 1, note: `passed node ${at}` }),
  ]) as [string, (state: typeof ChainState.State) => Partial<typeof ChainState.State>][];
  const builder = new StateGraph(ChainState).addSequence(nodes);
  return builder
    .addEdge(START, "node0")
    .addEdge(`node${CHAIN_NODES - 1}`, END)
    .compile({ checkpointer: saver });
}
