/**
 * The end of a run that failed for good: what it did is taken back.
 *
 * That it is to be is durable before the first undo, as the thread's status: a process that dies in
 * between is followed by one that goes on undoing, and not by one that tries the failed node again.
 */

import { compensate, undoneEffects } from "../effects/saga.ts";
import { isDurableSaver, leaseTokenOf } from "../step-store.ts";
import { finish } from "./finish.ts";
import type { RunOutcome } from "./outcome.ts";
import type { Run } from "./run.ts";

export async function takeBack(run: Run, error: Error): Promise<RunOutcome> {
  const { graph, saver, steps, threadId, options, config } = run;
  if (steps === undefined || !isDurableSaver(saver) || options.compensate === false) {
    return finish(run, { status: "failed", error, undone: [], stuck: [] });
  }
  steps.status.note(threadId, { status: "compensating", errorMessage: error.message });
  await steps.status.flush();
  const { signal } = config;
  const leaseToken = leaseTokenOf(config);
  try {
    const { stuck } = await compensate(graph, threadId, {
      ...(signal === undefined ? {} : { signal }),
      ...(leaseToken === undefined ? {} : { leaseToken }),
    });
    // Those of a process that died on the way are among them: whoever ends it tells the whole.
    const undone = await undoneEffects(saver, threadId);
    return await finish(run, {
      status: "failed",
      error,
      undone: undone.map(({ effect }) => effect),
      stuck: stuck.map(({ id }) => id),
    });
  } catch (thrown) {
    if (signal?.aborted !== true) throw thrown;
    return finish(run, { status: "stopped" }, { keepStatus: true });
  }
}

/** The end of a run that failed before anything of it was stored: there is nothing to take back. */
export function failEmpty(run: Run, error: Error): Promise<RunOutcome> {
  return finish(run, { status: "failed", error, undone: [], stuck: [] });
}

/** Why the thread's run failed, where its taking back was begun and not ended. */
export async function unfinishedFailure({ steps, threadId }: Run): Promise<Error | undefined> {
  const status = await steps?.status.read(threadId);
  if (status?.status !== "compensating") return undefined;
  return new Error(status.errorMessage ?? "the run failed");
}

/** Why the thread's run is over, where it failed. */
export async function failureOnRecord({ steps, threadId }: Run): Promise<Error | undefined> {
  const status = await steps?.status.read(threadId);
  return status?.status === "failed"
    ? new Error(status.errorMessage ?? "the run failed")
    : undefined;
}

/** A run whose effects were undone has no way on: what its finished nodes did is not there any more. */
export async function isTakenBack({ saver, threadId }: Run): Promise<boolean> {
  return isDurableSaver(saver) && (await undoneEffects(saver, threadId)).length > 0;
}

export function failureOf(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error), { cause: error });
}
