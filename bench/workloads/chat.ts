/**
 * The chat thread of the claims: each turn is one human and one AI message of 1,000 random
 * characters and leaves three checkpoints.
 */

import { AIMessage, HumanMessage } from "@langchain/core/messages";
import { END, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { randomText } from "../support/random.ts";

export const MESSAGE_LENGTH = 1000;
export const CHECKPOINTS_PER_TURN = 3;
export const THREAD = { configurable: { thread_id: "chat" } };

/** What the user typed and the model answered: the distinct content of a thread. */
export function chatContentBytes(turns: number): number {
  return turns * 2 * MESSAGE_LENGTH;
}

/** Seeded by its place in the thread, so that any process can go on where another stopped. */
function messageText(index: number): string {
  return randomText(index + 1, MESSAGE_LENGTH);
}

export function chatGraph(saver?: BaseCheckpointSaver) {
  return new StateGraph(MessagesAnnotation)
    .addNode("answer", (state) => ({
      messages: [new AIMessage(messageText(state.messages.length))],
    }))
    .addEdge(START, "answer")
    .addEdge("answer", END)
    .compile(saver === undefined ? {} : { checkpointer: saver });
}

export type ChatGraph = ReturnType<typeof chatGraph>;

export async function chatTurn(graph: ChatGraph, turn: number): Promise<void> {
  const input = { messages: [new HumanMessage(messageText(turn * 2))] };
  await graph.invoke(input, { ...THREAD, durability: "sync" });
}

/** What tells a state of the thread from the others: how many messages, and what the last one says. */
export interface ChatEnd {
  readonly messages: number;
  readonly last: unknown;
}

export function chatEnd(values: unknown): ChatEnd {
  const found = (values as typeof MessagesAnnotation.State).messages ?? [];
  return { messages: found.length, last: found.at(-1)?.content };
}

/** Refuses a state that is not the thread's: a saver must not win by losing messages. */
export function checkChatEnd(found: ChatEnd, messages: number): void {
  const last = messages === 0 ? undefined : messageText(messages - 1);
  if (found.messages !== messages || found.last !== last)
    throw new Error(`Expected the state after ${messages} messages, got ${found.messages}.`);
}

export function checkChatState(values: unknown, messages: number): void {
  checkChatEnd(chatEnd(values), messages);
}

/** How many messages the state holds that is `back` checkpoints older than the newest. */
export function messagesAt(turns: number, back: number): number {
  const age = turns * CHECKPOINTS_PER_TURN - 1 - back;
  // A turn's checkpoints: its input, not yet applied; with the question; with the answer.
  return Math.floor(age / CHECKPOINTS_PER_TURN) * 2 + (age % CHECKPOINTS_PER_TURN);
}
