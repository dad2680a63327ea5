/** Brings threads over from any LangGraph saver, by LangGraph's contract alone. */

import { InvalidInputError } from "../errors.ts";
import { listThreadIds } from "./catalogue.ts";
import { importThread } from "./import-thread.ts";
import type { AnySaver } from "./source.ts";
import { versionsFor } from "./versions.ts";

export interface ImportOptions {
  /**
   * Only these threads. Default: all that the saver lists. The official database savers load all
   * rows to list their threads: for a large database it is cheaper to name them here.
   */
  threadIds?: Iterable<string> | AsyncIterable<string>;
  /** Called after each checkpoint and each thread. */
  onProgress?: (progress: ImportProgress) => void;
  /** Stops before the next checkpoint; the thread in hand is taken back, if it was new. */
  signal?: AbortSignal;
}

export interface ImportProgress {
  /** The thread in hand. */
  threadId: string;
  /** Threads dealt with so far, failed ones included. */
  done: number;
  /** Threads to deal with. */
  total: number;
  /** Checkpoints, pending writes and skipped checkpoints so far, of all threads. */
  checkpoints: number;
  writes: number;
  skipped: number;
}

export interface ImportResult {
  /** Threads that came over or gained something. */
  threads: number;
  /** Checkpoints that came over. */
  checkpoints: number;
  /** Pending writes that came over. */
  writes: number;
  /** Checkpoints that were there already, and complete. */
  skipped: number;
  /**
   * Threads that could not be brought over. The target has nothing of them; one that it had before
   * is still there, perhaps with a part of what was new.
   */
  failed: { threadId: string; error: unknown }[];
}

/**
 * Copies threads from one saver to another: all namespaces, checkpoints, pending writes, parents and
 * ids, so that state, history, resuming and forking are the same on the target. Repeating it changes
 * nothing, and brings over what the source has gained since. Stop the runs on these threads first.
 *
 * Channel versions are rewritten to the target's kind. A thread that cannot be read, or that has
 * gone on in the target as well as in the source, is reported in `failed` and left as it is.
 *
 * @throws {InvalidInputError} both savers are the same
 * @throws {CorruptDataError} the source stopped in the middle of listing its threads
 * @throws the signal's reason, when aborted
 * @example await importThreads(OfficialSqliteSaver.fromConnString("old.db"), saver)
 */
export async function importThreads(
  from: AnySaver,
  to: AnySaver,
  options: ImportOptions = {},
): Promise<ImportResult> {
  if (from === to) throw new InvalidInputError("Cannot import from a saver into itself.");
  const { signal, onProgress } = options;
  const result: ImportResult = { threads: 0, checkpoints: 0, writes: 0, skipped: 0, failed: [] };
  const threadIds = await threadsToImport(from, options.threadIds);
  const rewrite = versionsFor(to);
  let done = 0;
  for (const threadId of threadIds) {
    const report = (): void => {
      const { checkpoints, writes, skipped } = result;
      onProgress?.({ threadId, done, total: threadIds.length, checkpoints, writes, skipped });
    };
    const before = result.checkpoints + result.writes;
    try {
      await importThread({ from, to, threadId, rewrite, signal, count: result, report });
      if (result.checkpoints + result.writes > before) result.threads++;
    } catch (error) {
      if (signal?.aborted === true) throw error;
      result.failed.push({ threadId, error });
    }
    done++;
    report();
  }
  return result;
}

async function threadsToImport(
  from: AnySaver,
  named: ImportOptions["threadIds"],
): Promise<string[]> {
  if (named === undefined) return listThreadIds(from);
  const ids = new Set<string>();
  for await (const id of named) ids.add(id);
  return [...ids];
}
