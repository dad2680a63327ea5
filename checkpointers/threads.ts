/** Operations on whole threads: list, copy, count. */

import { isDeepStrictEqual } from "node:util";
import type { RunnableConfig } from "@langchain/core/runnables";
import { CorruptDataError, InvalidInputError, NotFoundError } from "../src/errors.ts";
import { idOf, isLongId, keyOf, keyPrefixOf } from "../src/ids.ts";
import type { ListThreadsOptions, ThreadInfo, ThreadPage, ThreadStats } from "../src/store.ts";
import type { ThreadListing, ThreadQuery } from "./dialect.ts";
import { parseCell, type Cell, type Cells } from "./encoding/cells.ts";
import type { SaverParts } from "./parts.ts";

const DEFAULT_LIMIT = 100;
/** Rows read at a time where a filter drops some of them. */
const PAGE = 200;

export async function listThreads(
  { dialect, cells }: SaverParts,
  options: ListThreadsOptions,
): Promise<ThreadPage> {
  const limit = options.limit ?? DEFAULT_LIMIT;
  if (!Number.isInteger(limit) || limit < 1) {
    throw new InvalidInputError(
      `Cannot list threads: \`limit\` must be a positive integer, and is ${String(limit)}.`,
    );
  }
  const query: ThreadQuery = {
    prefix: options.prefix === undefined ? undefined : keyPrefixOf(options.prefix),
    createdAfter: instant(options.createdAfter, "createdAfter"),
    createdBefore: instant(options.createdBefore, "createdBefore"),
    updatedAfter: instant(options.updatedAfter, "updatedAfter"),
    updatedBefore: instant(options.updatedBefore, "updatedBefore"),
    after: options.cursor === undefined ? undefined : readCursor(options.cursor),
    limit: PAGE,
  };
  const threads: ThreadInfo[] = [];
  let cursor = "";
  for (;;) {
    const rows = await dialect.listThreads(query);
    for (const row of rows) {
      const info = await threadInfo(cells, row);
      query.after = { updatedAt: row.updatedAt, id: row.id };
      if (!matches(info, options)) continue;
      // One more than asked for: there is another page.
      if (threads.length === limit) return { threads, cursor };
      threads.push(info);
      cursor = writeCursor(row);
    }
    if (rows.length < PAGE) return { threads };
  }
}

async function threadInfo(cells: Cells, row: ThreadListing): Promise<ThreadInfo> {
  return {
    threadId: await threadIdOf(cells, row),
    createdAt: new Date(row.createdAt).toISOString(),
    updatedAt: new Date(row.updatedAt).toISOString(),
    metadata:
      row.metadata === null
        ? {}
        : (parseCell(await cells.open(row.metadata), "thread metadata") as Record<string, unknown>),
    checkpoints: row.checkpoints,
  };
}

export async function threadIdOf(
  cells: Cells,
  row: { key: Uint8Array; name: Cell | null },
): Promise<string> {
  const id = row.name === null ? idOf(row.key) : parseCell(await cells.open(row.name), "thread id");
  if (typeof id !== "string") throw new CorruptDataError("A stored thread id is damaged.");
  return id;
}

function matches({ threadId, metadata }: ThreadInfo, options: ListThreadsOptions): boolean {
  if (options.prefix !== undefined && !threadId.startsWith(options.prefix)) return false;
  return Object.entries(options.metadata ?? {}).every(
    ([key, value]) => Object.hasOwn(metadata, key) && isDeepStrictEqual(metadata[key], value),
  );
}

function instant(value: Date | string | undefined, option: string): number | undefined {
  if (value === undefined) return undefined;
  const time = value instanceof Date ? value.getTime() : Date.parse(value);
  if (Number.isNaN(time)) {
    throw new InvalidInputError(
      `Cannot list threads: \`${option}\` is not a date: ${String(value)}.`,
    );
  }
  return time;
}

function writeCursor(row: ThreadListing): string {
  return Buffer.from(`${row.updatedAt}.${row.id}`).toString("base64url");
}

function readCursor(cursor: string): { updatedAt: number; id: number } {
  const [updatedAt, id] = Buffer.from(cursor, "base64url").toString().split(".").map(Number);
  if (!Number.isSafeInteger(updatedAt) || !Number.isSafeInteger(id)) {
    throw new InvalidInputError(
      `Cannot list threads: "${cursor}" is not a cursor of an earlier call.`,
    );
  }
  return { updatedAt: updatedAt as number, id: id as number };
}

export async function copyThread(
  { dialect, cells, clock }: SaverParts,
  from: string,
  to: string,
): Promise<void> {
  const source = await dialect.findThread(keyOf(from));
  if (source === undefined) throw new NotFoundError(`There is no thread "${from}" to copy.`);
  const name = isLongId(to) ? await cells.seal(JSON.stringify(to)) : null;
  if (!(await dialect.copyThread(source, keyOf(to), name, clock.now()))) {
    throw new InvalidInputError(
      `Cannot copy to thread "${to}": it exists. Delete it first, or choose another id.`,
    );
  }
}

export async function threadStats(
  { dialect }: SaverParts,
  threadId: string | undefined,
): Promise<ThreadStats> {
  let thread: number | undefined;
  if (threadId !== undefined) {
    thread = (await dialect.findThread(keyOf(threadId)))?.id;
    if (thread === undefined) throw new NotFoundError(`There is no thread "${threadId}".`);
  }
  const rows = await dialect.stats(thread);
  const channels = rows.channels.map(({ channel, versions, keyframes, bytes }) => ({
    channel: idOf(channel) ?? `${Buffer.from(channel).toString().slice(0, 60)}...`,
    versions,
    keyframes,
    bytes,
  }));
  return {
    threads: rows.threads,
    checkpoints: rows.checkpoints,
    pendingWrites: rows.pendingWrites,
    bytes:
      rows.checkpointBytes +
      rows.pendingWriteBytes +
      rows.payloadBytes +
      channels.reduce((sum, { bytes }) => sum + bytes, 0),
    payloads: { count: rows.payloads, bytes: rows.payloadBytes },
    pendingWriteBytes: rows.pendingWriteBytes,
    checkpointBytes: rows.checkpointBytes,
    channels,
  };
}

/** Keys of a config's metadata that LangGraph and LangChain put there. */
const FRAMEWORK_KEY =
  /^(thread_id|checkpoint_(id|ns|map)|run_id|run_attempt|versions|revision_id)$|^(langgraph_|lc_|ls_|__)/;

/** The user's own metadata of a config: what `listThreads` tells of the thread. */
export function userMetadata(config: RunnableConfig): Record<string, unknown> | undefined {
  // Runs of subgraphs carry their parent's.
  if ((config.configurable?.["checkpoint_ns"] ?? "") !== "") return undefined;
  let metadata: Record<string, unknown> | undefined;
  for (const [key, value] of Object.entries(config.metadata ?? {})) {
    if (FRAMEWORK_KEY.test(key) || !isJson(value)) continue;
    metadata ??= {};
    metadata[key] = value;
  }
  return metadata;
}

/** It is a note beside the state: what is not plain JSON is left out rather than refused. */
function isJson(value: unknown): boolean {
  if (value === null || typeof value === "string" || typeof value === "boolean") return true;
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object") return false;
  if (Array.isArray(value)) return value.every(isJson);
  return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isJson);
}
