/** What runs in the chaos do: four kinds of errands, each with effects in the outside world. */

import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { approval, durable, effect, sleep } from "holdfast";
import { setTimeout as pause } from "node:timers/promises";

const State = Annotation.Root({
  id: Annotation<string>(),
  kind: Annotation<Kind>(),
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});

/** Goes through; fails for good and is taken back; asks a person; sleeps, parked. */
export const KINDS = ["through", "fail", "ask", "sleep"] as const;
export type Kind = (typeof KINDS)[number];

/** What a run leaves that nothing disturbed. */
export const EXPECTED: Record<Kind, { status: "completed" | "failed"; log: string[] }> = {
  through: { status: "completed", log: ["label", "work", "charge"] },
  fail: { status: "failed", log: ["label"] },
  ask: { status: "completed", log: ["label", "approved", "charge"] },
  sleep: { status: "completed", log: ["label", "slept", "charge"] },
};

export interface ChaosOptions {
  world: string;
  /** How long a node takes, in milliseconds. */
  work: () => number;
}

/** @param options none for a process that only reads */
export function chaosGraph(options: ChaosOptions = { world: "", work: () => 0 }) {
  const ask = async (
    what: string,
    details: object,
    { idempotencyKey, signal }: { idempotencyKey: string; signal: AbortSignal },
  ): Promise<{ id: string }> => {
    const response = await fetch(`${options.world}/${what}`, {
      method: "POST",
      headers: { "Idempotency-Key": idempotencyKey },
      body: JSON.stringify(details),
      signal,
    });
    if (!response.ok) throw new Error(`${what}: HTTP ${response.status}`);
    return (await response.json()) as { id: string };
  };
  const label = effect({
    name: "chaos-label",
    run: (order: string, context) => ask("label", { order }, context),
    onUnknown: "repeat",
    undo: async (_order, made, context) => {
      if (made !== undefined) await ask("void-label", { label: made.id }, context);
    },
  });
  const charge = effect({
    name: "chaos-charge",
    run: (order: string, context) => ask("charge", { order, amount: 1 }, context),
    onUnknown: "repeat",
  });
  const errands: Record<Kind, () => Promise<string>> = {
    through: () => Promise.resolve("work"),
    fail: () => Promise.reject(new TypeError("it cannot be done")),
    ask: async () => {
      await approval({ title: "May it be charged?", payload: {} });
      return "approved";
    },
    sleep: async () => {
      await sleep(6_000);
      return "slept";
    },
  };
  return new StateGraph(State)
    .addNode(
      "label",
      durable.for(State)(async ({ id }) => {
        await pause(options.work());
        await label(id, { key: "label" });
        return { log: ["label"] };
      }),
    )
    .addNode(
      "errand",
      durable.for(State)(async ({ kind }) => {
        await pause(options.work());
        return { log: [await errands[kind]()] };
      }),
    )
    .addNode(
      "charge",
      durable.for(State)(async ({ id }) => {
        await pause(options.work());
        await charge(id, { key: "charge" });
        return { log: ["charge"] };
      }),
    )
    .addEdge(START, "label")
    .addEdge("label", "errand")
    .addEdge("errand", "charge")
    .addEdge("charge", END)
    .compile();
}
