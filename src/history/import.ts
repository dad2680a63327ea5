/**
 * Brings threads over from any LangGraph saver, by LangGraph's contract alone.
 *
 * A thread comes whole or not at all: a part of it would have an older head, and whoever resumed it
 * would do finished steps again. Checkpoints come parents first, each followed by its pending
 * writes, so that a process killed in between leaves nothing that the next import cannot complete.
 */

import type { CheckpointPendingWrite, CheckpointTuple } from "@langchain/langgraph-checkpoint";
import { InvalidInputError, NotFoundError } from "../errors.ts";
import { requireTuple } from "./address.ts";
import { listThreadIds, outlineThread } from "./catalogue.ts";
import type { Outline } from "./catalogue.ts";
import { deltaWritesOf } from "./delta-writes.ts";
import { contestedParents, hasAll, keyOf, parentsFirst, refuseDiverged } from "./import-plan.ts";
import type { AnySaver } from "./source.ts";
import { putCheckpoint, putPendingWrites } from "./transfer.ts";
import { versionsFor, withVersions } from "./versions.ts";
import type { RewriteVersion } from "./versions.ts";

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
      await importThread({ from, to, threadId, rewrite, signal, result, report });
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

interface Job {
  from: AnySaver;
  to: AnySaver;
  threadId: string;
  rewrite: RewriteVersion;
  signal: AbortSignal | undefined;
  result: ImportResult;
  report: () => void;
}

async function importThread(job: Job): Promise<void> {
  const { from, to, threadId } = job;
  const source = await outlineThread(from, threadId);
  if (source.length === 0) throw new NotFoundError(`The source has no thread "${threadId}".`);
  const target = new Map((await outlineThread(to, threadId)).map((each) => [keyOf(each), each]));
  refuseDiverged(threadId, source, target);
  const contested = contestedParents(source);
  const { checkpoints, writes, skipped } = job.result;
  try {
    for (const outline of parentsFirst(source)) {
      job.signal?.throwIfAborted();
      await importCheckpoint(job, outline, target.get(keyOf(outline)), contested);
      job.report();
    }
  } catch (error) {
    if (target.size === 0) {
      await takeBack(to, threadId, error);
      Object.assign(job.result, { checkpoints, writes, skipped });
    }
    throw error;
  }
}

async function takeBack(to: AnySaver, threadId: string, why: unknown): Promise<void> {
  try {
    await to.deleteThread(threadId);
  } catch (error) {
    throw new AggregateError(
      [why, error],
      `Thread "${threadId}" was brought over in part, and could not be taken back. ` +
        "Import it again, or delete it in the target, before anyone resumes it.",
      { cause: error },
    );
  }
}

async function importCheckpoint(
  { from, to, threadId, rewrite, result }: Job,
  outline: Outline,
  present: Outline | undefined,
  contested: ReadonlySet<string>,
): Promise<void> {
  const { namespace, checkpointId, parentId } = outline;
  if (present !== undefined && hasAll(present.tasks, outline.tasks)) {
    result.skipped++;
    return;
  }
  const tuple = await requireTuple(from, { threadId, namespace, checkpointId });
  if (present === undefined) {
    await putCheckpoint(
      to,
      { threadId, namespace, parentId },
      withVersions(tuple.checkpoint, rewrite),
      tuple.metadata,
      await ambiguousWrites(from, outline, tuple, contested),
    );
    result.checkpoints++;
  }
  const writes = missingWrites(tuple.pendingWrites ?? [], present);
  await putPendingWrites(to, { threadId, namespace, checkpointId }, writes);
  result.writes += writes.length;
}

/**
 * What a checkpoint's `DeltaChannel`s took of its parent's writes, where it may not be all of them.
 * A plain superstep took all; a fork, an update or an input may have left some behind.
 */
async function ambiguousWrites(
  from: AnySaver,
  outline: Outline,
  tuple: CheckpointTuple,
  contested: ReadonlySet<string>,
): Promise<CheckpointPendingWrite[] | undefined> {
  const { namespace, parentId } = outline;
  if (parentId === undefined || tuple.parentConfig === undefined) return undefined;
  const isContested = contested.has(keyOf({ namespace, checkpointId: parentId }));
  if (!isContested && tuple.metadata?.source === "loop") return undefined;
  const parent = await from.getTuple(tuple.parentConfig);
  if (parent === undefined || (!isContested && !parent.pendingWrites?.length)) return undefined;
  return deltaWritesOf(from, parent, tuple);
}

/** Those of tasks that have written since: all of such a task's, since they are counted together. */
function missingWrites(
  writes: readonly CheckpointPendingWrite[],
  present: Outline | undefined,
): CheckpointPendingWrite[] {
  const isMissing = ([taskId, channel]: CheckpointPendingWrite): boolean =>
    present?.tasks.get(taskId)?.has(channel) !== true;
  const behind = new Set(writes.filter(isMissing).map(([taskId]) => taskId));
  return writes.filter(([taskId]) => behind.has(taskId));
}
