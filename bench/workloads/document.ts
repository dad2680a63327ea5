/** A thread whose state stays the same size: each turn replaces one document by another. */

import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { randomText } from "../support/random.ts";

export const DOCUMENT_BYTES = 10_000;
export const DOCUMENT_THREAD = { configurable: { thread_id: "document" } };

const DocumentState = Annotation.Root({
  revision: Annotation<number>(),
  document: Annotation<string>(),
});

export function documentGraph(saver?: BaseCheckpointSaver) {
  return new StateGraph(DocumentState)
    .addNode("write", ({ revision }) => ({ document: randomText(revision, DOCUMENT_BYTES) }))
    .addEdge(START, "write")
    .addEdge("write", END)
    .compile(saver === undefined ? {} : { checkpointer: saver });
}
