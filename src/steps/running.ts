/**
 * Attempts that run in this process, and the record of those that take long.
 *
 * An attempt that is over in a moment leaves nothing. One that still runs when it is looked at for the
 * second time is noted as running: should the process die now, the attempt counts.
 *
 * Invariant
 *   U1  An attempt is on record as running at the latest 2 * {@link LOOK_EVERY} after it began, plus
 *       what the store takes for a note.
 */

import { systemClock } from "../clock.ts";
import type { TaskAddress } from "../step-store.ts";

/** Milliseconds of real time: it is about crashes of this process, and no decision of a step. */
const LOOK_EVERY = 50;

interface Watched {
  task: TaskAddress;
  note: () => void;
}

const watched = new Map<Watched, "new" | "seen" | "noted">();
let looking = false;

/** @param note puts it on record; not called for one that is over soon */
export function watchAttempt(task: TaskAddress, note: () => void): { end: () => void } {
  const attempt = { task, note };
  watched.set(attempt, "new");
  if (!looking) void look();
  return { end: () => watched.delete(attempt) };
}

/** Whether an attempt of this task runs here: if not, one that is on record as running has crashed. */
export function isRunningHere(task: TaskAddress): boolean {
  for (const attempt of watched.keys()) if (isSame(attempt.task, task)) return true;
  return false;
}

function isSame(a: TaskAddress, b: TaskAddress): boolean {
  return (
    a.taskId === b.taskId &&
    a.threadId === b.threadId &&
    a.checkpointId === b.checkpointId &&
    a.namespace === b.namespace
  );
}

async function look(): Promise<void> {
  looking = true;
  while (watched.size > 0) {
    await systemClock.sleep(LOOK_EVERY);
    for (const [attempt, state] of watched) {
      if (state === "seen") attempt.note();
      watched.set(attempt, state === "new" ? "seen" : "noted");
    }
  }
  looking = false;
}
