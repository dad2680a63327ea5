/** An agent with a `files` map of which each step changes one entry. */

import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { randomIndex, randomText } from "../support/random.ts";

const ENTRIES = 500;
const ENTRY_BYTES = 4096;

const FilesState = Annotation.Root({
  files: Annotation<Record<string, string>>({
    reducer: (left, right) => ({ ...left, ...right }),
    default: () => ({}),
  }),
  step: Annotation<number>(),
});

const pathOf = (entry: number) => `src/part-${entry}/file-${entry}.ts`;

/** The files handed in, and one new file a step. */
export function filesContentBytes(steps: number): number {
  return (ENTRIES + steps) * ENTRY_BYTES;
}

export async function runFiles(saver: BaseCheckpointSaver, steps: number): Promise<void> {
  const graph = new StateGraph(FilesState)
    .addNode("edit", ({ step }) => ({
      step: step + 1,
      files: { [pathOf(randomIndex(step, ENTRIES))]: randomText(ENTRIES + step, ENTRY_BYTES) },
    }))
    .addEdge(START, "edit")
    .addConditionalEdges("edit", (state) => (state.step < steps ? "edit" : END))
    .compile({ checkpointer: saver });
  const files = Object.fromEntries(
    Array.from({ length: ENTRIES }, (_, entry) => [pathOf(entry), randomText(entry, ENTRY_BYTES)]),
  );
  await graph.invoke(
    { files, step: 0 },
    { configurable: { thread_id: "files" }, durability: "sync", recursionLimit: steps + 10 },
  );
}
