import type { StateSnapshot } from "@langchain/langgraph";
import type { CheckpointMetadata } from "@langchain/langgraph-checkpoint";
import type { Change } from "./compare.ts";
import type { PendingInterrupt } from "./interrupts.ts";

/** One state in a thread's history. */
export interface HistoryPoint<Values = Record<string, unknown>> {
  threadId: string;
  /** Checkpoint namespace: "" for the outermost graph, else the subgraph's. */
  namespace: string;
  checkpointId: string;
  /** Undefined for the first checkpoint of a namespace; the parent itself may have been pruned. */
  parentId: string | undefined;
  /** The superstep: -1 for the first input, then 0, 1, ... along a branch. */
  step: number;
  /** What made it: an input, a superstep ("loop"), `updateState` ("update") or a copy ("fork"). */
  source: CheckpointMetadata["source"];
  /** ISO instant. */
  createdAt: string;
  /** The nodes that wrote it, for people: "plan", or "search, search"; undefined for none. */
  node: string | undefined;
  /** The nodes that wrote it, once per task; empty for inputs, forks, and most updates. */
  nodes: string[];
  /**
   * State channels whose values differ from the parent's: for a root all that it has. `__root__`
   * stands for the value of a state without channels.
   */
  changed: string[];
  /** The differences from the parent in full, with option `changes`. */
  changes: Change[] | undefined;
  /** "main" for the line that ends in the head, else the beginning of the id the branch ends in. */
  branch: string;
  /** Nodes to run next; undefined where a saver alone can't tell. */
  next: string[] | undefined;
  /** Questions to a person that were not answered on this checkpoint. */
  interrupts: PendingInterrupt[];
  /** The state; undefined with option `values: false`. */
  values: Values;
  metadata: CheckpointMetadata;
  /** Tasks to run next, with the errors and results they have; undefined over a saver alone. */
  tasks: StateSnapshot["tasks"] | undefined;
}
