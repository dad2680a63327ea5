/** A run as people see it. */

import type { RunRecord, StoredRun } from "../run-store.ts";
import { isOver } from "../turns.ts";
import type { RunInfo } from "./types.ts";

export function infoOf({ stop, ...run }: RunRecord | StoredRun): RunInfo {
  const { runId, threadId, graph, status, priority, startAt, deadlineAt } = run;
  const { enqueuedAt, startedAt, endedAt, attempt, crashes, reason } = run;
  const { fingerprint, waitingSince, schedule } = run;
  return {
    ...{ runId, threadId, graph, status, priority, startAt, deadlineAt },
    ...{ enqueuedAt, startedAt, endedAt, attempt, crashes, reason },
    ...{ fingerprint, waitingSince, schedule },
    stopping: stop !== undefined && !isOver(run),
  };
}
