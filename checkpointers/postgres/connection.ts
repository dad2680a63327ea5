/**
 * Postgres through a `pg` pool: statements, their parameters and results, and what to do when the
 * connection or the server goes away.
 *
 * Invariants
 *   C1  Statements are idempotent, so one whose connection broke is sent again, until
 *       `retryTimeout` is over; then the caller gets one clear error.
 *   C2  No idle connection's error ever reaches the process.
 *   C3  It works behind a pooler in transaction mode: named statements are given up at the first
 *       sign that they do not survive, and nothing relies on session state.
 *   C4  A transaction whose work must not be done twice notes its id. Where only the answer to its
 *       COMMIT was lost, the server tells what became of it.
 *   C5  Locks of a process that vanished, and of whose end nobody told the server, go after the time
 *       that one attempt may take.
 */

import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import type pg from "pg";
import { systemClock, type Clock } from "../../src/clock.ts";
import {
  DatabaseUnavailableError,
  InvalidInputError,
  MissingDependencyError,
} from "../../src/errors.ts";
import type { Ear, SqlResult } from "../../src/run-store.ts";
import type { Cell } from "../encoding/cells.ts";
import { Listener, type OpenEar } from "../listener.ts";

export type SqlValue = string | number | null | Uint8Array;
export type SqlRow = Record<string, unknown>;

export interface ConnectionOptions {
  schema: string;
  /** How long to try again, in milliseconds. */
  retryTimeout: number;
  clock: Clock;
  /** Tells the time in the database's stead, where a test gave one. */
  givenClock?: Clock | undefined;
}

/** A pool of our own for a connection string. */
export function openPool(url: string, settings: pg.PoolConfig): pg.Pool {
  if (!/^postgres(ql)?:\/\//.test(url)) {
    throw new InvalidInputError('A Postgres connection string begins with "postgres://".');
  }
  let driver: typeof pg;
  try {
    driver = createRequire(import.meta.url)("pg") as typeof pg;
  } catch (cause) {
    throw new MissingDependencyError('PostgresSaver needs the package "pg": npm install pg', {
      cause,
    });
  }
  return new driver.Pool({ connectionString: url, keepAlive: true, ...settings });
}

/** Text results as they are needed here: bytes as bytes, 64-bit integers as numbers (ours are safe). */
const TYPES = {
  getTypeParser: (oid: number) => PARSERS.get(oid) ?? ((text: string): unknown => text),
};
const PARSERS = new Map<number, (text: string) => unknown>([
  [16, (text) => text === "t"],
  [17, (text) => Buffer.from(text.slice(2), "hex")],
  [20, Number],
  [21, Number],
  [23, Number],
  [701, Number],
]);

/** The server's time, in milliseconds since the epoch. */
export const NOW = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

export type Query = (text: string, values?: readonly SqlValue[]) => Promise<SqlRow[]>;

/** What a transaction does: by `query`, or with the client itself. */
type Work<T> = (query: Query, client: pg.PoolClient, noteId: (id: string) => void) => Promise<T>;

/** What the types of a pool do not tell. */
interface PoolOfClients {
  Client: typeof pg.Client;
  options: pg.PoolConfig;
}

/** How often the server is asked what became of a transaction, in milliseconds. */
const STATUS_PAUSE = 50;

/** What of a transaction is in doubt once its COMMIT was sent and not answered. */
interface Doubt<T> {
  id: string;
  result: T;
}

export class Connection {
  readonly #pool: pg.Pool;
  readonly #options: ConnectionOptions;
  /** How long one attempt may take: a dead wire must leave time for another. */
  readonly #attemptTimeout: number;
  readonly #names = new Map<string, string>();
  #namedStatements = true;
  #ended = false;

  constructor(pool: pg.Pool, options: ConnectionOptions) {
    this.#pool = pool;
    this.#options = options;
    this.#attemptTimeout = Math.ceil(options.retryTimeout / 3);
    // Invariant C2. The next statement finds out, and connects anew.
    pool.on("error", () => undefined);
  }

  /** Before the names of our tables, where the schema is not ours alone; set by `setUp`. */
  prefix = "";

  /** A table's, or sequence's, name in the schema, quoted. */
  name(table: string): string {
    return `${quoted(this.#options.schema)}.${this.prefix}${table}`;
  }

  get schema(): string {
    return this.#options.schema;
  }

  /** The time that stands for the server's, for statements: null for the server's own. */
  get givenNow(): number | null {
    const now = this.#options.givenClock?.now();
    return now === undefined ? null : Math.round(now);
  }

  async now(): Promise<number> {
    const { givenNow } = this;
    if (givenNow !== null) return givenNow;
    const [row] = await this.query(`SELECT ${NOW} AS now`);
    return row?.["now"] as number;
  }

  /** One statement, one round trip, sent again where that can help. */
  query(text: string, values: readonly SqlValue[] = []): Promise<SqlRow[]> {
    return this.#patiently(async () => {
      const isNamed = this.#namedStatements;
      const statement = {
        text,
        values: [...values],
        types: TYPES,
        query_timeout: this.#attemptTimeout,
      };
      try {
        const { rows } = await this.#pool.query(
          isNamed ? { ...statement, name: this.#nameOf(text) } : statement,
        );
        return rows as SqlRow[];
      } catch (error) {
        if (!isNamed || !lostStatement(error)) throw error;
        // Invariant C3.
        this.#namedStatements = false;
        const { rows } = await this.#pool.query(statement);
        return rows as SqlRow[];
      }
    });
  }

  /**
   * Several statements in one transaction on one connection; all of them again if it breaks.
   * @param work may note the transaction's id (`pg_current_xact_id()`), where doing its work twice would
   *   be wrong: if the answer to COMMIT is lost, the server is asked what became of it
   */
  transaction<T>(work: Work<T>): Promise<T> {
    return this.#patiently(async () => {
      const doubts: Doubt<T>[] = [];
      try {
        return await this.#transact(work, (doubt) => doubts.push(doubt));
      } catch (error) {
        const [doubt] = doubts;
        if (doubt === undefined || !isTransient(error)) throw error;
        if (!(await this.#isCommitted(doubt.id))) throw error;
        return doubt.result;
      }
    });
  }

  async #transact<T>(work: Work<T>, onCommit: (doubt: Doubt<T>) => void): Promise<T> {
    const client = await this.#pool.connect();
    let broken: Error | undefined;
    // A client that was taken out of the pool reports a broken connection by itself.
    const onError = (error: Error): void => {
      broken = error;
    };
    client.on("error", onError);
    try {
      const send = async (text: string, values: readonly SqlValue[] = []): Promise<SqlRow[]> => {
        const statement = { text, values: [...values], types: TYPES };
        const timed = { ...statement, query_timeout: this.#attemptTimeout };
        const { rows } = await client.query(timed);
        return rows as SqlRow[];
      };
      try {
        // If we vanish, our locks do not stay.
        const timeout = `SET LOCAL idle_in_transaction_session_timeout = ${this.#attemptTimeout}`;
        await send(`BEGIN; ${timeout}`);
        let id: string | undefined;
        const result = await work(send, client, (noted) => {
          id = noted;
        });
        if (id !== undefined) onCommit({ id, result });
        await send("COMMIT");
        return result;
      } catch (error) {
        // A dead wire would not answer to this either; without it the server rolls back by itself.
        if (isTransient(error)) broken = error as Error;
        else await send("ROLLBACK");
        throw error;
      }
    } finally {
      client.off("error", onError);
      client.release(broken ?? false);
    }
  }

  /** What became of a transaction whose COMMIT was not answered. */
  async #isCommitted(id: string): Promise<boolean> {
    const { clock, retryTimeout } = this.#options;
    for (let waited = 0; waited <= retryTimeout; waited += STATUS_PAUSE) {
      const [row] = await this.query("SELECT pg_xact_status($1::xid8) AS status", [id]);
      if (row?.["status"] !== "in progress") return row?.["status"] === "committed";
      // The server has not noticed yet that we are gone.
      await clock.sleep(STATUS_PAUSE);
    }
    throw new DatabaseUnavailableError(
      "The connection to Postgres broke while a transaction committed, and the server still has not " +
        "decided what became of it.",
      { waited: retryTimeout },
    );
  }

  /** Somebody else's SQL, with results as the driver has them; also several statements without values. */
  execute(text: string, values: readonly unknown[] = []): Promise<SqlResult> {
    return this.#patiently(() => this.executeBy(this.#pool, text, values));
  }

  /** The same on a transaction's client, which nobody else uses meanwhile. */
  executeBy(
    client: pg.Pool | pg.PoolClient,
    text: string,
    values: readonly unknown[],
  ): Promise<SqlResult> {
    const statement = { text, values: [...values], query_timeout: this.#attemptTimeout };
    return client.query(statement);
  }

  /** Hears a channel, over a connection beside the pool's. */
  listen(channel: string, ear: Ear): { end(): void } {
    // Whether a wire is dead is a matter of real time, whatever clock a test gave.
    return new Listener((heard) => this.#hear(channel, heard), ear, systemClock);
  }

  async #hear(channel: string, heard: (message: string) => void): Promise<OpenEar> {
    // As the pool makes its own, with all of its options; the password is not enumerable.
    const { Client, options } = this.#pool as unknown as PoolOfClients;
    const settings: pg.ClientConfig = Object.defineProperties(
      {},
      Object.getOwnPropertyDescriptors(options),
    );
    settings.connectionTimeoutMillis ||= this.#attemptTimeout;
    const client = new Client(settings);
    const lost = Promise.withResolvers<void>();
    client.on("error", () => lost.resolve());
    client.on("end", () => lost.resolve());
    client.on("notification", ({ payload = "" }) => heard(payload));
    const close = (): void => {
      client.removeAllListeners("notification");
      // A half-open connection does not answer to this, either.
      client.end().catch(() => undefined);
      lost.resolve();
    };
    const say = (text: string): Promise<unknown> =>
      client.query({ text, query_timeout: this.#attemptTimeout } as pg.QueryConfig);
    try {
      await client.connect();
      await say(`LISTEN ${quoted(channel)}`);
    } catch (error) {
      close();
      throw error;
    }
    return { lost: lost.promise, check: () => say("SELECT 1"), close };
  }

  async end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#pool.end();
  }

  #nameOf(text: string): string {
    let name = this.#names.get(text);
    if (name === undefined) {
      name = `holdfast_${createHash("sha256").update(text).digest("hex").slice(0, 24)}`;
      this.#names.set(text, name);
    }
    return name;
  }

  async #patiently<T>(work: () => Promise<T>): Promise<T> {
    if (this.#ended)
      throw new DatabaseUnavailableError("The saver was ended; open a new one to go on.");
    const { clock, retryTimeout } = this.#options;
    const start = clock.now();
    for (let pause = 20; ; pause = Math.min(pause * 2, 1_000)) {
      try {
        return await work();
      } catch (error) {
        if (!isTransient(error)) throw explain(error);
        if (clock.now() - start + pause > retryTimeout) {
          throw new DatabaseUnavailableError(
            `Postgres could not be reached for ${retryTimeout} ms: ${(error as Error).message}. ` +
              "Check that the server runs and that the connection string is right.",
            { cause: error, waited: retryTimeout },
          );
        }
        await clock.sleep(pause);
      }
    }
  }
}

/** A named statement is unknown, or known as another one: a pooler gave us another session. */
function lostStatement(error: unknown): boolean {
  const { code } = error as { code?: string };
  return code === "26000" || code === "42P05" || code === "08P01";
}

/** SQLSTATEs, or their classes, and Node's codes, after which trying again can help. */
const TRANSIENT =
  /^(08\w{3}|57P0[1-5]|53300|40001|40P01|55P03|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)$/;

export function isTransient(error: unknown): boolean {
  const { code, message, errors } = error as {
    code?: string;
    message?: string;
    errors?: unknown[];
  };
  if (code !== undefined && code !== "") return TRANSIENT.test(code);
  if (Array.isArray(errors)) return errors.some(isTransient);
  // The driver's own errors carry no code.
  return /connection terminated|timeout exceeded|connection timeout|read timeout|connection error|not queryable|connection ended/i.test(
    message ?? "",
  );
}

function explain(error: unknown): unknown {
  const { code, message } = error as { code?: string; message?: string };
  switch (code) {
    case "28P01":
    case "28000":
      return new DatabaseUnavailableError(`Postgres refused the login: ${message}.`, {
        cause: error,
      });
    case "3D000":
      return new DatabaseUnavailableError(`Postgres has no such database: ${message}.`, {
        cause: error,
      });
    case "53100":
    case "58030":
      return new DatabaseUnavailableError(`Postgres cannot write: ${message}.`, { cause: error });
    case "42501":
      return new DatabaseUnavailableError(
        `Postgres refused: ${message}. Holdfast's tables are missing, or may not be used by this ` +
          "role. Create them once with a role that may (`holdfast migrate`), and grant this one " +
          "USAGE on the schema, and SELECT, INSERT, UPDATE, DELETE on its tables and USAGE on its sequence.",
        { cause: error },
      );
    default:
      return error;
  }
}

export function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

/** The two columns of a value that is text or bytes. */
export function cellOf(text: unknown, bytes: unknown): Cell {
  return (text ?? bytes) as Cell;
}

const OID = { bool: 16, bytea: 17, int8: 20, int4: 23, text: 25, float8: 701 } as const;

/** Array parameters in Postgres's binary format: nothing to escape, and half the size of hex. */
export const array = {
  bigints: (values: readonly (number | null)[]): Buffer => numbers(OID.int8, 8, values),
  integers: (values: readonly (number | null)[]): Buffer => numbers(OID.int4, 4, values),
  doubles: (values: readonly (number | null)[]): Buffer => {
    const buffer = arrayOf(OID.float8, values.length, values.length * 8);
    let at = HEADER;
    for (const value of values) {
      at = buffer.writeInt32BE(value === null ? NULL : 8, at);
      if (value !== null) at = buffer.writeDoubleBE(value, at);
    }
    return buffer.subarray(0, at);
  },
  booleans: (values: readonly boolean[]): Buffer => {
    const buffer = arrayOf(OID.bool, values.length, values.length);
    let at = HEADER;
    for (const value of values) {
      at = buffer.writeInt32BE(1, at);
      at = buffer.writeInt8(value ? 1 : 0, at);
    }
    return buffer;
  },
  bytes: (values: readonly (Uint8Array | null)[]): Buffer => {
    let size = 0;
    for (const value of values) size += value?.length ?? 0;
    const buffer = arrayOf(OID.bytea, values.length, size);
    let at = HEADER;
    for (const value of values) {
      at = buffer.writeInt32BE(value?.length ?? NULL, at);
      if (value === null) continue;
      buffer.set(value, at);
      at += value.length;
    }
    return buffer;
  },
  texts: (values: readonly (string | null)[]): Buffer => {
    let size = 0;
    for (const value of values) if (value !== null) size += Buffer.byteLength(value);
    const buffer = arrayOf(OID.text, values.length, size);
    let at = HEADER;
    for (const value of values) {
      const length = value === null ? 0 : buffer.write(value, at + 4);
      buffer.writeInt32BE(value === null ? NULL : length, at);
      at += 4 + length;
    }
    return buffer;
  },
  /** The text column and the bytes column of cells. */
  cells: (values: readonly (Cell | null)[]): [texts: Buffer, bytes: Buffer] => [
    array.texts(values.map((value) => (typeof value === "string" ? value : null))),
    array.bytes(values.map((value) => (typeof value === "string" ? null : value))),
  ],
};

/** Of an array with one dimension: dimensions, whether it may hold NULL, type, length, lower bound. */
const HEADER = 20;

/** In place of an element's length. */
const NULL = -1;

/** An array of so many elements, which take so many bytes beside their lengths; still to be filled. */
function arrayOf(oid: number, length: number, size: number): Buffer {
  const buffer = Buffer.allocUnsafe(length === 0 ? HEADER - 8 : HEADER + 4 * length + size);
  buffer.writeInt32BE(length === 0 ? 0 : 1, 0);
  buffer.writeInt32BE(1, 4);
  buffer.writeInt32BE(oid, 8);
  if (length > 0) {
    buffer.writeInt32BE(length, 12);
    buffer.writeInt32BE(1, 16);
  }
  return buffer;
}

function numbers(oid: number, bytes: 4 | 8, values: readonly (number | null)[]): Buffer {
  let present = 0;
  for (const value of values) if (value !== null) present += 1;
  const buffer = arrayOf(oid, values.length, bytes * present);
  let at = HEADER;
  for (const value of values) {
    at = buffer.writeInt32BE(value === null ? NULL : bytes, at);
    if (value === null) continue;
    if (bytes === 8) at = buffer.writeInt32BE(Math.floor(value / 2 ** 32), at);
    at = bytes === 8 ? buffer.writeUInt32BE(value >>> 0, at) : buffer.writeInt32BE(value, at);
  }
  return buffer;
}
