/**
 * The log of executions: one line when a step begins, one when its function has returned, each
 * flushed to disk before anything else happens. It is kept outside the graph and its saver, so that
 * it can testify about both.
 */

import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { BaseCallbackHandler } from "@langchain/core/callbacks/base";
import type { Serialized } from "@langchain/core/load/serializable";

export interface JournalLine {
  event: "began" | "returned";
  /** Of the process that ran it. */
  pid: number;
  node: string;
  /** LangGraph's task id: the same when a resumed run executes the task again. */
  task: string;
  /** Epoch milliseconds. */
  at: number;
}

export function readJournal(path: string): JournalLine[] {
  const lines = readFileSync(path, "utf8").split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line) as JournalLine);
}

/** LangGraph's own pseudo-nodes, such as `__start__`, are no steps of ours. */
export function isStep(node: string): boolean {
  return !node.startsWith("__");
}

/** Hears of every step by LangChain's callbacks, logs it, and passes it on. */
export class Journal extends BaseCallbackHandler {
  readonly name = "journal";
  /** The step begins only after its line is on disk. */
  override readonly awaitHandlers = true;

  readonly #file: number;
  readonly #pid: number;
  readonly #report: (line: JournalLine) => void;
  readonly #running = new Map<string, { node: string; task: string }>();

  constructor(path: string, pid: number, report: (line: JournalLine) => void) {
    super();
    this.#file = openSync(path, "a");
    this.#pid = pid;
    this.#report = report;
  }

  override handleChainStart(
    _chain: Serialized,
    _inputs: unknown,
    runId: string,
    _parentRunId?: string,
    tags?: string[],
    metadata?: Record<string, unknown>,
  ): void {
    // LangGraph tags the runs of nodes so, and nothing that happens within them.
    if (!tags?.some((tag) => tag.startsWith("graph:step:"))) return;
    const [node = "", task = ""] = String(metadata?.["langgraph_checkpoint_ns"]).split(":");
    if (!isStep(node)) return;
    this.#running.set(runId, { node, task });
    this.#write("began", { node, task });
  }

  override handleChainEnd(_outputs: unknown, runId: string): void {
    const step = this.#running.get(runId);
    if (step && this.#running.delete(runId)) this.#write("returned", step);
  }

  close(): void {
    closeSync(this.#file);
  }

  #write(event: JournalLine["event"], step: { node: string; task: string }): void {
    const line: JournalLine = { event, pid: this.#pid, ...step, at: Date.now() };
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
    fsyncSync(this.#file);
    this.#report(line);
  }
}
