/** Three nodes and two charges, for workers in processes of their own. */

import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { effect } from "../../src/effects/effect.ts";

const State = Annotation.Root({
  order: Annotation<string>(),
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});

export interface OrderOptions {
  /** Of the worker. */
  name: string;
  /** Where charges are made. */
  world: string;
  /** Told before a charge is made. */
  onCharge: (order: string) => void;
  /** Within the second node. */
  hold: (order: string) => Promise<void>;
}

const NOBODY: OrderOptions = {
  name: "nobody",
  world: "",
  onCharge: () => undefined,
  hold: () => Promise.resolve(),
};

let options = NOBODY;

const charge = effect({
  name: "order-charge",
  run: async (order: string, { idempotencyKey, signal }) => {
    options.onCharge(order);
    const response = await fetch(`${options.world}/charge`, {
      method: "POST",
      headers: { "Idempotency-Key": idempotencyKey },
      body: JSON.stringify({ order, amount: 1 }),
      signal,
    });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return order;
  },
  onUnknown: "repeat",
});

/** @param given none for a process that only reads */
export function orderGraph(given: OrderOptions = NOBODY) {
  options = given;
  return new StateGraph(State)
    .addNode("first", async ({ order }) => {
      await charge(`${order}-first`, { key: "first" });
      return { log: ["first"] };
    })
    .addNode("hold", async ({ order }) => {
      await options.hold(order);
      await charge(`${order}-second`, { key: "second" });
      return { log: ["hold"] };
    })
    .addNode("last", () => ({ log: [`last by ${options.name}`] }))
    .addEdge(START, "first")
    .addEdge("first", "hold")
    .addEdge("hold", "last")
    .addEdge("last", END)
    .compile();
}
