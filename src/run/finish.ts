/** The end of a `runToEnd`: the status is noted, the state read, and the outcome told. */

import { configFor } from "../history/address.ts";
import { events } from "../events.ts";
import type { StatusNote } from "../step-store.ts";
import type { RunOutcome } from "./outcome.ts";
import type { Run } from "./run.ts";

/** What an outcome says beside the thread and its state. */
export type Ending = RunOutcome extends infer Outcome
  ? Outcome extends RunOutcome
    ? Omit<Outcome, "threadId" | "values" | "checkpointId">
    : never
  : never;

export async function finish(
  run: Run,
  ending: Ending,
  options?: { keepStatus: boolean },
): Promise<RunOutcome> {
  const { graph, steps, threadId } = run;
  const state = await graph.getState(configFor(threadId, ""));
  if (steps !== undefined && options?.keepStatus !== true) {
    steps.status.note(threadId, noteOf(ending));
    await steps.status.flush();
  }
  if (ending.status === "completed") events.emit("run.completed", { threadId });
  if (ending.status === "failed") events.emit("run.failed", { threadId, error: ending.error });
  const checkpointId = state.config.configurable?.["checkpoint_id"] as string | undefined;
  return { threadId, values: state.values as Record<string, unknown>, checkpointId, ...ending };
}

function noteOf(ending: Ending): StatusNote {
  switch (ending.status) {
    case "completed":
      return { status: "completed", progressPercent: 100, errorMessage: undefined };
    case "failed":
      return { status: "failed", errorMessage: ending.error.message };
    case "interrupted":
      return { status: "interrupted" };
    case "parked":
      return { status: "parked", progressNote: ending.reason };
    case "stopped":
      return { status: "queued" };
  }
}
