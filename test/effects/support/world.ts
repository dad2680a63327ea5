/** An outside world that counts what it is asked to do, and graphs of one node that ask it. */

import {
  Annotation,
  END,
  START,
  StateGraph,
  type Command,
  type LangGraphRunnableConfig,
} from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";

/** By name, then by what was asked for. */
export class World {
  readonly calls: string[] = [];
  readonly keys: string[] = [];

  do(what: string, idempotencyKey = ""): string {
    this.calls.push(what);
    this.keys.push(idempotencyKey);
    return `${what} done`;
  }
}

const State = Annotation.Root({
  order: Annotation<string>(),
  log: Annotation<unknown[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});
export type OrderState = typeof State.State;

export type Body = (state: OrderState, config: LangGraphRunnableConfig) => unknown;

/** A chain of nodes; what each returns goes into `log`. */
export function graphOf(saver: BaseCheckpointSaver | undefined, ...bodies: Body[]) {
  const graph = new StateGraph(State) as unknown as StateGraph<
    (typeof State)["spec"],
    OrderState,
    Partial<OrderState>,
    string
  >;
  bodies.forEach((body, i) => {
    graph.addNode(`n${i + 1}`, async (state, config) => ({ log: [await body(state, config)] }));
    graph.addEdge(i === 0 ? START : `n${i}`, `n${i + 1}`);
  });
  graph.addEdge(`n${bodies.length}`, END);
  return graph.compile(saver === undefined ? {} : { checkpointer: saver });
}

export type Input = Partial<OrderState> | Command | null;

/** What a graph asks, after an invocation that was interrupted. */
export function questionsOf(result: unknown): { id: string; value: Record<string, unknown> }[] {
  return ((result as { __interrupt__?: unknown[] }).__interrupt__ ?? []) as {
    id: string;
    value: Record<string, unknown>;
  }[];
}
