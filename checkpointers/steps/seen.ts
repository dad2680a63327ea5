/**
 * What a saver saw of threads as it read and wrote them, so that steps need not ask the database:
 * which checkpoints are *fresh*, and which run a checkpoint is in.
 *
 * Invariants
 *   F1  A checkpoint is fresh from its put by this saver until the next read (`getTuple`) of its
 *       namespace, by which every loop begins. Nobody else has recorded attempts at a fresh checkpoint's
 *       tasks: another process knows the checkpoint only since it was put, and goes on from it either
 *       after this saver's loop is over (whatever this saver runs next begins with a read), or by taking
 *       the thread over while the loop runs. Then this one has lost the thread: under a lease it can write
 *       nothing any more; without one, two run the same task at once, and each counts its own attempts.
 *   F2  A fresh checkpoint knows the tasks at which this saver itself recorded attempts.
 *   F3  The run of a checkpoint never changes while it is stored: its ancestors are as they were
 *       when it was put.
 *   F4  Memory is bounded; what is forgotten is asked for.
 */

import type { RunAddress, TaskAddress } from "../../src/step-store.ts";

const MAX_THREADS = 4_096;
const MAX_NAMESPACES = 256;
/** A loop runs the tasks of its newest checkpoint; several loops may share a namespace. */
const MAX_FRESH = 8;
const MAX_RUNS = 128;

interface SeenThread {
  /**
   * By namespace, then by checkpoint id: the tasks with attempts of ours. "stale" for a checkpoint that
   * had some before it was put, as under "async" durability: it does not become fresh.
   */
  fresh: Map<string, Map<string, Set<string> | "stale">>;
  /** By checkpoint id of the outermost graph. */
  runs: Map<string, RunAddress>;
  /** The run of checkpoints that are not stored while the graph runs. */
  unstored?: RunAddress | undefined;
}

export class Seen {
  readonly #threads = new Map<string, SeenThread>();

  /** A checkpoint is being put. */
  put(checkpoint: {
    threadId: string;
    namespace: string;
    id: string;
    parent: string | undefined;
    source: string | undefined;
    createdAt: number;
  }): void {
    const { threadId, namespace, id, parent, source, createdAt } = checkpoint;
    const thread = this.#of(threadId);
    // Put again on itself it is as old as it was.
    if (id === parent) return;
    this.#mark(thread, namespace, id, new Set());
    if (namespace !== "") return;
    const begins = source === "input" || parent === undefined;
    const run = begins ? { runId: id, startedAt: createdAt } : thread.runs.get(parent);
    if (run !== undefined) keep(thread.runs, id, run, MAX_RUNS);
  }

  /** Somebody read what is stored, and may go on from it. */
  read(threadId: string, namespace: string): void {
    const thread = this.#threads.get(threadId);
    if (thread === undefined) return;
    thread.fresh.delete(namespace);
    if (namespace === "") thread.unstored = undefined;
  }

  /** True where nobody can have recorded attempts at a task (invariants F1 and F2). */
  isUntried({ threadId, namespace, checkpointId, taskId }: TaskAddress): boolean {
    const tried = this.#threads.get(threadId)?.fresh.get(namespace)?.get(checkpointId);
    return tried !== undefined && tried !== "stale" && !tried.has(taskId);
  }

  /** This saver records attempts at a task. */
  tried({ threadId, namespace, checkpointId, taskId }: TaskAddress): void {
    const thread = this.#of(threadId);
    const tried = thread.fresh.get(namespace)?.get(checkpointId);
    if (tried === undefined) this.#mark(thread, namespace, checkpointId, "stale");
    else if (tried !== "stale") tried.add(taskId);
  }

  runOf(threadId: string, checkpointId: string): RunAddress | undefined {
    return this.#threads.get(threadId)?.runs.get(checkpointId);
  }

  rememberRun(threadId: string, checkpointId: string, run: RunAddress): void {
    keep(this.#of(threadId).runs, checkpointId, run, MAX_RUNS);
  }

  unstoredRun(threadId: string): RunAddress | undefined {
    return this.#threads.get(threadId)?.unstored;
  }

  beginUnstored(threadId: string, run: RunAddress): void {
    this.#of(threadId).unstored = run;
  }

  drop(threadId: string): void {
    this.#threads.delete(threadId);
  }

  /** What is known of a checkpoint already stays. */
  #mark(thread: SeenThread, namespace: string, id: string, as: Set<string> | "stale"): void {
    const fresh = thread.fresh.get(namespace) ?? new Map<string, Set<string> | "stale">();
    keep(thread.fresh, namespace, fresh, MAX_NAMESPACES);
    keep(fresh, id, fresh.get(id) ?? as, MAX_FRESH);
  }

  #of(threadId: string): SeenThread {
    const thread = this.#threads.get(threadId) ?? { fresh: new Map(), runs: new Map() };
    keep(this.#threads, threadId, thread, MAX_THREADS);
    return thread;
  }
}

/** Invariant F4. */
function keep<Value>(map: Map<string, Value>, key: string, value: Value, most: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= most) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
