/** Threads and runs by id or by a unique beginning of one. */

import { InvalidInputError, NotFoundError } from "../errors.ts";
import type { RunQueue } from "../run-store.ts";
import type { Saver } from "./database.ts";
import { fit, harmless } from "./text.ts";

const SHOWN = 5;

/** The full id of the thread. */
export async function findThread(saver: Saver, id: string): Promise<string> {
  if (id === "") throw new InvalidInputError("A thread id cannot be empty.");
  // A whole id is the common case, and costs no search.
  if (await threadExists(saver, id)) return id;
  const { threads } = await saver.listThreads({ prefix: id, limit: SHOWN + 1 });
  return theOnly(
    threads.map((thread) => thread.threadId),
    "thread",
    id,
  );
}

/** {@link findThread}, also of a thread that has runs, and no checkpoint yet. */
export async function findThreadOfRuns(saver: Saver, id: string): Promise<string> {
  const [run] = (await saver.steps.queue?.list({ threadId: id, limit: 1 })) ?? [];
  return run === undefined ? findThread(saver, id) : id;
}

/** The full id of the run. */
export async function findRun(queue: RunQueue, id: string): Promise<string> {
  if (id === "") throw new InvalidInputError("A run id cannot be empty.");
  if ((await queue.read(id)) !== undefined) return id;
  const runs = await queue.list({ prefix: id, limit: SHOWN + 1 });
  return theOnly(
    runs.map((run) => run.runId),
    "run",
    id,
  );
}

async function threadExists(saver: Saver, id: string): Promise<boolean> {
  const config = { configurable: { thread_id: id } };
  for await (const _ of saver.list(config, { limit: 1 })) return true;
  return false;
}

function theOnly(found: readonly string[], what: string, id: string): string {
  const [only, ...others] = found;
  if (only === undefined) throw new NotFoundError(`There is no ${what} "${clip(id)}".`);
  if (others.length === 0) return only;
  const shown = found.slice(0, SHOWN).map(clip).join(", ");
  throw new InvalidInputError(
    `"${clip(id)}" is the beginning of several ${what}s: ${shown}${found.length > SHOWN ? ", …" : ""}. Give more of it.`,
  );
}

function clip(id: string): string {
  return fit(harmless(id), 60);
}
