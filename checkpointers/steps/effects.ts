/**
 * The ledger of effects in a database: values become cells, ids keys, and changes that are asked for at
 * the same moment share a commit.
 */

import { InvalidInputError, LeaseLostError } from "../../src/errors.ts";
import { idOf, keyOf } from "../../src/ids.ts";
import type {
  EffectQuery,
  EffectRow,
  EffectStore,
  EffectWrite,
  ForkMark,
  Lineage,
} from "../../src/effect-store.ts";
import { systemClock } from "../../src/clock.ts";
import { cellText, parseCell, type Cell } from "../encoding/cells.ts";
import { Decoder } from "../encoding/decode.ts";
import { encode } from "../encoding/encode.ts";
import { stringify, type Node } from "../encoding/tree.ts";
import { Gather } from "../gather.ts";
import type { EffectChange, FoundEffect } from "./effect-rows.ts";
import type { StepParts } from "./parts.ts";

/** What of a row is the user's, or too long for a column: the content of its `call` cell. */
interface Call {
  /** Thread, root checkpoint, run, task. */
  t: string;
  c: string;
  r?: string;
  i?: string;
  /** Node, key. */
  n: string;
  k?: string;
  args: Node;
}

interface Notes {
  error?: string | undefined;
  reason?: string | undefined;
}

const DEFAULT_LIMIT = 100;
/** Steps of a lineage read at a time. */
const PAGE = 256;

export class Effects implements EffectStore {
  readonly #parts: StepParts;
  readonly #writes: Gather<EffectChange, boolean>;
  readonly #reads: Gather<Uint8Array, FoundEffect | undefined>;

  constructor(parts: StepParts) {
    this.#parts = parts;
    const { effects } = parts.dialect;
    this.#writes = new Gather((changes) => this.#inTurns(changes));
    this.#reads = new Gather(async (identities) => {
      const rows = await effects.latest(identities);
      const found = new Map(rows.map((row) => [hex(row.identity), row]));
      return identities.map((identity) => found.get(hex(identity)));
    });
  }

  serialize(value: unknown, what: string, node?: string): string {
    const tree = encode(value, undefined, {
      channel: what,
      node,
      payloads: undefined,
      types: this.#parts.types,
    });
    return stringify(tree, new Set());
  }

  deserialize(text: string): unknown {
    return new Decoder(this.#parts.types).decode(parseCell(text, "value of an effect") as Node);
  }

  settled(threadId: string): Promise<void> {
    return this.#parts.settled(threadId);
  }

  async write(write: EffectWrite): Promise<boolean> {
    await this.#parts.ready();
    const written = await this.#writes.add(await this.#change(write));
    if (!written) await this.#checkLease(write.row);
    return written;
  }

  /** A row is written at most once by a statement: further changes of it come in the next one. */
  async #inTurns(changes: readonly EffectChange[]): Promise<boolean[]> {
    const written: boolean[] = [];
    let left = changes.map((change, at) => ({ change, at }));
    while (left.length > 0) {
      const rows = new Set<string>();
      const isFree = ({ row, closes }: EffectChange): boolean => {
        const touched = [row, ...(closes === null ? [] : [closes])].map(placeOf);
        const free = !touched.some((place) => rows.has(place));
        // What waits keeps its turn before what comes after it.
        for (const place of touched) rows.add(place);
        return free;
      };
      const turn = left.filter(({ change }) => isFree(change));
      const made = await this.#parts.dialect.effects.write(
        turn.map(({ change }) => change),
        this.#now(),
      );
      for (const [i, { at }] of turn.entries()) written[at] = made[i] === true;
      const done = new Set(turn);
      left = left.filter((one) => !done.has(one));
    }
    return written;
  }

  /** Who lost the thread is told so, and not that somebody was faster. */
  async #checkLease({ place: { threadId }, leaseToken }: EffectWrite["row"]): Promise<void> {
    if (leaseToken === undefined) return;
    const newest = await this.#parts.dialect.leases.tokenOf(keyOf(threadId));
    if (newest !== leaseToken) throw new LeaseLostError(threadId, leaseToken);
  }

  async latest(identity: string): Promise<{ row: EffectRow | undefined; now: number }> {
    await this.#parts.ready();
    const [found, now] = await Promise.all([
      this.#reads.add(Buffer.from(identity, "hex")),
      this.#parts.dialect.now(),
    ]);
    return { row: found && (await this.#row(found)), now };
  }

  async list(query: EffectQuery): Promise<EffectRow[]> {
    await this.#parts.ready();
    const { threadId, taskId, kind, name, states, prefix, undoable, limit } = query;
    const rows = await this.#parts.dialect.effects.list({
      thread: threadId === undefined ? undefined : keyOf(threadId),
      task: taskId === undefined ? undefined : keyOf(taskId),
      kind,
      name,
      states,
      prefix,
      undoable: undoable ?? false,
      limit: limit ?? DEFAULT_LIMIT,
    });
    return Promise.all(rows.map((row) => this.#row(row)));
  }

  async lineage(threadId: string, checkpointId: string): Promise<Lineage> {
    await this.#parts.ready();
    const { dialect } = this.#parts;
    const line = [keyOf(checkpointId)];
    const thread = await dialect.findThread(keyOf(threadId));
    for (let from = thread && line[0]; from !== undefined;) {
      const page = await dialect.readAncestors(thread?.id ?? 0, keyOf(""), from, PAGE);
      line.push(...page.map(({ id }) => id));
      from = page.length < PAGE ? undefined : line.at(-1);
    }
    const first = await dialect.effects.firstChildren(keyOf(threadId), line.slice(1));
    const firstChildren = new Set(first.map(hex));
    const depths = new Map(line.map((id, depth) => [hex(id), depth]));
    const depthOf = (id: string): number | undefined => depths.get(hex(keyOf(id)));
    return {
      depthOf,
      owns: (id) => {
        const depth = depthOf(id);
        if (depth === undefined || depth === 0) return depth === 0;
        return firstChildren.has(hex(line[depth - 1] as Uint8Array));
      },
    };
  }

  async isStored(threadId: string, checkpointId: string): Promise<boolean> {
    await this.#parts.ready();
    const { dialect } = this.#parts;
    const thread = await dialect.findThread(keyOf(threadId));
    if (thread === undefined) return false;
    const rows = await dialect.listCheckpoints({
      thread: thread.id,
      ns: keyOf(""),
      id: keyOf(checkpointId),
      limit: 1,
    });
    return rows.length > 0;
  }

  async mark({ threadId, checkpointId, effects }: ForkMark): Promise<void> {
    await this.#parts.ready();
    await this.#parts.dialect.effects.mark(keyOf(threadId), keyOf(checkpointId), effects);
  }

  async marks(threadId: string): Promise<ForkMark[]> {
    await this.#parts.ready();
    const rows = await this.#parts.dialect.effects.marks(keyOf(threadId));
    return rows.map(({ checkpoint_id, effects }) => ({
      threadId,
      checkpointId: idOf(checkpoint_id) ?? "",
      effects: effects as ForkMark["effects"],
    }));
  }

  async transact(
    write: EffectWrite,
    work: (handle: unknown) => unknown,
  ): Promise<string | undefined> {
    await this.#parts.ready();
    const { cells, dialect } = this.#parts;
    const { name, place } = write.row;
    const change = await this.#change(write);
    let result = "";
    const keep = (value: unknown): string => {
      result = this.serialize(value, `result of "${name}"`, place.node);
      return result;
    };
    if (!dialect.effects.synchronous) {
      const done = await dialect.effects.transact(change, this.#now(), async (handle) =>
        cells.seal(keep(await work(handle))),
      );
      if (!done) await this.#checkLease(write.row);
      return done ? result : undefined;
    }
    const seal = await cells.sealer();
    const done = await dialect.effects.transact(change, this.#now(), (handle) => {
      const value = work(handle);
      if (isThenable(value)) throw new InvalidInputError(asyncText(name));
      return seal(keep(value));
    });
    if (!done) await this.#checkLease(write.row);
    return done ? result : undefined;
  }

  async expireRequests(): Promise<void> {
    await this.#parts.ready();
    await this.#parts.dialect.effects.expire(await this.#parts.dialect.now());
  }

  /** What stands for the database's time; null where it is its own. */
  #now(): number | null {
    const { clock } = this.#parts;
    return clock === systemClock ? null : clock.now();
  }

  async #change(write: EffectWrite): Promise<EffectChange> {
    const { row } = write;
    const { place } = row;
    const { cells } = this.#parts;
    const seal = (text: string | undefined): Promise<Cell> | null =>
      text === undefined ? null : cells.seal(text);
    const [call, result, notes] = await Promise.all([
      seal(write.claims ? callText(row) : undefined),
      seal(row.result),
      seal(notesText(row)),
    ]);
    const checkpoint = write.checkpoint;
    return {
      row: {
        identity: Buffer.from(row.identity, "hex"),
        generation: row.generation,
        kind: row.kind,
        name: row.name,
        scope: row.scope,
        idempotency_key: row.idempotencyKey,
        thread_key: row.kind === "request" ? null : keyOf(place.threadId),
        root_checkpoint: row.kind === "request" ? null : keyOf(place.rootCheckpointId),
        task_id: place.taskId === undefined ? null : keyOf(place.taskId),
        execution: place.execution,
        state: row.state,
        version: write.version,
        process: row.process,
        lease_token: row.leaseToken ?? null,
        attempts: row.attempts,
        undoable: row.undoable,
        call,
        result,
        notes,
      },
      replaces: write.replaces ?? null,
      expired_at: write.expiredAt ?? null,
      expires_in: write.expiresIn ?? null,
      sent: write.sent,
      checkpoint:
        checkpoint === undefined
          ? null
          : { ns: keyOf(checkpoint.namespace), id: keyOf(checkpoint.checkpointId) },
      unless_rerun: write.unlessRerun ?? false,
      unless_forked: write.unlessForked ?? false,
      closes:
        write.closes === undefined
          ? null
          : {
              identity: Buffer.from(write.closes.identity, "hex"),
              generation: write.closes.generation,
            },
    };
  }

  async #row(found: FoundEffect): Promise<EffectRow> {
    const open = async (cell: Cell | null): Promise<string | undefined> =>
      cell === null ? undefined : cellText(await this.#parts.cells.open(cell));
    const [callCell, result, notesCell] = await Promise.all([
      open(found.call),
      open(found.result),
      open(found.notes),
    ]);
    const call = parseCell(callCell ?? "", "call of an effect") as Call;
    const notes = notesCell === undefined ? {} : (parseCell(notesCell, "notes") as Notes);
    return {
      identity: hex(found.identity),
      generation: found.generation,
      kind: found.kind as EffectRow["kind"],
      name: found.name,
      scope: found.scope as EffectRow["scope"],
      key: call.k,
      idempotencyKey: found.idempotency_key,
      place: {
        threadId: call.t,
        rootCheckpointId: call.c,
        runId: call.r,
        node: call.n,
        taskId: call.i,
        execution: found.execution,
      },
      state: found.state as EffectRow["state"],
      version: found.version,
      process: found.process,
      leaseToken: found.lease_token ?? undefined,
      expiresAt: found.expires_at ?? undefined,
      attempts: found.attempts,
      sentAt: found.sent_at ?? undefined,
      claimedAt: found.claimed_at,
      updatedAt: found.updated_at,
      undoable: found.undoable,
      args: JSON.stringify(call.args),
      result,
      error: notes.error,
      reason: notes.reason,
    };
  }
}

function asyncText(name: string): string {
  return (
    `The transaction "${name}" returned a promise: on SQLite its \`run\` must be synchronous, since ` +
    "nothing else may happen in between. Nothing was written. Fetch what it needs before, and pass it in."
  );
}

function callText({ place, key, args }: EffectWrite["row"]): string {
  const { threadId: t, rootCheckpointId: c, runId: r, taskId: i, node: n } = place;
  const head = JSON.stringify({ t, c, r, i, n, k: key });
  // The arguments are a text already.
  return `${head.slice(0, -1)},"args":${args}}`;
}

function notesText({ error, reason }: EffectWrite["row"]): string | undefined {
  return error === undefined && reason === undefined
    ? undefined
    : JSON.stringify({ error, reason } satisfies Notes);
}

function placeOf({
  identity,
  generation,
}: Pick<EffectChange["row"], "identity" | "generation">): string {
  return `${hex(identity)} ${generation}`;
}

function isThenable(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as { then?: unknown }).then === "function"
  );
}

function hex(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("hex");
}
