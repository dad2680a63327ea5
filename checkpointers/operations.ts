/**
 * The two operations that a saver queues: a checkpoint, and a task's writes. Each is encoded when it
 * is called (the user may change the objects right after), and turned into rows when its batch is
 * built, since only then the ids of its versions are drawn.
 *
 * An operation is usually *incremental*: deltas on earlier versions, and payloads that are not stored
 * yet. After a failure, or when the thread's rows turn out to be gone, it is built *whole*: keyframes,
 * and every payload it mentions, relying on nothing.
 */

import { cellText, type Cell, type Cells } from "./encoding/cells.ts";
import { diffTrees } from "./encoding/delta.ts";
import { extend, keyframe, type Weight } from "./encoding/keyframe.ts";
import { stringify, type Node, type Payload } from "./encoding/tree.ts";
import type { Batch, CheckpointRow, FoundCheckpoint, WriteRow } from "./dialect.ts";
import { wrapNames } from "./long-names.ts";
import { toText } from "./steps/texts.ts";
import type { LeavingEvent } from "./steps/event-rows.ts";
import type { Manifest, ThreadState, Version } from "./thread-state.ts";
import { idOf, keyOf } from "../src/ids.ts";

/** How a payload's bytes are to be read. */
const PAYLOAD_TEXT = 0;
const PAYLOAD_JSON_TEXT = 1;
const PAYLOAD_BYTES = 2;
/** Added to the kind where a custom serde wrote the bytes; any bytes may look like that. */
const PAYLOAD_SEALED = 4;

/** A column's content: as text, and as the cell that is written. */
interface Piece {
  text: Cell;
  cell: Cell | undefined;
}

interface PayloadPiece extends Piece {
  payload: Payload;
  kind: number;
}

/** Why a run with delta channels cannot go on where its thread was deleted. */
export const LOST_ANCESTORS =
  "The thread was deleted while a run was writing to it. The run's delta channels are rebuilt from " +
  "checkpoints that are gone, so it cannot go on.";

/** Where an operation comes from. */
export interface Origin {
  state: ThreadState;
  cells: Cells;
  /** The object by which LangGraph's loop is recognised (branches.ts). */
  loop: object;
  /** The state's epoch when that was read on which it builds. */
  epoch: number;
  /** The fencing token of its writer's lease. */
  leaseToken: number | undefined;
}

export abstract class Operation {
  readonly state: ThreadState;
  readonly loop: object;
  readonly leaseToken: number | undefined;
  readonly #cells: Cells;
  readonly promise: Promise<void>;
  resolve!: () => void;
  reject!: (error: unknown) => void;
  /** Settled once all pieces are sealed; undefined where nothing needs sealing. */
  sealed: Promise<void> | undefined;
  #payloads: PayloadPiece[] = [];
  /** What the state knew when this was encoded. */
  #epoch: number;

  constructor({ state, cells, loop, epoch, leaseToken }: Origin) {
    this.state = state;
    this.loop = loop;
    this.leaseToken = leaseToken;
    this.#epoch = epoch;
    this.#cells = cells;
    this.promise = new Promise<void>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  /** The checkpoint without which it would lack something: delta channels are rebuilt from it. */
  readonly parent: Pick<CheckpointRow, "ns" | "id"> | undefined;
  /** Versions that it will store: how many ids it draws. */
  abstract readonly versionCount: number;
  protected abstract pieces(): Piece[];
  protected abstract encode(whole: boolean, mentioned: Set<Payload>): void;
  protected abstract addRows(batch: Batch, thread: number, drawId: () => number): void;

  /** Whether it can be stored as it is: nothing that it builds on was forgotten since. */
  get isCurrent(): boolean {
    return this.state.row !== undefined && this.#epoch === this.state.epoch;
  }

  /** Builds it whole if what it was encoded against has been forgotten since. */
  renew(): void {
    if (this.#epoch === this.state.epoch) return;
    this.#epoch = this.state.epoch;
    this.prepare(true);
  }

  /** Encodes its rows, and begins to seal them. */
  protected prepare(whole: boolean): void {
    const mentioned = new Set<Payload>();
    this.encode(whole, mentioned);
    this.#payloads = [...mentioned]
      .filter((payload) => whole || !payload.stored)
      .map((payload) => {
        payload.stored = true;
        return { payload, ...payloadContent(payload), cell: undefined };
      });
    const pieces = [...this.pieces(), ...this.#payloads];
    if (this.#cells.sealing) {
      this.sealed = Promise.all(
        pieces.map(async (piece) => {
          piece.cell = await this.#cells.seal(piece.text);
        }),
      ).then(() => undefined);
      // The batch awaits it; until then a failure must not count as unhandled.
      this.sealed.catch(() => undefined);
    } else {
      for (const piece of pieces) piece.cell = piece.text;
    }
  }

  /** Adds its rows, for the thread as its state knows it now. */
  addTo(batch: Batch, drawId: () => number): void {
    const { row } = this.state;
    if (row === undefined) throw new Error("an operation was built before its thread was found");
    for (const { payload, kind, cell } of this.#payloads) {
      batch.payloads.push({
        thread: row.id,
        hash: payload.hash,
        kind: this.#cells.sealing ? kind | PAYLOAD_SEALED : kind,
        data: cell as Cell,
      });
    }
    this.addRows(batch, row.id, drawId);
  }

  /** Its rows did not reach the database: what it was to store is not there. */
  undo(): void {
    for (const { payload } of this.#payloads) payload.stored = false;
  }
}

function payloadContent({ value }: Payload): { text: Cell; kind: number } {
  if (typeof value !== "string") return { text: value, kind: PAYLOAD_BYTES };
  // Databases keep text as UTF-8, which has no lone surrogates; SQLite's text ends at a NUL.
  return value.isWellFormed() && !value.includes("\0")
    ? { text: value, kind: PAYLOAD_TEXT }
    : { text: JSON.stringify(value), kind: PAYLOAD_JSON_TEXT };
}

/** Whether a payload row's data is its value as it is, as with most. */
export function isPlainText(kind: number, data: Cell): data is string {
  return kind === PAYLOAD_TEXT && typeof data === "string";
}

/** The value of a payload row. */
export async function payloadValue(
  cells: Cells,
  kind: number,
  data: Cell,
): Promise<string | Uint8Array> {
  const content = (kind & PAYLOAD_SEALED) === 0 ? data : await cells.open(data);
  if ((kind & PAYLOAD_BYTES) !== 0) {
    return Uint8Array.from(typeof content === "string" ? Buffer.from(content) : content);
  }
  const text = cellText(content);
  return (kind & PAYLOAD_JSON_TEXT) === 0 ? text : (JSON.parse(text) as string);
}

/** A channel's new version, with the one it may be a delta on. */
export interface NewVersion {
  version: Version;
  base: Version | undefined;
}

export class PutOperation extends Operation {
  override readonly parent: Pick<CheckpointRow, "ns" | "id"> | undefined;
  readonly manifest: Manifest;
  readonly #events: readonly (Piece & LeavingEvent)[];
  /** As it was found when the checkpoint was put; used until it must be built whole. */
  readonly #changed: readonly NewVersion[];
  readonly #row: Omit<CheckpointRow, "thread" | "manifest" | "header">;
  readonly #header: Piece;
  readonly #metadata: Piece | undefined;
  #stored: (Piece & NewVersion)[] = [];

  constructor(
    origin: Origin,
    checkpoint: {
      manifest: Manifest;
      changed: readonly NewVersion[];
      row: Omit<CheckpointRow, "thread" | "manifest" | "header">;
      header: string;
      /** The thread's user metadata, where it changed. */
      metadata: string | undefined;
      leansOnAncestors: boolean;
      events: readonly LeavingEvent[];
    },
  ) {
    super(origin);
    const { ns, parent } = checkpoint.row;
    this.parent = checkpoint.leansOnAncestors && parent !== null ? { ns, id: parent } : undefined;
    this.manifest = checkpoint.manifest;
    this.#changed = checkpoint.changed;
    this.#row = checkpoint.row;
    this.#header = { text: checkpoint.header, cell: undefined };
    this.#events = checkpoint.events.map((event) => ({
      ...event,
      text: event.payload,
      cell: undefined,
    }));
    this.#metadata =
      checkpoint.metadata === undefined
        ? undefined
        : { text: checkpoint.metadata, cell: undefined };
    this.prepare(false);
  }

  get versionCount(): number {
    return this.#stored.length;
  }

  get place(): Pick<CheckpointRow, "ns" | "id" | "parent"> {
    return this.#row;
  }

  /** What a read finds once it is stored; undefined where its thread was forgotten since. */
  found(): FoundCheckpoint | undefined {
    const { row } = this.state;
    if (row === undefined || this.#header.cell === undefined) return undefined;
    return {
      thread: { ...row, metadata: null },
      checkpoint: this.#checkpointOf(row.id),
      writes: [],
    };
  }

  /** What names its run: for people, so a long one does without. */
  get #runId(): string | null {
    const runId = this.#row.runId === null ? undefined : idOf(this.#row.runId);
    return runId === undefined ? null : toText(runId);
  }

  protected pieces(): Piece[] {
    const pieces: Piece[] = [this.#header, ...this.#stored, ...this.#events];
    if (this.#metadata !== undefined) pieces.push(this.#metadata);
    return pieces;
  }

  protected encode(whole: boolean, mentioned: Set<Payload>): void {
    const versions: readonly NewVersion[] = whole
      ? [...this.manifest.values()].map((version) => ({ version, base: undefined }))
      : this.#changed;
    this.#stored = versions.map(({ version, base }) => {
      version.id = 0;
      return encodeVersion(version, base, mentioned);
    });
  }

  protected addRows(batch: Batch, thread: number, drawId: () => number): void {
    batch.threads.push({
      id: thread,
      generation: this.state.row?.generation ?? 0,
      token: this.leaseToken ?? null,
      updatedAt: this.#row.createdAt,
      metadata: this.#metadata?.cell ?? null,
    });
    for (const { version, base, cell } of this.#stored) {
      version.id = drawId();
      batch.versions.push({
        id: version.id,
        thread,
        channel: keyOf(version.channel),
        base: base?.id ?? null,
        data: cell as Cell,
      });
    }
    batch.checkpoints.push(this.#checkpointOf(thread));
    for (const { id, name, cell } of this.#events) {
      batch.events.push({
        threadId: thread,
        thread: this.state.key,
        runId: this.#runId,
        ...{ id, name: toText(name), data: cell as Cell },
      });
    }
  }

  #checkpointOf(thread: number): CheckpointRow {
    return {
      ...this.#row,
      thread,
      manifest: [...this.manifest.values()].map((version) => version.id),
      header: this.#header.cell as Cell,
    };
  }
}

/** A delta where its chain allows one, else a keyframe; sets the version's chain. */
function encodeVersion(
  version: Version,
  base: Version | undefined,
  mentioned: Set<Payload>,
): Piece & NewVersion {
  if (base !== undefined) {
    const payloads = new Set<Payload>();
    const text = stringify(diffTrees(base.tree, version.tree), payloads);
    const chain = extend(base.chain, weigh(text, payloads));
    if (chain !== undefined) {
      version.chain = chain;
      for (const payload of payloads) mentioned.add(payload);
      return {
        text: wrapNames(text, { channel: version.channel }),
        cell: undefined,
        version,
        base,
      };
    }
  }
  const payloads = new Set<Payload>();
  const text = stringify(version.tree, payloads);
  version.chain = keyframe(weigh(text, payloads));
  for (const payload of payloads) mentioned.add(payload);
  return {
    text: wrapNames(text, { channel: version.channel }),
    cell: undefined,
    version,
    base: undefined,
  };
}

export function weigh(text: string, payloads: Iterable<Payload>): Weight {
  let read = text.length;
  for (const payload of payloads) read += payload.value.length;
  return { text: text.length, read };
}

/** What storing it takes: a payload that is stored already costs nothing. */
function lengthToStore(text: string, payloads: Iterable<Payload>): number {
  let length = text.length;
  for (const payload of payloads) if (!payload.stored) length += payload.value.length;
  return length;
}

/** One write of a task, encoded. */
export interface NewWrite {
  channel: string;
  tree: Node;
  idx: number;
  branch: number;
  replace: boolean;
  /** The channel's version at the checkpoint, where the write shares much with it. */
  base: Version | undefined;
}

/** Below this size a write is stored whole whatever it shares. */
const MIN_DELTA_WRITE = 512;

export class WritesOperation extends Operation {
  readonly versionCount = 0;
  readonly #writes: readonly NewWrite[];
  readonly #place: Pick<WriteRow, "ns" | "checkpoint">;
  readonly #taskId: string;
  readonly #task: Uint8Array;
  #stored: (Piece & NewWrite)[] = [];

  constructor(
    origin: Origin,
    place: Pick<WriteRow, "ns" | "checkpoint">,
    taskId: string,
    writes: readonly NewWrite[],
  ) {
    super(origin);
    this.#writes = writes;
    this.#place = place;
    this.#taskId = taskId;
    this.#task = keyOf(taskId);
    this.prepare(false);
  }

  protected pieces(): Piece[] {
    return this.#stored;
  }

  protected encode(whole: boolean, mentioned: Set<Payload>): void {
    this.#stored = this.#writes.map((write) => {
      const payloads = new Set<Payload>();
      const text = stringify(write.tree, payloads);
      const length = lengthToStore(text, payloads);
      if (write.base !== undefined && !whole && length >= MIN_DELTA_WRITE) {
        const deltaPayloads = new Set<Payload>();
        const delta = stringify(diffTrees(write.base.tree, write.tree), deltaPayloads);
        if (lengthToStore(delta, deltaPayloads) < length / 2) {
          for (const payload of deltaPayloads) mentioned.add(payload);
          return { ...write, text: this.#named(write, delta), cell: undefined };
        }
      }
      for (const payload of payloads) mentioned.add(payload);
      return { ...write, base: undefined, text: this.#named(write, text), cell: undefined };
    });
  }

  #named({ channel }: NewWrite, text: string): string {
    return wrapNames(text, { channel, task: this.#taskId });
  }

  protected addRows(batch: Batch, thread: number): void {
    batch.threads.push({
      id: thread,
      generation: this.state.row?.generation ?? 0,
      token: this.leaseToken ?? null,
      updatedAt: 0,
      metadata: null,
    });
    for (const { channel, idx, branch, replace, base, cell } of this.#stored) {
      batch.writes.push({
        ...this.#place,
        thread,
        task: this.#task,
        idx,
        branch,
        channel: keyOf(channel),
        base: base?.id ?? null,
        replace,
        data: cell as Cell,
      });
    }
  }
}
