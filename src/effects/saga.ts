/**
 * Compensation: the effects of a run that failed for good are undone, newest first.
 *
 * Each undo is an effect of its own in the ledger, with retries, so a crash in the middle loses and repeats
 * nothing that was recorded: whoever compensates again goes on. All of them run, even if one fails; one
 * that keeps failing is *stuck*, and stays listed until a person retries or dismisses it (stuck.ts).
 *
 * Invariants
 *   G1  Only effects that were claimed since the run's input, in its own line of checkpoints, are undone:
 *       never what a fork merely reused, or another branch did.
 *   G2  An effect whose outcome is unknown is looked up first; where that is not possible it is stuck.
 *   G3  An effect and its undo are closed in one write: it is undone, and the next call is a new generation.
 */

import type { EffectRow, EffectStore, Lineage } from "../effect-store.ts";
import { InvalidInputError, NotDurableError, NotFoundError } from "../errors.ts";
import { events, type EventOrigin } from "../events.ts";
import { provideBranchCompensation, type ForkCompensation } from "../forking.ts";
import { isDurableSaver, type DurableSaver } from "../step-store.ts";
import { ledgerOf } from "./ledgers.ts";
import { isStuck, stuckOf, type StuckCompensation } from "./stuck.ts";
import { undo, type Undoing } from "./undo.ts";

/** The part of a compiled graph that is used. */
export interface CompensableGraph {
  checkpointer?: object | boolean | undefined;
}

export interface CompensateOptions {
  /** The state whose run is taken back; default the thread's latest. */
  checkpointId?: string;
  signal?: AbortSignal;
  /** Of the lease under which it is done; nothing is written once that is lost. */
  leaseToken?: number;
}

export interface UndoneEffect {
  effect: string;
  key: string | undefined;
  idempotencyKey: string;
}

export interface Compensation {
  /** In the order in which they were undone; those of earlier calls are not among them. */
  undone: UndoneEffect[];
  /** What keeps failing, or cannot be told: for a person. */
  stuck: StuckCompensation[];
}

/** More would be a runaway loop; the newest ones are undone first. */
const MOST = 100_000;

/**
 * Undoes the effects of a thread's latest run: those that have an `undo`, newest first. Safe to call again,
 * in any process that has loaded the modules which define the effects.
 *
 * @throws {NotDurableError} the graph's saver is not one of holdfast's
 * @throws {NotFoundError} there is no such thread or checkpoint
 * @example
 * const { undone, stuck } = await compensate(graph, "order-42");
 */
export async function compensate(
  graph: CompensableGraph,
  threadId: string,
  options: CompensateOptions = {},
): Promise<Compensation> {
  const saver = saverOf(graph);
  const { store } = ledgerOf(saver);
  const head = await headOf(saver, threadId, options.checkpointId);
  const { runId } = await saver.steps.runs.of(threadId, head);
  const rows = await effectsOfRun(store, threadId, head, runId);
  return compensateRows(saver, threadId, rows, { ...options, runId });
}

/** Whether there is anything of a thread's latest run that {@link compensate} would undo. */
export async function canCompensate(saver: DurableSaver, threadId: string): Promise<boolean> {
  const { store } = ledgerOf(saver);
  const head = await headOf(saver, threadId);
  const { runId } = await saver.steps.runs.of(threadId, head);
  return (await effectsOfRun(store, threadId, head, runId)).length > 0;
}

/**
 * The effects of a thread's latest run that were undone, and not performed anew since, newest first: where
 * there are any, what its finished nodes did is not there any more.
 */
export async function undoneEffects(
  saver: DurableSaver,
  threadId: string,
): Promise<UndoneEffect[]> {
  const { store } = ledgerOf(saver);
  const undoable = { threadId, kind: "effect", undoable: true, limit: MOST } as const;
  const closed = await store.list({ ...undoable, states: ["closed"] });
  if (closed.length === 0) return [];
  const open = new Set((await openEffects(store, threadId)).map(({ identity }) => identity));
  const head = await headOf(saver, threadId);
  const { runId } = await saver.steps.runs.of(threadId, head);
  const lineage = await store.lineage(threadId, head);
  const undone: UndoneEffect[] = [];
  for (const row of closed) {
    if (open.has(row.identity) || !(await belongs(store, lineage, row, runId))) continue;
    undone.push({ effect: row.name, key: row.key, idempotencyKey: row.idempotencyKey });
  }
  return undone;
}

/** Undoes these effects, given newest first. */
export async function compensateRows(
  saver: DurableSaver,
  threadId: string,
  rows: readonly EffectRow[],
  options: Undoing & { runId?: string | undefined },
): Promise<Compensation> {
  const { signal, runId } = options;
  const { store } = ledgerOf(saver);
  const origin: EventOrigin = { threadId, runId };
  if (rows.length > 0) events.emit("compensation.started", { ...origin, effects: rows.length });
  const undone: UndoneEffect[] = [];
  const stuck: StuckCompensation[] = [];
  for (const row of rows) {
    signal?.throwIfAborted();
    const { name: effect, key, idempotencyKey } = row;
    const known = await isStuck(store, row);
    const failure = known === undefined ? await undo(saver, row, options) : undefined;
    if (known !== undefined) stuck.push(await stuckOf(saver, known));
    else if (failure === undefined) {
      undone.push({ effect, key, idempotencyKey });
      events.emit("compensation.undone", { ...origin, node: row.place.node, effect });
    } else {
      stuck.push(await stuckOf(saver, failure.row));
      const { error } = failure;
      events.emit("compensation.stuck", { ...origin, node: row.place.node, effect, error });
    }
  }
  if (rows.length > 0) {
    const counts = { undone: undone.length, stuck: stuck.length };
    events.emit("compensation.finished", { ...origin, ...counts });
  }
  return { undone, stuck };
}

/** Invariant G1; newest first. */
async function effectsOfRun(
  store: EffectStore,
  threadId: string,
  head: string,
  runId: string,
): Promise<EffectRow[]> {
  const rows = await openEffects(store, threadId);
  if (rows.length === 0) return [];
  const lineage = await store.lineage(threadId, head);
  const mine: EffectRow[] = [];
  for (const row of rows) {
    if (await belongs(store, lineage, row, runId)) mine.push(row);
  }
  return mine;
}

/** Those that can be undone, and may have been performed. */
export async function openEffects(store: EffectStore, threadId: string): Promise<EffectRow[]> {
  const rows = await store.list({ threadId, kind: "effect", undoable: true, limit: MOST });
  return rows.filter(({ state }) => state !== "closed" && state !== "released");
}

async function belongs(
  store: EffectStore,
  lineage: Lineage,
  { place }: EffectRow,
  runId: string,
): Promise<boolean> {
  const { rootCheckpointId, threadId } = place;
  const depth = lineage.depthOf(rootCheckpointId);
  if (depth !== undefined) {
    const input = lineage.depthOf(runId);
    return lineage.owns(rootCheckpointId) && (input === undefined || depth <= input);
  }
  // Pruned since: the run is all that tells.
  return place.runId === runId && !(await store.isStored(threadId, rootCheckpointId));
}

/**
 * Undoes what the thread's head did at a checkpoint and after it, before a branch is begun there: not what
 * the line up to that checkpoint did.
 */
async function compensateBranch(
  saver: DurableSaver,
  threadId: string,
  checkpointId: string,
): Promise<ForkCompensation> {
  const { store } = ledgerOf(saver);
  const rows = await openEffects(store, threadId);
  if (rows.length === 0) return { undone: [], stuck: [] };
  const head = await store.lineage(threadId, await headOf(saver, threadId));
  const kept = await store.lineage(threadId, checkpointId);
  const left = rows.filter(({ place: { rootCheckpointId: at } }) => {
    const isKept = (kept.depthOf(at) ?? 0) > 0 && kept.owns(at);
    return head.owns(at) && !isKept;
  });
  const { undone, stuck } = await compensateRows(saver, threadId, left, {});
  const namesOf = (effects: readonly { effect: string }[]): string[] =>
    effects.map(({ effect }) => effect);
  return { undone: namesOf(undone), stuck: namesOf(stuck) };
}

provideBranchCompensation(compensateBranch);

function saverOf({ checkpointer }: CompensableGraph): DurableSaver {
  if (isDurableSaver(checkpointer)) return checkpointer;
  throw new NotDurableError(
    'Only the effects of a graph with a saver of "holdfast/sqlite" or "holdfast/postgres" are on record.',
  );
}

/** The checkpoint asked for, or the latest. */
export async function headOf(
  saver: DurableSaver,
  threadId: string,
  checkpointId?: string,
): Promise<string> {
  if (typeof threadId !== "string" || threadId === "") {
    throw new InvalidInputError(`A thread id is needed, not ${JSON.stringify(threadId)}.`);
  }
  const id = checkpointId === undefined ? {} : { checkpoint_id: checkpointId };
  const configurable = { thread_id: threadId, checkpoint_ns: "", ...id };
  const tuple = await saver.getTuple({ configurable });
  if (tuple !== undefined) return tuple.checkpoint.id;
  throw new NotFoundError(
    checkpointId === undefined
      ? `There is no thread "${threadId}".`
      : `Thread "${threadId}" has no checkpoint "${checkpointId}".`,
  );
}
