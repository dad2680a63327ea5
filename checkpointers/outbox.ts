/**
 * The outbox: events that tasks emitted, until the checkpoint that takes their writes sends them off.
 *
 * A task's events are among its pending writes, on a channel that no graph has, so they are stored in the
 * same commit as its result, or not at all. Whoever puts the checkpoint that follows has written
 * these, or has read them where it began; so no put has to ask the database for events.
 *
 * Invariants
 *   O1  An event leaves in the transaction that stores the first checkpoint which took its task's writes.
 *   O2  Its id is made of its place (thread, namespace, checkpoint, task, which of the task's), so that
 *       it leaves once, whoever sends it.
 *   O3  A put without events does nothing here.
 */

import type { RunnableConfig } from "@langchain/core/runnables";
import type { PendingWrite } from "@langchain/langgraph-checkpoint";
import { EVENTS_CHANNEL, type EmittedWrite } from "../src/event-store.ts";
import { digestOf } from "../src/ids.ts";
import { checkpointPlace, type CheckpointAt } from "./branches.ts";
import type { Decoder } from "./encoding/decode.ts";
import type { LoadedWrite } from "./loaded.ts";
import { loopOf } from "./loop.ts";
import type { LeavingEvent } from "./steps/event-rows.ts";

/** Latest reads that are remembered for `updateState`, which cannot be recognised. */
const MAX_READS = 1_000;

interface KeptEvent extends LeavingEvent {
  branch: number;
}

export class Outbox {
  readonly #ofLoops = new WeakMap<object, Map<string, Map<string, KeptEvent>>>();
  readonly #reads = new Map<string, Map<string, KeptEvent>>();

  /** A task's writes are about to be stored. */
  wrote(
    config: RunnableConfig,
    at: CheckpointAt,
    taskId: string,
    branch: number,
    writes: readonly PendingWrite[],
  ): void {
    const own = writes.filter(([channel]) => channel === EVENTS_CHANNEL);
    if (own.length === 0) return;
    const kept = this.#of(config, at);
    own.forEach(([, value], position) => {
      keep(kept, at, taskId, position, branch, value as EmittedWrite);
    });
  }

  /** A loop, or `updateState`, found these where it begins. */
  read(
    config: RunnableConfig,
    at: CheckpointAt,
    writes: readonly LoadedWrite[],
    decoder: Decoder,
  ): void {
    const own = writes.filter(({ channel }) => channel === EVENTS_CHANNEL);
    if (own.length === 0) return;
    const kept = this.#of(config, at);
    const counts = new Map<string, number>();
    for (const { task, branch, tree } of own) {
      const position = counts.get(task) ?? 0;
      counts.set(task, position + 1);
      keep(kept, at, task, position, branch, decoder.decode(tree) as EmittedWrite);
    }
    if (config.metadata !== undefined) return;
    const place = placeOf(at);
    this.#reads.delete(place);
    this.#reads.set(place, kept);
    const [oldest] = this.#reads.keys();
    if (this.#reads.size > MAX_READS && oldest !== undefined) this.#reads.delete(oldest);
  }

  /**
   * What leaves with a child of a checkpoint.
   * @param consumed which of the checkpoint's writes went into it, as `Branches` tells
   */
  take(
    config: RunnableConfig,
    parent: CheckpointAt,
    consumed: readonly number[] | null,
  ): readonly LeavingEvent[] {
    const place = placeOf(parent);
    const own = this.#ofLoops.get(loopOf(config));
    const kept =
      own?.get(place) ?? (config.metadata === undefined ? this.#reads.get(place) : undefined);
    if (kept === undefined) return NONE;
    own?.delete(place);
    const branches = consumed ?? [0];
    return [...kept.values()].filter(({ branch }) => branches.includes(branch));
  }

  #of(config: RunnableConfig, at: CheckpointAt): Map<string, KeptEvent> {
    const loop = loopOf(config);
    const places = this.#ofLoops.get(loop) ?? new Map<string, Map<string, KeptEvent>>();
    this.#ofLoops.set(loop, places);
    const place = placeOf(at);
    const kept = places.get(place) ?? new Map<string, KeptEvent>();
    places.set(place, kept);
    return kept;
  }
}

const NONE: readonly LeavingEvent[] = [];

/** Of two loops that ran one task, the first one's event is the event, as with all that a task writes. */
function keep(
  kept: Map<string, KeptEvent>,
  at: CheckpointAt,
  taskId: string,
  position: number,
  branch: number,
  { name, payload }: EmittedWrite,
): void {
  const { threadId, ns, checkpointId } = at;
  const id = digestOf("event", threadId, ns, checkpointId, taskId, String(position));
  const key = `${branch} ${id}`;
  if (!kept.has(key)) kept.set(key, { id, name, payload, branch });
}

function placeOf({ threadId, ns, checkpointId }: CheckpointAt): string {
  return `${threadId.length}:${threadId}${checkpointPlace(ns, checkpointId)}`;
}
