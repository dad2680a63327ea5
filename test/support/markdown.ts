/**
 * The programs in the README and the docs. A fence says what becomes of its block:
 *
 *     ```ts runnable      is type-checked and run; a ```text block right after it is its output
 *     ```ts               is type-checked, as a part of the imaginary program in `SURROUNDINGS`
 */

export interface Example {
  /** Where it begins, as `README.md:12`. */
  where: string;
  code: string;
  runnable: boolean;
  /** What it prints, if the text says so. */
  output: string | undefined;
}

export function examplesIn(name: string, markdown: string): Example[] {
  const fence = /^```(ts|ts runnable)\n([\s\S]*?)^```\n(?:\s*^```text\n([\s\S]*?)^```\n)?/gm;
  return [...markdown.matchAll(fence)].map((match) => {
    const line = markdown.slice(0, match.index).split("\n").length;
    const [, info, code = "", output] = match;
    return { where: `${name}:${line}`, code, runnable: info === "ts runnable", output };
  });
}

/** What the blocks that aren't whole programs may refer to, as a declaration file. */
export const SURROUNDINGS = `
import type * as langgraph from "@langchain/langgraph";
import type * as holdfast from "holdfast";
import type * as sqlite from "holdfast/sqlite";
import type * as postgres from "holdfast/postgres";

declare global {
  const Command: typeof langgraph.Command;
  const SqliteSaver: typeof sqlite.SqliteSaver;
  const PostgresSaver: typeof postgres.PostgresSaver;
  const { ${["diff", "findCheckpoint", "fork", "formatDiff", "history", "importThreads", "rewind"].join(", ")} }: typeof holdfast;

  const builder: langgraph.StateGraph<{ draft: string }>;
  const graph: ReturnType<typeof builder.compile>;
  const thread: { configurable: { thread_id: string } };
  const saver: sqlite.SqliteSaver;
  const officialSaver: holdfast.AnySaver;
  const checkpointId: string;
  const from: string;
  const to: string;
  const corrected: string;
  const outline: string[];
}
`;
