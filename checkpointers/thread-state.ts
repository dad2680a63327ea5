/**
 * What a saver remembers of a thread: the trees of its recent checkpoints, so that the next put can
 * be compared with them and the next read need not fetch them.
 *
 * Invariants
 *   M1  Only trees are kept, never objects of the user's.
 *   M2  What is remembered is what the database holds, or will hold once the queued operations are
 *       committed. When one fails, or another process took rows away, everything is forgotten.
 *   M3  Memory is bounded: by checkpoints for each thread, by estimated bytes over all of them.
 */

import { PayloadBook } from "./encoding/payloads.ts";
import type { Node } from "./encoding/tree.ts";
import type { Chain } from "./encoding/keyframe.ts";
import type { ThreadRow } from "./dialect.ts";
import { Tip } from "./tip.ts";
import { keyOf, randomKey } from "../src/ids.ts";

/** A stored version of a channel, and its value as a tree. */
export interface Version {
  /** 0 until its row is on its way. */
  id: number;
  channel: string;
  tree: Node;
  chain: Chain;
}

/** The versions of a checkpoint's channels, by name. */
export type Manifest = ReadonlyMap<string, Version>;

const CHECKPOINTS_PER_THREAD = 128;

export class ThreadState {
  readonly threadId: string;
  readonly key: Uint8Array;
  /** Known once the thread was found or made. */
  row: ThreadRow | undefined;
  payloads: PayloadBook;
  /** For a thread that is not there yet. */
  readonly newHashKey = randomKey(16);
  /** User metadata as last read or written. */
  metadata: Record<string, unknown> | undefined;
  #metadataText: string | undefined;
  /** Operations that are queued or under way. */
  pending = 0;
  /** The last of them. */
  lastOperation: Promise<void> | undefined;
  /** Grows when everything is forgotten: what was encoded before may build on what is gone. */
  epoch = 0;
  readonly tip = new Tip();
  readonly #checkpoints = new Map<string, Manifest>();
  #newest: Manifest | undefined;
  /** Its estimated size, once asked for. */
  #bytes: number | undefined;
  /** The latest version of each channel whose value is a single small leaf. */
  readonly #leaves = new Map<string, Version>();

  constructor(threadId: string) {
    this.threadId = threadId;
    this.key = keyOf(threadId);
    this.payloads = new PayloadBook(this.newHashKey);
  }

  /** Takes note of the thread's row; rows taken away since make everything else worthless. */
  bind(row: ThreadRow): void {
    if (this.row?.id === row.id && this.row.generation === row.generation) return;
    if (this.row !== undefined) this.forget();
    this.row = row;
    this.payloads = new PayloadBook(row.hashKey);
  }

  forget(): void {
    this.epoch += 1;
    this.tip.forget();
    this.#checkpoints.clear();
    this.#newest = undefined;
    this.#bytes = undefined;
    this.#leaves.clear();
    this.row = undefined;
    this.payloads = new PayloadBook(this.newHashKey);
    this.metadata = undefined;
    this.#metadataText = undefined;
  }

  /** Takes note of what the database holds, which another process may have written. */
  noteMetadata(text: string): void {
    if (text === this.#metadataText) return;
    this.metadata = JSON.parse(text) as Record<string, unknown>;
    this.#metadataText = text;
  }

  /** Takes over what is new in a run's metadata. @returns the text to write; undefined for nothing new */
  mergeMetadata(metadata: Record<string, unknown> | undefined): string | undefined {
    const known = this.metadata ?? {};
    const changed = Object.keys(metadata ?? {}).some(
      (key) => JSON.stringify(metadata?.[key]) !== JSON.stringify(known[key]),
    );
    if (!changed) return undefined;
    this.metadata = { ...known, ...metadata };
    this.#metadataText = JSON.stringify(this.metadata);
    return this.#metadataText;
  }

  manifest(place: string): Manifest | undefined {
    const manifest = this.#checkpoints.get(place);
    if (manifest !== undefined && manifest !== this.#newest) {
      this.#checkpoints.delete(place);
      this.#checkpoints.set(place, manifest);
    }
    return manifest;
  }

  remember(place: string, manifest: Manifest): void {
    this.#newest = manifest;
    this.#bytes = undefined;
    this.#checkpoints.delete(place);
    this.#checkpoints.set(place, manifest);
    if (this.#checkpoints.size > CHECKPOINTS_PER_THREAD) {
      const [oldest] = this.#checkpoints.keys();
      if (oldest !== undefined) this.#checkpoints.delete(oldest);
    }
  }

  drop(place: string): void {
    this.#checkpoints.delete(place);
  }

  /**
   * A version of this channel with this very leaf, from wherever in the thread: channels that come
   * and go, as LangGraph's triggers do, need not be stored again each time.
   */
  leafVersion(channel: string, tree: Node): Version | undefined {
    const version = this.#leaves.get(channel);
    return version?.tree === tree ? version : undefined;
  }

  rememberLeaf(version: Version): void {
    if (typeof version.tree !== "object" || version.tree === null)
      this.#leaves.set(version.channel, version);
  }

  /** Remembered versions by id, of all checkpoints. */
  versionsById(): Map<number, Version> {
    const byId = new Map<number, Version>();
    for (const manifest of this.#checkpoints.values()) {
      for (const version of manifest.values()) if (version.id > 0) byId.set(version.id, version);
    }
    return byId;
  }

  /** A rough size: the newest checkpoint's, whose versions the others mostly share. */
  estimatedBytes(): number {
    if (this.#bytes === undefined) {
      this.#bytes = 1_000;
      for (const { chain } of this.#newest?.values() ?? [])
        this.#bytes += chain.keyframe.read + chain.deltas.read;
    }
    return this.#bytes;
  }
}

/** The threads of a saver, least recently used first. */
export class ThreadStates {
  readonly #limit: number;
  readonly #states = new Map<string, ThreadState>();
  #uses = 0;

  /** @param limit estimated bytes to keep */
  constructor(limit: number) {
    this.#limit = limit;
  }

  of(threadId: string): ThreadState {
    let state = this.#states.get(threadId);
    if (state === undefined) state = new ThreadState(threadId);
    else this.#states.delete(threadId);
    this.#states.set(threadId, state);
    this.#uses += 1;
    // Weighing all states costs more than it saves if done at every use.
    if (this.#uses % 256 === 0) this.#evict();
    return state;
  }

  drop(threadId: string): void {
    const state = this.#states.get(threadId);
    if (state === undefined) return;
    state.forget();
    if (state.pending === 0) this.#states.delete(threadId);
  }

  *[Symbol.iterator](): IterableIterator<ThreadState> {
    yield* this.#states.values();
  }

  #evict(): void {
    let kept = 0;
    for (const [threadId, state] of [...this.#states].toReversed()) {
      kept += state.estimatedBytes();
      if (kept > this.#limit && state.pending === 0) this.#states.delete(threadId);
    }
  }
}
