/** The tables as they are, in one form for both databases: for looking behind a saver's back. */

import { DatabaseSync } from "node:sqlite";
import pg from "pg";

export interface RawTables {
  threads: { id: number; key: string; generation: number }[];
  checkpoints: RawCheckpoint[];
  versions: { id: number; thread: number; channel: string; base: number | null; data: string }[];
  payloads: { thread: number; hash: string; data: Buffer }[];
  writes: RawWrite[];
}

export interface RawCheckpoint {
  thread: number;
  /** Ids as text of their bytes, one character each. */
  ns: string;
  id: string;
  parent: string | null;
  manifest: number[];
  header: string;
}

export interface RawWrite {
  thread: number;
  ns: string;
  checkpoint: string;
  task: string;
  idx: number;
  channel: string;
  base: number | null;
  data: string;
}

export type Row = Record<string, unknown>;

/** @param place as `openSaver` takes it */
export async function readTables(place: string): Promise<RawTables> {
  const [threads, checkpoints, versions, payloads, writes] = place.startsWith("sqlite:")
    ? sqliteRows(place.slice("sqlite:".length))
    : await postgresRows(place);
  return {
    threads: threads.map((row) => ({
      id: Number(row["id"]),
      key: text(row["key"]),
      generation: Number(row["generation"]),
    })),
    checkpoints: checkpoints.map((row) => ({
      thread: Number(row["thread_id"]),
      ns: text(row["checkpoint_ns"]),
      id: text(row["checkpoint_id"]),
      parent: row["parent_id"] === null ? null : text(row["parent_id"]),
      manifest: JSON.parse(row["manifest"] as string) as number[],
      header: text(row["header"] ?? row["header_bytes"]),
    })),
    versions: versions.map((row) => ({
      id: Number(row["id"]),
      thread: Number(row["thread_id"]),
      channel: text(row["channel"]),
      base: row["base_id"] === null ? null : Number(row["base_id"]),
      data: text(row["data"] ?? row["data_bytes"]),
    })),
    payloads: payloads.map((row) => ({
      thread: Number(row["thread_id"]),
      hash: row["hash"] as string,
      data: bytes(row["data"] ?? row["data_bytes"]),
    })),
    writes: writes.map((row) => ({
      thread: Number(row["thread_id"]),
      ns: text(row["checkpoint_ns"]),
      checkpoint: text(row["checkpoint_id"]),
      task: text(row["task_id"]),
      idx: Number(row["idx"]),
      channel: text(row["channel"]),
      base: row["base_id"] === null ? null : Number(row["base_id"]),
      data: text(row["data"] ?? row["data_bytes"]),
    })),
  };
}

const TABLES = [
  "threads",
  "checkpoints",
  "channel_versions",
  "payloads",
  "pending_writes",
] as const;

/** Only the rows of one thread. */
export function ofThread(tables: RawTables, threadId: string): RawTables {
  const threads = tables.threads.filter(({ key }) => key === threadId);
  const isOf = ({ thread }: { thread: number }): boolean => threads[0]?.id === thread;
  return {
    threads,
    checkpoints: tables.checkpoints.filter(isOf),
    versions: tables.versions.filter(isOf),
    payloads: tables.payloads.filter(isOf),
    writes: tables.writes.filter(isOf),
  };
}

/** Each table's rows, in one snapshot. */
type AllRows = [Row[], Row[], Row[], Row[], Row[]];

function sqliteRows(file: string): AllRows {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    db.exec("BEGIN");
    return TABLES.map((table) => db.prepare(`SELECT * FROM holdfast_${table}`).all()) as AllRows;
  } finally {
    db.close();
  }
}

async function postgresRows(url: string): Promise<AllRows> {
  return withClient(url, async (client) => {
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
    const all: Row[][] = [];
    for (const table of TABLES) {
      all.push((await client.query<Row>(`SELECT * FROM holdfast.${table}`)).rows);
    }
    return all as AllRows;
  });
}

/**
 * Runs one statement behind the savers' back.
 * @param sql gets a function that names a table as this database does
 */
export async function execute(
  place: string,
  sql: (table: (name: string) => string) => string,
): Promise<Row[]> {
  if (!place.startsWith("sqlite:")) {
    const text = sql((name) => `holdfast.${name}`);
    return withClient(place, async (client) => (await client.query<Row>(text)).rows);
  }
  const db = new DatabaseSync(place.slice("sqlite:".length), { timeout: 5_000 });
  try {
    return db.prepare(sql((name) => `holdfast_${name}`)).all();
  } finally {
    db.close();
  }
}

export async function withClient<T>(
  url: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function bytes(value: unknown): Buffer {
  return typeof value === "string" ? Buffer.from(value) : Buffer.from(value as Uint8Array);
}

function text(value: unknown): string {
  return bytes(value).toString();
}
