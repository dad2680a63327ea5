/** What the parts of one `runToEnd` share. */

import type { RunnableConfig } from "@langchain/core/runnables";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import type { Clock } from "../clock.ts";
import type { StepStore } from "../step-store.ts";
import type { Answers } from "./answers.ts";
import type { RunnableGraph } from "./graph.ts";
import type { Level } from "./tasks.ts";

export interface RunToEndOptions {
  /** Passes the gate (`interruptBefore`, `interruptAfter`) that the thread stands at; not the next one. */
  approve?: boolean;
  /** Answers to `interrupt()`, by the ids of the questions. */
  answers?: Answers;
  /** Returns when a time is waited for, instead of waiting it out in this process. Default false. */
  park?: boolean;
  /** Takes back what was done when the run fails for good. Default true. */
  compensate?: boolean;
  /** How long the thread stays this process's own after it died, in milliseconds. Default 30,000. */
  leaseDuration?: number;
  /** LangGraph's stream mode, for `onChunk`. Default "updates". */
  streamMode?: string | readonly string[];
  /** Hears what the graph streams, subgraphs included: `[namespace, chunk]`, or `[namespace, mode, chunk]`. */
  onChunk?: (chunk: unknown) => void;
}

/** What a run tells while it goes its way, beside {@link RunToEndOptions}. */
export interface RunHooks {
  /**
   * LangGraph is about to be called, where the thread stands there; undefined for a run that begins, from
   * its input.
   */
  onCall?: (level: Level | undefined) => Promise<void>;
}

export interface Run {
  graph: RunnableGraph;
  saver: BaseCheckpointSaver;
  /** Undefined with a saver that is not holdfast's: then there is no lease, no inbox and no ledger. */
  steps: StepStore | undefined;
  clock: Clock;
  threadId: string;
  /** With the lease's token, and a signal that also aborts when the lease is lost. */
  config: RunnableConfig;
  options: RunToEndOptions & RunHooks;
}
