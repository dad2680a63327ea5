/** What `runToEnd` says at the end. */

import type { Gate } from "./gate.ts";
import type { Question } from "./tasks.ts";

interface Ended<Values> {
  threadId: string;
  /** The state at the end, and its checkpoint. */
  values: Values;
  checkpointId: string | undefined;
}

/** A question, or a gate, that a person has to answer; `approvals(saver)` and the CLI do, by id. */
export interface Waiting {
  gates: Gate[];
  questions: Question[];
}

export type RunOutcome<Values = Record<string, unknown>> =
  | (Ended<Values> & { status: "completed" })
  /** A person is waited for. */
  | (Ended<Values> & { status: "interrupted" } & Waiting)
  /** A time is waited for: call again at `resumeAt` or later. Only with `park`. */
  | (Ended<Values> & { status: "parked"; resumeAt: number; reason: string })
  /**
   * For good; `undone` and `stuck` name the effects of the run that were, and were not, taken back. Asked
   * again, without an input, a run that was taken back says the same.
   */
  | (Ended<Values> & { status: "failed"; error: Error; undone: string[]; stuck: string[] })
  /** The config's signal stopped it; what finished is kept, and the next call goes on. */
  | (Ended<Values> & { status: "stopped" });
