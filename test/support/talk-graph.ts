/** Two nodes that ask a model, one after the other, whose answers stream. */

import { ChatOpenAI } from "@langchain/openai";
import { END, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import type { ChatRequest } from "../../src/testing/index.ts";

export const VERSES = {
  first: "The kelp holds fast in the long swell of the northern sea, and it does not let go.",
  second: "Under it the otters sleep, wrapped in its leaves, each holding the paw of another.",
};

/** For the server: what it says to which of the two. */
export function verseFor({ messages }: ChatRequest): string {
  return JSON.stringify(messages.at(-1)).includes("second") ? VERSES.second : VERSES.first;
}

export function streamingModel(baseURL: string): ChatOpenAI {
  return new ChatOpenAI({
    ...{ model: "gpt-4o", apiKey: "none", streaming: true, maxRetries: 0 },
    configuration: { baseURL },
  });
}

/** @param within called in the second node before its model is asked */
export function talkGraph(baseURL: string, within?: () => Promise<void>) {
  const model = streamingModel(baseURL);
  return new StateGraph(MessagesAnnotation)
    .addNode("first", async () => ({ messages: [await model.invoke("the first verse")] }))
    .addNode("second", async () => {
      await within?.();
      return { messages: [await model.invoke("the second verse")] };
    })
    .addEdge(START, "first")
    .addEdge("first", "second")
    .addEdge("second", END)
    .compile();
}
