/** A runnable, or a compiled graph, under policies. */

import { Runnable, ensureConfig, type RunnableConfig } from "@langchain/core/runnables";
import type { Graph } from "@langchain/core/runnables/graph";
import { runNode } from "./run-node.ts";
import type { ResolvedPolicy } from "./durable-policy.ts";

export class DurableRunnable extends Runnable<unknown, unknown> {
  lc_namespace = ["holdfast", "steps"];
  /** Where LangGraph looks for the graph among a node's runnables: streaming and states need it. */
  readonly steps: readonly Runnable[];
  readonly #inner: Runnable;
  readonly #policy: ResolvedPolicy;

  constructor(inner: Runnable, policy: ResolvedPolicy) {
    super();
    this.name = inner.getName();
    this.steps = [inner];
    this.#inner = inner;
    this.#policy = policy;
  }

  override invoke(input: unknown, options?: Partial<RunnableConfig>): Promise<unknown> {
    return runNode({
      policy: this.#policy,
      kind: "runnable",
      input,
      config: options ?? ensureConfig(),
      body: (value, config) => this.#inner.invoke(value, config),
    });
  }

  override getGraph(config?: RunnableConfig): Graph {
    return this.#inner.getGraph(config);
  }
}
