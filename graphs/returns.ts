/**
 * A returned order: checks the request, looks whether the article may come back, has a shipping label
 * made, refunds, and confirms by e-mail.
 *
 *     validate → inventory → label → refund → confirm
 *         ↓
 *        END, with what is wrong in `problems`
 *
 * Label, refund and e-mail happen once, wherever the process dies. If the refund fails for good, the
 * run fails, and `runToEnd` (or `compensate`, by hand) voids the label: nobody keeps a label without
 * the money.
 */

import { Annotation, END, START, StateGraph, type BaseCheckpointSaver } from "@langchain/langgraph";
import { durable, durableState } from "holdfast";
import { stockOf } from "./environment/world.ts";
import { createLabel, refundPayment, sendEmail } from "./returns/effects.ts";

/** What a customer asks for. */
export interface ReturnRequest {
  order: string;
  sku: string;
  quantity: number;
  /** In cents. */
  amount: number;
  email: string;
  reason: string;
}

export const ReturnsState = Annotation.Root({
  ...durableState,
  request: Annotation<ReturnRequest>,
  /** Why the request was not accepted; empty for one that was. */
  problems: Annotation<string[]>,
  /** How many of the article there were when it was asked to come back. */
  inStock: Annotation<number>,
  /** Ids of the shop's services. */
  label: Annotation<string>,
  refund: Annotation<string>,
  email: Annotation<string>,
});

type State = typeof ReturnsState.State;
type Update = typeof ReturnsState.Update;

export interface ReturnsOptions {
  checkpointer?: BaseCheckpointSaver;
}

const step = durable.for(ReturnsState).with({ timeout: 30_000 });

export function createReturnsGraph({ checkpointer }: ReturnsOptions = {}) {
  return new StateGraph(ReturnsState)
    .addNode("validate", step(validate))
    .addNode("inventory", step(inventory))
    .addNode("ship", step(ship))
    .addNode("pay", step(pay))
    .addNode("confirm", step(confirm))
    .addEdge(START, "validate")
    .addConditionalEdges("validate", ({ problems }) => (problems.length > 0 ? END : "inventory"), [
      "inventory",
      END,
    ])
    .addEdge("inventory", "ship")
    .addEdge("ship", "pay")
    .addEdge("pay", "confirm")
    .addEdge("confirm", END)
    .compile(checkpointer && { checkpointer });
}

async function validate({ request }: State): Promise<Update> {
  const problems: string[] = [];
  if (!(request.amount > 0)) problems.push("There is nothing to refund.");
  if (!(request.quantity >= 1)) problems.push("Nothing is sent back.");
  if (!/^\S+@\S+$/.test(request.email)) problems.push("We can't write to this address.");
  return { problems };
}

/** Reading can be repeated at will: no effect is needed. */
async function inventory(
  { request }: State,
  { signal }: { signal?: AbortSignal },
): Promise<Update> {
  return { inStock: await stockOf(request.sku, { ...(signal && { signal }) }) };
}

/** One label for each order, whatever becomes of this run: the order is the effect's key. */
async function ship({ request }: State): Promise<Update> {
  const { order, sku, quantity } = request;
  const { id } = await createLabel({ order, sku, quantity }, { key: order });
  return { label: id };
}

async function pay({ request }: State): Promise<Update> {
  const { order, amount } = request;
  const { id } = await refundPayment({ order, amount }, { key: order });
  return { refund: id };
}

async function confirm({ request, label, refund }: State): Promise<Update> {
  const { order, email } = request;
  const text = `Your label is ${label}, your refund ${refund}.`;
  const { id } = await sendEmail({ order, to: email, text }, { key: order });
  return { email: id };
}

/** For `langgraph.json`. */
export const returns = createReturnsGraph();
