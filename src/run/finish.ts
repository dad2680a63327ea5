/** The end of a `runToEnd`: the status is noted, the state read, and the outcome told. */

import { configFor } from "../history/address.ts";
import { events } from "../events.ts";
import type { StatusNote } from "../step-store.ts";
import type { RunOutcome } from "./outcome.ts";
import type { Run } from "./run.ts";
import type { Level } from "./tasks.ts";

/** What an outcome says beside the thread and its state. */
export type Ending = RunOutcome extends infer Outcome
  ? Outcome extends RunOutcome
    ? Omit<Outcome, "threadId" | "values" | "checkpointId">
    : never
  : never;

/** @param options.level where the thread stands, for who has just read it */
export async function finish(
  run: Run,
  ending: Ending,
  options?: { keepStatus?: boolean; level?: Level },
): Promise<RunOutcome> {
  const { steps, threadId } = run;
  const { values, checkpointId } = await standOf(run, options?.level);
  if (steps !== undefined && options?.keepStatus !== true) {
    steps.status.note(threadId, noteOf(ending));
    await steps.status.flush();
  }
  if (ending.status === "completed") events.emit("run.completed", { threadId });
  if (ending.status === "failed") events.emit("run.failed", { threadId, error: ending.error });
  return { threadId, values, checkpointId, ...ending };
}

async function standOf(
  { graph, threadId }: Run,
  level: Level | undefined,
): Promise<{ values: Record<string, unknown>; checkpointId: string | undefined }> {
  if (level !== undefined) {
    return { values: level.values, checkpointId: level.tuple.checkpoint.id };
  }
  const { values, config } = await graph.getState(configFor(threadId, ""));
  const checkpointId = config.configurable?.["checkpoint_id"] as string | undefined;
  return { values: values as Record<string, unknown>, checkpointId };
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
