/**
 * What the durable nodes of one invocation share: one LangGraph call, its subgraphs included.
 *
 * LangGraph makes a `RunControl` for each, and hands it to every node; where a caller passes one of
 * his own, it stands for all that he passes it to.
 */

import type { RunControl } from "@langchain/langgraph";
import type { NodeContext } from "../context.ts";
import type { DurableFields } from "../state.ts";

export interface Invocation {
  /** A durable node of it has been entered. */
  begun: boolean;
  /** A question to a person, or a park, has ended a task of it. */
  asked: boolean;
  parked: boolean;
  /** How long the run had waited for people when this invocation began; see deadlines.ts. */
  waited: Promise<number> | undefined;
  /** The deadline in the outermost graph's state, by its checkpoint; see deadlines.ts. */
  readonly roots: Map<string, Promise<DurableFields | undefined>>;
  /** What tasks of a checkpoint had left when it was read; see left-behind.ts. */
  readonly left: Map<string, Promise<readonly LeftWrite[]>>;
}

export type LeftWrite = [taskId: string, channel: string, value: unknown];

const invocations = new WeakMap<object, Invocation>();

export function invocationOf(node: NodeContext): Invocation {
  const key = (node.config as { control?: RunControl }).control ?? node.execution;
  let invocation = invocations.get(key);
  if (invocation === undefined) {
    invocation = {
      begun: false,
      asked: false,
      parked: false,
      waited: undefined,
      roots: new Map(),
      left: new Map(),
    };
    invocations.set(key, invocation);
  }
  return invocation;
}

/** Whether LangGraph goes on from where a task may have been before: after an interrupt or a crash. */
export function isResuming(node: NodeContext): boolean {
  return node.config.configurable?.["__pregel_resuming"] === true;
}
