/** The two ways in which a script runs a graph to its end, and takes back what failed for good. */

import { Command, type Interrupt } from "@langchain/langgraph";
import type { RunnableConfig } from "@langchain/core/runnables";
import { compensate, runToEnd } from "holdfast";
import type { HoldfastSaver } from "../../../checkpointers/saver.ts";

/** As much of a compiled graph as this needs, of whatever state. */
interface Graph {
  invoke(input: object | null, config: RunnableConfig): Promise<unknown>;
  getState(config: RunnableConfig): Promise<{ values: unknown }>;
}

/** What is the same however often the program was killed. */
export type Outcome =
  | { outcome: "completed"; state: unknown }
  /** Failed for good, and compensated. */
  | { outcome: "failed"; state: unknown; error: string; stuck: number };

/** By `runToEnd`. Begins the thread, or goes on with it. */
export async function toEnd(
  graph: object,
  saver: HoldfastSaver,
  threadId: string,
  input: object,
): Promise<Outcome> {
  const config = { configurable: { thread_id: threadId } };
  const begun = await saver.getTuple(config);
  const outcome = await runToEnd(graph, begun === undefined ? input : null, config);
  const { status, values: state } = outcome;
  if (status === "completed") return { outcome: status, state };
  if (status !== "failed") throw new Error(`The run is ${status}, and should not be.`);
  return { outcome: status, state, error: outcome.error.message, stuck: outcome.stuck.length };
}

/** By LangGraph's own `invoke`, with answers to the questions on the way. */
export async function byInvoking(
  graph: Graph,
  saver: HoldfastSaver,
  threadId: string,
  input: object,
  answer: (question: unknown) => Promise<unknown> = unasked,
): Promise<Outcome> {
  const config = { configurable: { thread_id: threadId }, durability: "sync" } as const;
  const begun = await saver.getTuple(config);
  let next: object | null = begun === undefined ? input : null;
  try {
    while (true) {
      const result = (await graph.invoke(next, config)) as { __interrupt__?: Interrupt[] };
      const { __interrupt__: questions = [], ...state } = result;
      if (questions.length === 0) return { outcome: "completed", state };
      const answers = questions.map(async ({ id, value }) => [id, await answer(value)]);
      next = new Command({ resume: Object.fromEntries(await Promise.all(answers)) });
    }
  } catch (error) {
    const { stuck } = await compensate({ checkpointer: saver }, threadId);
    const { values: state } = await graph.getState(config);
    const { message } = error as Error;
    return { outcome: "failed", state, error: message, stuck: stuck.length };
  }
}

async function unasked(question: unknown): Promise<never> {
  throw new Error(`Nobody was to be asked: ${JSON.stringify(question)}`);
}
