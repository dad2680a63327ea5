/** One execution of a durable node: what its parts hand to each other. */

import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { NodeContext } from "../context.ts";
import type { StepStore } from "../step-store.ts";
import type { Send } from "./attempt-timeout.ts";
import type { ResolvedPolicy } from "./durable-policy.ts";
import type { Sleeps, TaskRecord } from "./task-record.ts";

/** What `durable()` made of a node, and what LangGraph calls it with. */
export interface Call {
  policy: ResolvedPolicy;
  /** A function relies on LangGraph's context being set around it; a runnable sets its own. */
  kind: "function" | "runnable";
  input: unknown;
  config: LangGraphRunnableConfig;
  body: (input: unknown, config: LangGraphRunnableConfig) => unknown;
}

export interface Execution extends Call {
  node: NodeContext;
  /** LangGraph's own way to write; attempts put theirs in its place. */
  send: Send | undefined;
  steps: StepStore;
  /** In memory for a durable node within a durable node, whose task they share. */
  record: TaskRecord;
  /** The record that sleeps are kept in, and how many there were: the task's in any case. */
  sleeps: Sleeps;
  /** Effective: waits for people are added. Undefined without a deadline. */
  deadlineAt: number | undefined;
  /** Whether long waits become interrupts, and the longest that doesn't. */
  parks: boolean;
  parkAfter: number;
}
