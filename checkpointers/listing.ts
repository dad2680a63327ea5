/**
 * `list`: a thread's checkpoints, newest first, as a stream.
 *
 * Rows come in pages, and of each page only the chains that its checkpoints are on are held, so
 * memory does not grow with the number of checkpoints. Each element of a state is decoded once for
 * the whole listing: the states of one listing share their inner objects, never the saver's own.
 */

import { isDeepStrictEqual } from "node:util";
import type { CheckpointListOptions, CheckpointTuple } from "@langchain/langgraph-checkpoint";
import type { RunnableConfig } from "@langchain/core/runnables";
import { InvalidInputError, isHoldfastError } from "../src/errors.ts";
import { idOf, keyOf } from "../src/ids.ts";
import { shownTo } from "./exit.ts";
import { isTaskless, visibleWrites } from "./found-writes.ts";
import { readTarget } from "./config.ts";
import type { CheckpointQuery, CheckpointRow, FoundWrite, ThreadRow } from "./dialect.ts";
import { parseCell } from "./encoding/cells.ts";
import { Decoder } from "./encoding/decode.ts";
import { PayloadBook } from "./encoding/payloads.ts";
import { setOwn } from "./encoding/tree.ts";
import { decodeHeader, type Header } from "./header.ts";
import { buildCheckpoint, decodeWrites, readWrites } from "./loaded.ts";
import { wholeId } from "./long-names.ts";
import type { SaverParts } from "./parts.ts";
import type { Version } from "./thread-state.ts";
import { VersionReader } from "./version-reader.ts";

/** Pages begin small, for callers that want a few, and grow. */
const FIRST_PAGE = 16;
const LARGEST_PAGE = 128;

/** A checkpoint, and the writes on it that are shown. */
interface Listed {
  tuple: CheckpointTuple;
  writes: readonly FoundWrite[];
}

export async function* listTuples(
  parts: SaverParts,
  config: RunnableConfig,
  options: CheckpointListOptions,
): AsyncGenerator<Listed> {
  const query = await queryOf(parts, config, options);
  if (query === undefined) return;
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  const filter = Object.entries(options.filter ?? {});
  const decoder = new Decoder(parts.types, { shareEqual: true });
  const threads = new Map<number, ListedThread>();
  pages: for (let size = FIRST_PAGE; left > 0; size = Math.min(size * 2, LARGEST_PAGE)) {
    const limit = filter.length === 0 ? Math.min(size, left) : size;
    const rows = await parts.dialect.listCheckpoints({ ...query, limit });
    await findThreads(parts, rows, threads);
    for (const group of groupsOf(rows)) {
      const thread = threads.get(group.thread);
      // Deleted since its row was read.
      if (thread === undefined) continue;
      let tuples: Generator<Listed>;
      try {
        tuples = await readGroup(parts, thread, group.rows, {
          wants: (metadata) =>
            filter.every(([key, value]) => isDeepStrictEqual(metadata[key], value)),
          shown: (writes) => shownTo(config, writes),
          decoder,
        });
      } catch (error) {
        if (!(await hasLostRows(parts, thread.row, error))) throw error;
        // Pruned since its rows were read: look again at what comes behind the last that was given.
        threads.delete(group.thread);
        continue pages;
      }
      for (const tuple of tuples) {
        yield tuple;
        left -= 1;
        if (left <= 0) return;
      }
      query.after = positionOf(group.rows.at(-1) as CheckpointRow);
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < limit) return;
    query.after = positionOf(last);
  }
}

function positionOf({ thread, ns, id }: CheckpointRow): CheckpointQuery["after"] {
  return { thread, ns, id };
}

/** Whether something is missing because another process took rows away, and not by damage. */
async function hasLostRows(
  { dialect }: SaverParts,
  known: ThreadRow,
  error: unknown,
): Promise<boolean> {
  if (!isHoldfastError(error, "CORRUPT_DATA")) return false;
  const [row] = await dialect.threadsById([known.id]);
  return row?.generation !== known.generation;
}

/** Undefined where nothing can match. */
async function queryOf(
  { dialect }: SaverParts,
  config: RunnableConfig,
  options: CheckpointListOptions,
): Promise<CheckpointQuery | undefined> {
  if (options.limit !== undefined && typeof options.limit !== "number") {
    throw new InvalidInputError("Cannot list checkpoints: `limit` must be a number.");
  }
  const query: CheckpointQuery = { limit: 0 };
  const configurable = config.configurable ?? {};
  if (configurable["thread_id"] !== undefined && configurable["thread_id"] !== null) {
    const target = readTarget(config, "list checkpoints");
    const thread = await dialect.findThread(keyOf(target.threadId));
    if (thread === undefined) return undefined;
    query.thread = thread.id;
    if (target.checkpointId !== undefined) query.id = keyOf(target.checkpointId);
  }
  const ns: unknown = configurable["checkpoint_ns"];
  if (typeof ns === "string") query.ns = keyOf(ns);
  const before: unknown = options.before?.configurable?.["checkpoint_id"];
  if (typeof before === "string" && before !== "") query.before = keyOf(before);
  return query;
}

interface ListedThread {
  threadId: string;
  row: ThreadRow;
  reader: VersionReader;
}

async function findThreads(
  { dialect, cells }: SaverParts,
  rows: readonly CheckpointRow[],
  threads: Map<number, ListedThread>,
): Promise<void> {
  const wanted = new Set(rows.map((row) => row.thread));
  for (const id of threads.keys()) if (!wanted.has(id)) threads.delete(id);
  const missing = [...wanted].filter((id) => !threads.has(id));
  if (missing.length === 0) return;
  for (const { key, name, ...row } of await dialect.threadsById(missing)) {
    const threadId =
      name === null
        ? (idOf(key) as string)
        : (parseCell(await cells.open(name), "thread id") as string);
    const book = new PayloadBook(row.hashKey);
    threads.set(row.id, {
      threadId,
      row,
      reader: new VersionReader(dialect, cells, row.id, book, new Map()),
    });
  }
}

/** Consecutive rows of one namespace. */
function groupsOf(rows: readonly CheckpointRow[]): { thread: number; rows: CheckpointRow[] }[] {
  const groups: { thread: number; rows: CheckpointRow[] }[] = [];
  for (const row of rows) {
    const last = groups.at(-1)?.rows.at(-1);
    if (last?.thread === row.thread && Buffer.compare(last.ns, row.ns) === 0)
      groups.at(-1)?.rows.push(row);
    else groups.push({ thread: row.thread, rows: [row] });
  }
  return groups;
}

/**
 * Whether LangGraph applies a write to the state before it shows it: then it is a reducer of the user's
 * that gets the values, and may change them in place, so that no other state may share them.
 */
function isStateWrite(write: FoundWrite): boolean {
  return isTaskless(write) && write.idx >= 0;
}

interface Reading {
  wants: (metadata: Record<string, unknown>) => boolean;
  shown: (writes: FoundWrite[]) => FoundWrite[];
  decoder: Decoder;
}

/** Reads all that the rows consist of, then gives it one by one. */
async function readGroup(
  { dialect, cells, types }: SaverParts,
  { threadId, row: thread, reader }: ListedThread,
  rows: readonly CheckpointRow[],
  { wants, shown, decoder }: Reading,
): Promise<Generator<Listed>> {
  const wanted: { row: CheckpointRow; header: Header }[] = [];
  for (const row of rows) {
    const data = typeof row.header === "string" ? row.header : await cells.open(row.header);
    const header = decodeHeader(parseCell(data, "checkpoint header"), types);
    if (wants({ ...header.metadata })) wanted.push({ row, header });
  }
  const [first] = wanted;
  if (first === undefined) return give();
  const writes = await dialect.readWrites(
    thread.id,
    first.row.ns,
    wanted.map(({ row }) => row.id),
  );
  const ids = [
    ...wanted.flatMap(({ row }) => row.manifest),
    ...writes.flatMap(({ base }) => (base === null ? [] : [base])),
  ];
  await reader.load(ids);
  // Oldest first, so that each version is one delta away from one that is known.
  const versions = new Map<number, Version>();
  for (const id of wanted.flatMap(({ row }) => row.manifest).toReversed())
    versions.set(id, reader.version(id));
  const byCheckpoint = Map.groupBy(writes, (write) =>
    Buffer.from(write.checkpoint).toString("latin1"),
  );
  const pending = wanted.map(({ row }) =>
    shown(byCheckpoint.get(Buffer.from(row.id).toString("latin1")) ?? []),
  );
  const visible = pending.map(visibleWrites);
  const loaded = await readWrites(reader, cells, visible.flat());
  reader.keepOnly(ids);
  return give();

  function* give(): Generator<Listed> {
    let given = 0;
    for (const [position, { row, header }] of wanted.entries()) {
      const end = given + (visible[position]?.length ?? 0);
      const ns = wholeId(row.ns, header.long.ns);
      const id = wholeId(row.id, header.long.id);
      const own = (pending[position] ?? []).some(isStateWrite) ? new Decoder(types) : decoder;
      const values: Record<string, unknown> = {};
      for (const version of row.manifest) {
        const { channel, tree } = versions.get(version) as Version;
        setOwn(values, channel, own.decodeNext(channel, tree));
      }
      const tuple: CheckpointTuple = {
        config: { configurable: { thread_id: threadId, checkpoint_ns: ns, checkpoint_id: id } },
        checkpoint: buildCheckpoint(header, id, values),
        metadata: header.metadata,
        pendingWrites: decodeWrites(loaded.slice(given, end), own),
      };
      given = end;
      if (row.parent !== null) {
        const parent = wholeId(row.parent, header.long.parent);
        tuple.parentConfig = {
          configurable: { thread_id: threadId, checkpoint_ns: ns, checkpoint_id: parent },
        };
      }
      yield { tuple, writes: pending[position] ?? [] };
    }
  }
}
