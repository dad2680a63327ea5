/** One LangGraph run from the command line: streamed, always in durability "sync", and judged. */

import { withoutStaleResume } from "./answers.ts";
import type { Saver } from "./database.ts";
import type { Gate } from "./gate.ts";
import { gatesOf } from "./gate.ts";
import type { Graph } from "./graph.ts";
import { withSaver } from "./graph.ts";
import type { Io } from "./io.ts";
import type { Output } from "./output.ts";
import { Progress } from "./progress.ts";
import { errorsOf, isFinished, questionsOf, readLevel } from "./tasks.ts";
import type { Level, Question } from "./tasks.ts";
import { harmless } from "./text.ts";

/** How a run ended, or where the thread stands. */
export type Outcome =
  | { status: "done" }
  /** `at`: an earlier checkpoint that was to be gone on from. */
  | { status: "waiting"; gates: Gate[]; questions: Question[]; at?: string }
  /** Neither finished nor waiting: killed or stopped in the middle. */
  | { status: "unfinished"; nodes: string[] }
  | { status: "failed"; error: unknown; failures: { node: string; message: string }[] }
  | { status: "aborted" };

export interface Drive {
  io: Io;
  out: Output;
  graph: Graph;
  /** The name that the thread remembers its graph by. */
  graphName: string;
  saver: Saver;
  threadId: string;
  /** The thread as it was read before; undefined for a new one. */
  level: Level | undefined;
  configurable: Record<string, unknown>;
  recursionLimit: number | undefined;
}

/**
 * Runs until the end, a gate, a question or an error.
 * @param checkpointId goes on from this one, on a new branch, and not from the latest
 */
export async function drive(
  run: Drive,
  input: unknown,
  options: { checkpointId?: string; answering?: boolean } = {},
): Promise<Outcome> {
  const { io, out, saver, threadId, level, graphName, recursionLimit } = run;
  const view =
    level === undefined ? saver : withoutStaleResume(saver, level, options.answering === true);
  const progress = new Progress(io, out);
  out.note(`${out.notePaint.bold("thread")} ${harmless(threadId)}`);
  try {
    const chunks = await withSaver(run.graph, view).stream(input, {
      configurable: {
        ...run.configurable,
        thread_id: threadId,
        // Even an undefined one would make LangGraph repeat finished siblings.
        ...(options.checkpointId === undefined ? {} : { checkpoint_id: options.checkpointId }),
      },
      metadata: { graph_id: graphName },
      streamMode: ["tasks"],
      subgraphs: true,
      // A finished node is stored before the next one begins: nothing finished is lost (P1).
      durability: "sync",
      signal: io.signal,
      ...(recursionLimit === undefined ? {} : { recursionLimit }),
    });
    for await (const chunk of chunks) progress.show(chunk);
  } catch (error) {
    if (io.signal.aborted) return { status: "aborted" };
    const after = await readLevel(run.graph, saver, threadId).catch(() => undefined);
    return { status: "failed", error, failures: after === undefined ? [] : errorsOf(after) };
  }
  const after = await readLevel(run.graph, saver, threadId);
  return after === undefined ? { status: "done" } : standing(after, saver, threadId);
}

/** Where a thread stands when nothing runs. */
export async function standing(level: Level, saver: Saver, threadId: string): Promise<Outcome> {
  if (isFinished(level)) return { status: "done" };
  const gates = await gatesOf(level, saver, threadId);
  const questions = questionsOf(level);
  if (gates.length > 0 || questions.length > 0) return { status: "waiting", gates, questions };
  const open = level.tasks.filter((task) => !task.done);
  return { status: "unfinished", nodes: [...new Set(open.map((task) => task.name))] };
}
