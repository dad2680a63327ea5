/**
 * `durable()`: a node under policies. It retries, waits, times out and falls back as told, and keeps
 * in the database what a crash must not undo. The node itself stays LangGraph's.
 *
 * Three kinds of node, told apart once, when wrapped: a function stays a function, so that LangGraph
 * runs it as it would run yours; a runnable becomes a runnable; a compiled graph becomes a runnable
 * whose only step it is, where LangGraph looks for subgraphs.
 */

import { Runnable, type RunnableInterface } from "@langchain/core/runnables";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { runNode } from "./run-node.ts";
import { DurableRunnable } from "./durable-runnable.ts";
import { resolvePolicy, type DurablePolicy } from "./durable-policy.ts";

/** A node as a function: of the state (or what a `Send` brings) and LangGraph's config. */
export type NodeFunction<Input, Output, Config = LangGraphRunnableConfig> = (
  input: Input,
  config: Config,
) => Output | Promise<Output>;

export interface Durable {
  /**
   * A node under policies.
   *
   * ```ts
   * new StateGraph(State).addNode("plan", durable(plan, { timeout: 60_000, retry: { maxAttempts: 5 } }))
   * ```
   *
   * @param node a function, a runnable or a compiled graph (a subgraph, which a retry resumes where it
   *   stopped)
   * @param policy see {@link DurablePolicy}; without one: 4 attempts at what is known to pass
   * @throws {InvalidInputError} an option that doesn't exist or can't be
   */
  <Input, Output, Config = LangGraphRunnableConfig>(
    node: NodeFunction<Input, Output, Config>,
    policy?: DurablePolicy<NoInfer<Input>, NoInfer<Output>>,
  ): (input: Input, config: Config) => Promise<Output>;
  <Node extends AnyRunnable>(node: Node, policy?: PolicyOf<Node>): DurableRunnableOf<Node>;

  /**
   * The same under other defaults; what a node's own policy says comes before them, option by option.
   *
   * ```ts
   * const step = durable.with({ timeout: 30_000, retry: { maxAttempts: 2 } });
   * ```
   */
  with(defaults: DurablePolicy<never, never>): Durable;

  /**
   * The same for the nodes of one state, whose type nodes written in place then know by themselves:
   *
   * ```ts
   * const step = durable.for(State);
   * new StateGraph(State).addNode("plan", step(async (state) => ({ topic: state.question })))
   * ```
   *
   * @param schema as given to `new StateGraph(...)`
   */
  for<Schema>(schema: Schema): DurableFor<StateOf<Schema>>;
}

/** A runnable or a compiled graph, whatever it takes and returns. */
interface AnyRunnable {
  lc_serializable: boolean;
  invoke(input: never, config?: never): Promise<unknown>;
}

type PolicyOf<Node extends AnyRunnable> = DurablePolicy<
  Parameters<Node["invoke"]>[0],
  Awaited<ReturnType<Node["invoke"]>>
>;

/** What of a runnable LangGraph asks of a node; a graph's own methods stay with the graph. */
export type DurableRunnableOf<Node extends AnyRunnable> = Pick<
  Node,
  keyof RunnableInterface & keyof Node
>;

/** `durable` for nodes whose state is known. */
export interface DurableFor<State> {
  <Output, Config = LangGraphRunnableConfig>(
    node: NodeFunction<State, Output, Config>,
    policy?: DurablePolicy<State, NoInfer<Output>>,
  ): (input: State, config: Config) => Promise<Output>;
  <Node extends AnyRunnable>(node: Node, policy?: PolicyOf<Node>): DurableRunnableOf<Node>;
  with(defaults: DurablePolicy<never, never>): DurableFor<State>;
}

/** What `new StateGraph(schema)` hands to its nodes. */
type StateOf<Schema> = Schema extends { State: infer State }
  ? State
  : Schema extends { _output: infer State }
    ? State
    : never;

type AnyNode = NodeFunction<unknown, unknown> | RunnableInterface;

function durableUnder(defaults: readonly DurablePolicy<never, never>[]): Durable {
  const wrap = (node: AnyNode, policy: DurablePolicy<never, never> = {}): unknown => {
    const resolved = resolvePolicy(node, [...defaults, policy]);
    if (Runnable.isRunnable(node)) return new DurableRunnable(node, resolved);
    const body = node as NodeFunction<unknown, unknown>;
    const durableNode = (input: unknown, config: LangGraphRunnableConfig): Promise<unknown> =>
      runNode({ policy: resolved, kind: "function", input, config, body });
    // LangGraph, traces and messages call a node by its function's name where it has no other.
    return Object.defineProperty(durableNode, "name", { value: body.name });
  };
  const own = {
    with: (more: DurablePolicy<never, never>) => durableUnder([...defaults, more]),
    for: () => durableUnder(defaults),
  };
  return Object.assign(wrap, own) as unknown as Durable;
}

export const durable: Durable = durableUnder([]);
