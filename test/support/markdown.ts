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

/** Public names that parts of programs use without importing them. */
const NAMES = [
  ...["diff", "findCheckpoint", "fork", "formatDiff", "history", "importThreads", "rewind"],
  ...[
    "createRuntime",
    "durable",
    "durableModel",
    "durableTool",
    "durableState",
    "withDeadline",
    "retry",
    "events",
    "runToEnd",
    "sleep",
    "progress",
  ],
  ...["effect", "transaction", "idempotent", "compensate", "stuck", "approval", "approvals"],
];

/** What the blocks that aren't whole programs may refer to, as a declaration file. */
export const SURROUNDINGS = `
import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import type { StructuredTool } from "@langchain/core/tools";
import type * as langgraph from "@langchain/langgraph";
import type * as holdfast from "holdfast";
import type * as sqlite from "holdfast/sqlite";
import type * as postgres from "holdfast/postgres";

declare global {
  const Command: typeof langgraph.Command;
  const SqliteSaver: typeof sqlite.SqliteSaver;
  const PostgresSaver: typeof postgres.PostgresSaver;
  const { ${NAMES.join(", ")} }: typeof holdfast;

  interface Order {
    id: string;
    total: number;
  }
  const order: Order;
  const OrderState: { State: { order: Order; inStock: number } };
  /** Somebody else's service. */
  const payments: {
    charge(order: Order, options: { idempotencyKey: string; signal: AbortSignal }): Promise<{ id: string }>;
    find(idempotencyKey: string): Promise<{ id: string } | undefined>;
    refund(id: string, options: { idempotencyKey: string }): Promise<void>;
  };
  const model: BaseChatModel;
  const searchTool: StructuredTool;
  const question: string;

  const builder: langgraph.StateGraph<{ draft: string; topic: string }>;
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
