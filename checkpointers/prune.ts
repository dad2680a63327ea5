/**
 * Taking checkpoints away without changing anything that stays.
 *
 * Invariants
 *   R1  A checkpoint that stays reads back as before: the versions, bases and payloads that it
 *       reaches stay, and for delta channels the ancestors that their values are rebuilt from.
 *   R2  The latest checkpoint of a thread, the end of every branch that waits for an answer, and the
 *       subgraph checkpoints of all that stays, always stay.
 *   R3  What nothing reaches any more is gone.
 *   R4  It is decided on what was read, and done only if nothing was written since; else it is
 *       decided anew. Writers that knew the rows are told by the thread's generation.
 */

import type { CheckpointMetadata } from "@langchain/langgraph-checkpoint";
import { DatabaseUnavailableError, InvalidInputError, NotFoundError } from "../src/errors.ts";
import { keyOf } from "../src/ids.ts";
import type { PrunePolicy, PruneResult } from "../src/store.ts";
import type { CheckpointRow, Removal, ThreadOutline } from "./dialect.ts";
import { parseCell } from "./encoding/cells.ts";
import { findReferences } from "./encoding/payloads.ts";
import { TAG, tagged, type Node } from "./encoding/tree.ts";
import { decodeHeader } from "./header.ts";
import { unwrapNames } from "./long-names.ts";
import type { SaverParts } from "./parts.ts";
import { toText } from "./steps/texts.ts";
import { threadIdOf } from "./threads.ts";

const MAX_TRIES = 20;
const PAGE = 500;

/** A checkpoint while it is decided about. */
export interface Candidate {
  row: CheckpointRow;
  /** Its key among the thread's checkpoints. */
  place: string;
  parent: string | undefined;
  ns: string;
  metadata: CheckpointMetadata;
  /** LangGraph before version 4 kept a checkpoint's `Send`s as writes of its parent. */
  needsParent: boolean;
  /** Channels (their keys, as text) that have a version but no stored value. */
  valueless: readonly string[];
}

export async function pruneThreads(
  parts: SaverParts,
  threadIds: readonly string[] | "*",
  policy: PrunePolicy,
): Promise<PruneResult> {
  const { keepLast, keepSince, latestOnly } = policy;
  if (keepLast === undefined && keepSince === undefined && latestOnly !== true) {
    throw new InvalidInputError(
      "Cannot prune: say what to keep, with `keepLast`, `keepSince` or `latestOnly`.",
    );
  }
  if (keepLast !== undefined && (!Number.isInteger(keepLast) || keepLast < 1)) {
    throw new InvalidInputError(
      `Cannot prune: \`keepLast\` must be a positive integer, and is ${String(keepLast)}.`,
    );
  }
  const since =
    keepSince instanceof Date
      ? keepSince.getTime()
      : keepSince === undefined
        ? undefined
        : parts.clock.now() - keepSince;
  if (since !== undefined && Number.isNaN(since)) {
    throw new InvalidInputError("Cannot prune: `keepSince` must be milliseconds or a date.");
  }
  const keeps = (candidates: readonly Candidate[]): Candidate[] => {
    const kept: Candidate[] = [];
    for (const group of Map.groupBy(candidates, ({ ns }) => ns).values()) {
      if (isTaskNamespace(group[0]?.ns ?? "")) continue;
      const newest = group.toSorted((a, b) => Buffer.compare(b.row.id, a.row.id));
      const last = keepLast ?? 0;
      newest.forEach((candidate, position) => {
        const young = since !== undefined && candidate.row.createdAt >= since;
        if (position < last || young) kept.push(candidate);
      });
    }
    return kept;
  };
  const threads = await threadsNamed(parts, threadIds);
  if (policy.dryRun !== true) {
    const before = since ?? Number.MAX_SAFE_INTEGER;
    for (const thread of threads) await parts.dialect.runEvents.removeOfThread(thread, before);
  }
  return removeFrom(parts, threads, keeps, policy.dryRun ?? false);
}

export async function deleteForRuns(
  parts: SaverParts,
  runIds: readonly string[],
): Promise<PruneResult> {
  const keys = runIds.map((runId) => keyOf(runId));
  await parts.dialect.runEvents.removeOfRuns(runIds.map(toText));
  const threads = await parts.dialect.threadsOfRuns(keys);
  const keeps = (candidates: readonly Candidate[]): Candidate[] =>
    candidates.filter(
      ({ row }) =>
        row.runId === null ||
        !keys.some((key) => Buffer.compare(key, row.runId as Uint8Array) === 0),
    );
  return removeFrom(parts, threads, keeps, false, { all: true });
}

async function threadsNamed(
  { dialect }: SaverParts,
  threadIds: readonly string[] | "*",
): Promise<number[]> {
  const threads: number[] = [];
  if (threadIds !== "*") {
    for (const threadId of threadIds) {
      const thread = await dialect.findThread(keyOf(threadId));
      if (thread === undefined) throw new NotFoundError(`There is no thread "${threadId}".`);
      threads.push(thread.id);
    }
    return threads;
  }
  for (let after: { updatedAt: number; id: number } | undefined; ;) {
    const rows = await dialect.listThreads({ limit: PAGE, after });
    threads.push(...rows.map(({ id }) => id));
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return threads;
    after = { updatedAt: last.updatedAt, id: last.id };
  }
}

async function removeFrom(
  parts: SaverParts,
  threads: readonly number[],
  keeps: (candidates: readonly Candidate[]) => Candidate[],
  dryRun: boolean,
  options?: { all: boolean },
): Promise<PruneResult> {
  const total: PruneResult = { threads: 0, checkpoints: 0, kept: 0, bytes: 0 };
  for (const thread of threads) {
    const result = await removeFromThread(parts, thread, keeps, dryRun, options?.all ?? false);
    if (result === undefined) continue;
    total.threads += 1;
    total.checkpoints += result.checkpoints;
    total.kept += result.kept;
    total.bytes += result.bytes;
  }
  return total;
}

async function removeFromThread(
  parts: SaverParts,
  thread: number,
  keeps: (candidates: readonly Candidate[]) => Candidate[],
  dryRun: boolean,
  all: boolean,
): Promise<Omit<PruneResult, "threads"> | undefined> {
  const { dialect, states, clock } = parts;
  for (let tries = 1; ; tries += 1) {
    const outline = await dialect.outlineThread(thread);
    if (outline === undefined) return undefined;
    const candidates = await candidatesOf(parts, outline);
    const snapshots = await snapshotChannels(parts, thread, outline);
    for (const channel of countedChannels(candidates)) snapshots.add(channel);
    const kept = closure(candidates, keeps(candidates), outline, all, snapshots);
    const removal = await removalOf(parts, thread, outline, kept);
    const gone = outline.checkpoints.length - kept.size;
    const bytes = bytesOf(outline, removal, kept);
    const nothing = gone === 0 && removal.versions.length === 0 && removal.payloads.length === 0;
    if (dryRun || nothing) return { checkpoints: gone, kept: kept.size, bytes };
    if (await dialect.removeRows(thread, outline.revision, removal)) {
      const [row] = await dialect.threadsById([thread]);
      if (row !== undefined) states.drop(await threadIdOf(parts.cells, row));
      return { checkpoints: gone, kept: kept.size, bytes };
    }
    if (tries === MAX_TRIES) {
      throw new DatabaseUnavailableError(
        "Cannot prune: the thread is written to all the time. Nothing was removed; try again when its run has ended.",
      );
    }
    await clock.sleep(10 * tries);
  }
}

async function candidatesOf(
  { cells, types }: SaverParts,
  outline: ThreadOutline,
): Promise<Candidate[]> {
  const channelOf = new Map(outline.versions.map(({ id, channel }) => [id, text(channel)]));
  const candidates: Candidate[] = [];
  for (const row of outline.checkpoints) {
    const data = typeof row.header === "string" ? row.header : await cells.open(row.header);
    const { checkpoint, metadata } = decodeHeader(parseCell(data, "checkpoint header"), types);
    const stored = new Set(row.manifest.map((id) => channelOf.get(id)));
    candidates.push({
      row,
      place: place(row.ns, row.id),
      parent: row.parent === null ? undefined : place(row.ns, row.parent),
      ns: text(row.ns),
      metadata,
      needsParent: checkpoint.v < 4,
      valueless: Object.keys(checkpoint.channel_versions)
        .map((name) => text(keyOf(name)))
        .filter((channel) => !stored.has(channel)),
    });
  }
  return candidates;
}

/** Channels of which a snapshot is stored: their later values are rebuilt from it and from writes. */
async function snapshotChannels(
  { dialect, cells }: SaverParts,
  thread: number,
  outline: ThreadOutline,
): Promise<Set<string>> {
  const found = new Set<string>();
  const keyframes = outline.versions.filter(({ base }) => base === null).map(({ id }) => id);
  for (let from = 0; from < keyframes.length; from += PAGE) {
    for (const row of await dialect.readVersions(thread, keyframes.slice(from, from + PAGE))) {
      const tree = parseCell(await cells.open(row.data), "channel version") as Node;
      if (tagged(unwrapNames(tree).content, TAG.snapshot)) found.add(text(row.channel));
    }
  }
  return found;
}

/** All that stays: what was chosen, what always stays, and what these need. */
function closure(
  candidates: readonly Candidate[],
  chosen: readonly Candidate[],
  outline: ThreadOutline,
  /** Nothing stays of itself: only what was chosen, and what that needs. */
  onlyChosen: boolean,
  /** Channels that are delta channels for certain. */
  snapshots: ReadonlySet<string>,
): Set<string> {
  const byPlace = new Map(candidates.map((candidate) => [candidate.place, candidate]));
  const kept = new Set<string>();
  const queue: Candidate[] = [...chosen];
  if (!onlyChosen) queue.push(...alwaysKept(candidates, outline));
  const writtenAt = channelsWritten(outline);
  const storedIn = channelsByCheckpoint(candidates, outline);
  for (let candidate = queue.pop(); candidate !== undefined; candidate = queue.pop()) {
    if (kept.has(candidate.place)) continue;
    kept.add(candidate.place);
    const parent = candidate.parent === undefined ? undefined : byPlace.get(candidate.parent);
    if (candidate.needsParent && parent !== undefined) queue.push(parent);
    // Invariant R1: delta channels are rebuilt from the ancestors down to a stored value; these stay,
    // and so does what they are rebuilt from themselves.
    for (const channel of candidate.valueless) {
      if (channel.startsWith("__") || channel.startsWith("branch:")) continue;
      queue.push(...rebuiltFrom(candidate, channel));
    }
  }

  /** The ancestors from which a channel's value is rebuilt; none if it just has no value. */
  function rebuiltFrom(candidate: Candidate, channel: string): Candidate[] {
    const line: Candidate[] = [];
    let needed = snapshots.has(channel) ? 0 : -1;
    for (let at = candidate.parent; at !== undefined;) {
      const ancestor = byPlace.get(at);
      if (ancestor === undefined) break;
      line.push(ancestor);
      const isStored = storedIn.get(at)?.includes(channel) === true;
      if (writtenAt.get(at)?.has(channel) === true) needed = line.length;
      if (isStored) return needed < 0 ? [] : line;
      at = ancestor.parent;
    }
    return line.slice(0, Math.max(needed, 0));
  }

  // Invariant R2: the subgraphs of what stays, to any depth.
  const roots = new Set(
    [...kept].map((at) => byPlace.get(at)?.row.id).map((id) => text(id ?? new Uint8Array())),
  );
  for (const candidate of candidates) {
    if (!isTaskNamespace(candidate.ns)) continue;
    const parent = candidate.metadata?.parents?.[""];
    const chosenRun = onlyChosen && chosen.includes(candidate);
    if (chosenRun || (!onlyChosen && parent !== undefined && roots.has(text(keyOf(parent)))))
      kept.add(candidate.place);
  }
  return kept;
}

function* alwaysKept(
  candidates: readonly Candidate[],
  outline: ThreadOutline,
): Iterable<Candidate> {
  const interrupted = new Set(
    outline.writes
      .filter(({ idx }) => idx === -3)
      .map(({ ns, checkpoint }) => place(ns, checkpoint)),
  );
  const parents = new Set(candidates.map(({ parent }) => parent));
  for (const group of Map.groupBy(candidates, ({ ns }) => ns).values()) {
    if (isTaskNamespace(group[0]?.ns ?? "")) continue;
    yield group.reduce((a, b) => (Buffer.compare(a.row.id, b.row.id) > 0 ? a : b));
    for (const candidate of group) {
      if (interrupted.has(candidate.place) && !parents.has(candidate.place)) yield candidate;
    }
  }
}

/** Namespaces of one task each (`node:task-id`) live and go with the checkpoint whose task it is. */
function isTaskNamespace(ns: string): boolean {
  return ns.includes(":");
}

/** Delta channels by LangGraph's own note of them: it counts their steps in a run's metadata. */
function countedChannels(candidates: readonly Candidate[]): Set<string> {
  const found = new Set<string>();
  for (const { metadata } of candidates) {
    for (const name of Object.keys(metadata?.counters_since_delta_snapshot ?? {})) {
      found.add(text(keyOf(name)));
    }
  }
  return found;
}

/** Which channels have writes on each checkpoint. */
function channelsWritten(outline: ThreadOutline): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const { ns, checkpoint, channel } of outline.writes) {
    const at = place(ns, checkpoint);
    const channels = found.get(at) ?? new Set();
    found.set(at, channels.add(text(channel)));
  }
  return found;
}

function channelsByCheckpoint(
  candidates: readonly Candidate[],
  outline: ThreadOutline,
): Map<string, string[]> {
  const channelOf = new Map(outline.versions.map(({ id, channel }) => [id, text(channel)]));
  return new Map(
    candidates.map(({ place: at, row }) => [at, row.manifest.map((id) => channelOf.get(id) ?? "")]),
  );
}

/** The rows that nothing kept reaches. Payload references are in the rows' data, so those are read. */
async function removalOf(
  { dialect, cells }: SaverParts,
  thread: number,
  outline: ThreadOutline,
  kept: ReadonlySet<string>,
): Promise<Removal> {
  const baseOf = new Map(outline.versions.map(({ id, base }) => [id, base]));
  const reached = new Set<number>();
  for (const row of outline.checkpoints) {
    if (!kept.has(place(row.ns, row.id))) continue;
    for (const id of row.manifest) {
      for (
        let at: number | null | undefined = id;
        at !== null && at !== undefined && !reached.has(at);
        at = baseOf.get(at)
      ) {
        reached.add(at);
      }
    }
  }
  const mentioned = new Set<string>();
  const mention = async (data: string | Uint8Array): Promise<void> => {
    const box: [Node] = [parseCell(await cells.open(data), "value") as Node];
    for (const { hash } of findReferences(box)) mentioned.add(hash);
  };
  const ids = [...reached];
  for (let from = 0; from < ids.length; from += PAGE) {
    for (const { data } of await dialect.readVersions(thread, ids.slice(from, from + PAGE)))
      await mention(data);
  }
  const known = new Set(outline.checkpoints.map((row) => place(row.ns, row.id)));
  const writers = Map.groupBy(outline.writes, ({ ns }) => text(ns));
  for (const group of writers.values()) {
    const places = new Map(group.map((write) => [place(write.ns, write.checkpoint), write]));
    // Writes whose checkpoint is still to come are a running task's.
    const staying = [...places]
      .filter(([at]) => kept.has(at) || !known.has(at))
      .map(([, write]) => write);
    const [first] = staying;
    if (first === undefined) continue;
    for (const write of await dialect.readWrites(
      thread,
      first.ns,
      staying.map(({ checkpoint }) => checkpoint),
    )) {
      await mention(write.data);
    }
  }
  return {
    checkpoints: outline.checkpoints
      .filter((row) => !kept.has(place(row.ns, row.id)))
      .map(({ ns, id }) => ({ ns, id })),
    versions: outline.versions.filter(({ id }) => !reached.has(id)).map(({ id }) => id),
    payloads: outline.payloads.filter(({ hash }) => !mentioned.has(hash)).map(({ hash }) => hash),
  };
}

function bytesOf(outline: ThreadOutline, removal: Removal, kept: ReadonlySet<string>): number {
  const versions = new Set(removal.versions);
  const payloads = new Set(removal.payloads);
  const going = new Set(removal.checkpoints.map(({ ns, id }) => place(ns, id)));
  const sum = (rows: readonly { bytes: number }[]): number =>
    rows.reduce((total, { bytes }) => total + bytes, 0);
  return (
    sum(outline.versions.filter(({ id }) => versions.has(id))) +
    sum(outline.payloads.filter(({ hash }) => payloads.has(hash))) +
    sum(outline.writes.filter(({ ns, checkpoint }) => going.has(place(ns, checkpoint)))) +
    outline.checkpoints
      .filter((row) => !kept.has(place(row.ns, row.id)))
      .reduce((total, { header }) => total + header.length, 0)
  );
}

function place(ns: Uint8Array, id: Uint8Array): string {
  return `${ns.length}:${text(ns)}${text(id)}`;
}

/** Keys as strings, one character a byte: cheap to compare and to put into sets. */
function text(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}
