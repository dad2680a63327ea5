/**
 * Where a piece of code runs: which node of which graph, on which thread, over which saver.
 *
 * Two sources. LangGraph's config, which it carries into nodes, tools and runnables, names the task and
 * the saver. `durable()` adds its own: the attempt, with its signal and deadline. So effects and
 * models work in any node, and are under an attempt's policies where there is one.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import { AsyncLocalStorageProviderSingleton } from "@langchain/core/singletons";
import type { RunnableConfig } from "@langchain/core/runnables";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { anySignal } from "./abort.ts";
import type { EventOrigin } from "./events.ts";
import {
  isDurableSaver,
  leaseTokenOf,
  leaseUntilOf,
  type DurableSaver,
  type TaskAddress,
} from "./step-store.ts";

/**
 * The configurable key that turns parking on for an invocation: the shortest wait, in milliseconds,
 * that becomes an interrupt. Set by `runToEnd` and the runtime; without it waits stay in process.
 */
export const PARK_AFTER_KEY = "__holdfast_park_after";

/**
 * The configurable key of the instant at which a runtime's run must be over: it goes before the deadline in
 * the state, which stays as it was when the run is retried with as much time again.
 */
export const DEADLINE_KEY = "__holdfast_deadline";

/** A node's task, as LangGraph's config names it. */
export interface NodeContext {
  config: RunnableConfig;
  /** The saver of the graph; undefined where it has none. */
  saver: BaseCheckpointSaver | undefined;
  /** The same, where it is one of holdfast's. */
  durable: DurableSaver | undefined;
  task: TaskAddress;
  node: string;
  /** The newest checkpoint of the outermost graph, which tells the run. */
  rootCheckpointId: string;
  signal: AbortSignal | undefined;
  leaseToken: number | undefined;
  /** Until when the lease certainly holds, by this process's clock. */
  leaseUntil: (() => number) | undefined;
  /** One for each execution of the node, whoever asks: LangGraph's scratchpad. */
  execution: object;
  /** How LangGraph saves; undefined where it does not say (in tools and runnables). */
  durability: "sync" | "async" | "exit" | undefined;
}

/** One attempt of a durable node. */
export interface AttemptContext {
  readonly node: NodeContext;
  /** Counts from 1. */
  readonly attempt: number;
  /** Aborts when the attempt's time is up, or the run is aborted. */
  readonly signal: AbortSignal;
  /** When the run must be over; undefined without a deadline. */
  readonly deadlineAt: number | undefined;
  /** Whether long waits become interrupts (`parked`) here. */
  readonly parks: boolean;
  /** Shortest wait that does, in milliseconds. */
  readonly parkAfter: number;
  /** Counts as progress for the idle timeout. */
  heartbeat(): void;
  /** Effects in flight: parking waits for them. */
  readonly inFlight: Set<Promise<unknown>>;
  /** The interrupt to throw once the body returns, whatever it returns: user code may swallow it. */
  parked: Error | undefined;
  /** Writes in its task's name, which are kept back until it succeeds. */
  send?: ((writes: [channel: string, value: unknown][]) => void) | undefined;
  /** False once the attempt ended: what its code still does counts no more. */
  active: boolean;
}

const attempts = new AsyncLocalStorage<AttemptContext>();

/** The attempt that this code runs in; undefined outside of durable nodes. */
export function currentAttempt(): AttemptContext | undefined {
  return attempts.getStore();
}

export function withAttempt<T>(attempt: AttemptContext, work: () => T): T {
  return attempts.run(attempt, work);
}

/** The node that this code runs in, by its attempt, the config given, or LangGraph's own. */
export function currentNode(config?: RunnableConfig): NodeContext | undefined {
  const found =
    config ??
    (AsyncLocalStorageProviderSingleton.getRunnableConfig() as RunnableConfig | undefined);
  const own = found === undefined ? undefined : nodeOf(found);
  return own ?? currentAttempt()?.node;
}

/**
 * Code in the node of a config that was handed to it, where LangGraph's own context is lost: LangChain's
 * streams run what is between their pieces outside of it.
 */
export function inNodeOf<T>(config: RunnableConfig | undefined, work: () => T): T {
  const here = AsyncLocalStorageProviderSingleton.getRunnableConfig() as RunnableConfig | undefined;
  const isKnown = here !== undefined && nodeOf(here) !== undefined;
  if (isKnown || config === undefined || nodeOf(config) === undefined) return work();
  return AsyncLocalStorageProviderSingleton.runWithConfig(config, work);
}

/** What a node's config says; undefined for a config that is none. */
export function nodeOf(config: RunnableConfig): NodeContext | undefined {
  const configurable = config.configurable ?? {};
  const taskId: unknown = configurable["__pregel_task_id"];
  const ns: unknown = configurable["checkpoint_ns"];
  if (typeof taskId !== "string" || typeof ns !== "string") return undefined;
  const saver = configurable["__pregel_checkpointer"] as BaseCheckpointSaver | undefined;
  const map = (configurable["checkpoint_map"] ?? {}) as Record<string, string>;
  const namespace = ns.slice(0, Math.max(0, ns.lastIndexOf("|")));
  const { durability } = config as { durability?: NodeContext["durability"] };
  return {
    config,
    saver,
    durable: isDurableSaver(saver) ? saver : undefined,
    task: {
      threadId: String(configurable["thread_id"] ?? ""),
      namespace,
      checkpointId: map[namespace] ?? "",
      taskId,
    },
    node: (config.metadata?.["langgraph_node"] as string | undefined) ?? config.runName ?? "",
    rootCheckpointId: map[""] ?? "",
    signal: config.signal,
    leaseToken: leaseTokenOf(config),
    leaseUntil: leaseUntilOf(config),
    execution: (configurable["__pregel_scratchpad"] ?? configurable) as object,
    durability,
  };
}

/** The signal of the attempt and of the config together. */
export function currentSignal(config?: RunnableConfig): AbortSignal | undefined {
  return anySignal(currentAttempt()?.signal, currentNode(config)?.signal);
}

/** For events. */
export function originOf(node: NodeContext | undefined, runId?: string): EventOrigin {
  return {
    threadId: node?.task.threadId,
    runId,
    node: node?.node,
    taskId: node?.task.taskId,
  };
}
