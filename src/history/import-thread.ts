/**
 * Brings one thread over, whole or not at all: a part of it would have an older head, and whoever
 * resumed it would do finished steps again. Checkpoints come parents first, each followed by its
 * pending writes, so that a process killed in between leaves nothing that the next import cannot
 * complete.
 */

import type { CheckpointPendingWrite, CheckpointTuple } from "@langchain/langgraph-checkpoint";
import { NotFoundError } from "../errors.ts";
import { EVENTS_CHANNEL } from "../event-store.ts";
import { configFor, requireTuple } from "./address.ts";
import { outlineThread } from "./catalogue.ts";
import type { Outline } from "./catalogue.ts";
import { deltaWritesOf, mayFeedDeltaChannels } from "./delta-writes.ts";
import { contestedParents, hasAll, keyOf, parentsFirst, refuseDiverged } from "./import-plan.ts";
import type { AnySaver } from "./source.ts";
import { beginLoop, putCheckpoint, putPendingWrites } from "./transfer.ts";
import type { Loop } from "./transfer.ts";
import { withVersions } from "./versions.ts";
import type { RewriteVersion } from "./versions.ts";

export interface ThreadImport {
  from: AnySaver;
  to: AnySaver;
  threadId: string;
  rewrite: RewriteVersion;
  signal: AbortSignal | undefined;
  /** Of all threads so far; added to. */
  count: { checkpoints: number; writes: number; skipped: number };
  /** Called after each checkpoint. */
  report: () => void;
}

export async function importThread(job: ThreadImport): Promise<void> {
  const { from, to, threadId, count } = job;
  const source = await outlineThread(from, threadId);
  if (source.length === 0) throw new NotFoundError(`The source has no thread "${threadId}".`);
  const target = new Map((await outlineThread(to, threadId)).map((each) => [keyOf(each), each]));
  refuseDiverged(threadId, source, target);
  const { checkpoints, writes, skipped } = count;
  const copier = new Copier(job, source, target);
  try {
    for (const outline of parentsFirst(source)) {
      job.signal?.throwIfAborted();
      await copier.copy(outline);
      job.report();
    }
  } catch (error) {
    if (target.size === 0) {
      await takeBack(to, threadId, error);
      Object.assign(count, { checkpoints, writes, skipped });
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

class Copier {
  readonly #job: ThreadImport;
  readonly #contested: ReadonlySet<string>;
  readonly #children: ReadonlyMap<string, readonly Outline[]>;
  readonly #target: ReadonlyMap<string, Outline>;
  /** Begun for children still to come, at parents that may have writes of several of them. */
  readonly #loops = new Map<string, Loop>();

  constructor(job: ThreadImport, source: readonly Outline[], target: ReadonlyMap<string, Outline>) {
    this.#job = job;
    this.#target = target;
    this.#contested = contestedParents(source);
    this.#children = Map.groupBy(
      source.filter(({ parentId }) => parentId !== undefined),
      parentKeyOf,
    );
  }

  async copy(outline: Outline): Promise<void> {
    const { from, to, threadId, rewrite, count } = this.#job;
    const present = this.#target.get(keyOf(outline));
    if (present !== undefined && hasAll(present.tasks, outline.tasks)) {
      count.skipped++;
      return;
    }
    const { namespace, checkpointId, parentId } = outline;
    const at = { threadId, namespace, checkpointId };
    const tuple = await requireTuple(from, at);
    if (present === undefined) {
      await putCheckpoint(
        to,
        { threadId, namespace, parentId },
        withVersions(tuple.checkpoint, rewrite),
        tuple.metadata,
        await this.#loopOf(outline, tuple),
      );
      count.checkpoints++;
      if (mayFeedDeltaChannels(tuple)) {
        for (const child of this.#children.get(keyOf(outline)) ?? []) {
          this.#loops.set(keyOf(child), await beginLoop(to, at));
        }
      }
    }
    const pending = tuple.pendingWrites ?? [];
    // Events that went on into a child have left where they were emitted.
    const isOver = this.#children.has(keyOf(outline));
    const own = isOver ? pending.filter(([, channel]) => channel !== EVENTS_CHANNEL) : pending;
    const writes = missingWrites(own, present);
    await putPendingWrites(to, at, writes);
    count.writes += writes.length;
  }

  /**
   * What made a checkpoint with `DeltaChannel`s, where it may not be all of its parent's writes. A
   * plain superstep took all; a fork, an update or an input may have left some behind.
   */
  async #loopOf(outline: Outline, tuple: CheckpointTuple): Promise<Loop | undefined> {
    const { from, to, threadId } = this.#job;
    const { namespace, parentId } = outline;
    const begun = this.#loops.get(keyOf(outline));
    this.#loops.delete(keyOf(outline));
    if (parentId === undefined) return undefined;
    const parentKey = parentKeyOf(outline);
    if (begun === undefined && !this.#target.has(parentKey)) return undefined;
    if (!this.#contested.has(parentKey) && tuple.metadata?.source === "loop") return undefined;
    const at = { threadId, namespace, checkpointId: parentId };
    // Undefined where it was pruned in the source since an earlier import.
    const parent = await from.getTuple(configFor(threadId, namespace, parentId));
    const writes = parent && (await deltaWritesOf(from, parent, tuple));
    if (writes === undefined) return undefined;
    return { ...(begun ?? (await beginLoop(to, at))), writes };
  }
}

function parentKeyOf({ namespace, parentId = "" }: Outline): string {
  return keyOf({ namespace, checkpointId: parentId });
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
