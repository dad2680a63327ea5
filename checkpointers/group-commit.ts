/**
 * One commit for everything that waits: operations that are queued while a commit is under way share
 * the next one.
 *
 * States: idle -> scheduled (a `setImmediate`, so that a task's writes and the checkpoint that takes
 * them go together) -> committing -> scheduled or idle.
 *
 * Invariants
 *   G1  Operations of a thread reach the database in the order in which they were queued.
 *   G2  A batch is written whole or not at all; if it fails it is tried again member by member, so
 *       that one bad member fails alone.
 *   G3  What builds on a failed operation of its thread is built whole, relying on nothing.
 *   G4  After an operation of a loop failed, all later ones of that loop fail: a checkpoint is never
 *       stored without the writes that went into it. A loop is what began with a read; who just puts
 *       may put again.
 *   G5  What a writer without the newest lease of its thread sends, or one without any while somebody
 *       holds one, is refused by the statement that would store it, and fails alone.
 */

import {
  DatabaseUnavailableError,
  LeaseLostError,
  ThreadBusyError,
  ThreadGoneError,
} from "../src/errors.ts";
import { processOf, systemProcesses } from "../src/process.ts";
import { UNLEASED, type Batch, type Dialect } from "./dialect.ts";
import { LOST_ANCESTORS, type Operation } from "./operations.ts";
import type { ThreadState } from "./thread-state.ts";

/** A statement's size has limits; what waits beyond this goes into the next commit. */
const MAX_BATCH = 512;

/** Version ids are drawn from the database in blocks. */
const ID_BLOCK = 1_024;

export class GroupCommit {
  readonly #dialect: Dialect;
  /** Finds or makes the rows of threads. */
  readonly #bind: (states: readonly ThreadState[]) => Promise<void>;
  #queue: Operation[] = [];
  #running = false;
  /** Why a loop lost an operation, if it did. */
  readonly #loops = new WeakMap<object, { failure?: { error: unknown } }>();
  #last: Promise<void> | undefined;
  #nextId = 0;
  #idsLeft = 0;

  constructor(dialect: Dialect, bind: (states: readonly ThreadState[]) => Promise<void>) {
    this.#dialect = dialect;
    this.#bind = bind;
  }

  /** Queues an operation; settles when it is durable, or failed. */
  add(operation: Operation): Promise<void> {
    operation.state.pending += 1;
    operation.state.lastOperation = operation.promise;
    this.#last = operation.promise;
    this.#queue.push(operation);
    if (!this.#running) void this.#run();
    return operation.promise;
  }

  /** A loop begins (again): what an earlier one with the same config lost is not its business. */
  begin(loop: object): void {
    this.#loops.set(loop, {});
  }

  /** Settles when all that is queued now is durable, or failed. */
  async drain(): Promise<void> {
    // Operations settle in the order in which they were queued.
    await this.#last?.catch(() => undefined);
  }

  async #run(): Promise<void> {
    this.#running = true;
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, MAX_BATCH);
      await this.#flush(batch);
      if (this.#queue.length > 0) {
        await new Promise<void>((resolve) => {
          setImmediate(resolve);
        });
      }
    }
    this.#running = false;
  }

  async #flush(queued: readonly Operation[]): Promise<void> {
    const [operations, apart] = byToken(
      queued.filter((operation) => !this.#failsWithItsLoop(operation)),
    );
    await this.#flushTogether(operations);
    for (const operation of apart) await this.#store(operation, false);
  }

  async #flushTogether(operations: readonly Operation[]): Promise<void> {
    if (operations.length === 0) return;
    try {
      const left = await this.#commit(operations);
      for (const operation of operations) {
        if (left.has(operation)) await this.#store(operation, true);
        else settle(operation);
      }
    } catch (error) {
      // Trying each by itself would make the last of them wait many times as long as it may.
      const hasWaited = error instanceof DatabaseUnavailableError && error.waited !== undefined;
      if (hasWaited || operations.length === 1) {
        for (const operation of operations) this.#fail(operation, error);
      } else {
        for (const operation of operations) await this.#store(operation, false);
      }
    }
  }

  /** Invariant G4: fails an operation whose loop has lost an earlier one. */
  #failsWithItsLoop(operation: Operation): boolean {
    const failure = this.#loops.get(operation.loop)?.failure;
    if (failure !== undefined) this.#fail(operation, failure.error);
    return failure !== undefined;
  }

  #fail(operation: Operation, error: unknown): void {
    const loop = this.#loops.get(operation.loop);
    if (loop !== undefined) loop.failure ??= { error };
    operation.undo();
    operation.state.forget();
    operation.state.pending -= 1;
    operation.reject(error);
  }

  /** Stores one operation by itself. @param refused its thread was not as its writer knew it */
  async #store(operation: Operation, refused: boolean): Promise<void> {
    if (this.#failsWithItsLoop(operation)) return;
    const { state } = operation;
    try {
      let again = refused;
      for (let attempt = 1; again || attempt === 1; attempt += 1) {
        if (attempt > 3) {
          throw new ThreadGoneError(
            state.threadId,
            `Thread "${state.threadId}" was deleted or pruned again and again while it was written to.`,
          );
        }
        if (again) await this.#checkLease(operation);
        // Deleted, or thinned out by another process: the next attempt stores all it is made of.
        if (again) state.forget();
        again = (await this.#commit([operation])).size > 0;
      }
      settle(operation);
    } catch (error) {
      this.#fail(operation, error);
    }
  }

  /** @returns the operations whose threads were not as their writers knew them */
  async #commit(operations: readonly Operation[]): Promise<ReadonlySet<Operation>> {
    // Each wait may let something else forget a thread or find another row of it: then once more.
    do {
      const states = new Set(operations.map(({ state }) => state));
      const unbound = [...states].filter(({ row }) => row === undefined);
      if (unbound.length > 0) await this.#bind(unbound);
      for (const operation of operations) {
        if (!operation.isCurrent) await this.#checkAncestors(operation);
        operation.renew();
        if (operation.sealed !== undefined) await operation.sealed;
      }
      await this.#reserve(operations.reduce((sum, { versionCount }) => sum + versionCount, 0));
    } while (!operations.every((operation) => operation.isCurrent));
    const batch: Batch = {
      ...{ threads: [], versions: [], payloads: [], checkpoints: [], writes: [], events: [] },
    };
    for (const operation of operations) {
      operation.addTo(batch, () => {
        this.#idsLeft -= 1;
        return this.#nextId++;
      });
    }
    // By the time of the answer a state may know another row, or none.
    const threads = operations.map(({ state }) => state.row?.id);
    const left = await this.#dialect.commit(compact(batch));
    return new Set(operations.filter((_, i) => left.has(threads[i] as number)));
  }

  /** Invariant G5: nothing of a writer whose lease somebody else has, or had since, is stored. */
  async #checkLease({ state, leaseToken }: Operation): Promise<void> {
    if (leaseToken === UNLEASED) return;
    if (leaseToken === undefined) {
      const held = await this.#dialect.leases.read(state.key);
      if (held === undefined || held.expiresAt <= (await this.#dialect.now())) return;
      // On one machine nobody need wait for the lease of a process that is gone.
      if (systemProcesses.isDead(processOf(held.owner))) {
        await this.#dialect.leases.giveBack(state.key, held.token);
        return;
      }
      throw new ThreadBusyError(state.threadId, held.owner, held.expiresAt);
    }
    if ((await this.#dialect.leases.tokenOf(state.key)) === leaseToken) return;
    throw new LeaseLostError(state.threadId, leaseToken);
  }

  /** A run with delta channels cannot go on where what they are rebuilt from went. */
  async #checkAncestors({ state, parent }: Operation): Promise<void> {
    if (parent === undefined) return;
    const found = await this.#dialect.readCheckpoint(state.key, parent.ns, parent.id);
    if (found === undefined) throw new ThreadGoneError(state.threadId, LOST_ANCESTORS);
  }

  async #reserve(ids: number): Promise<void> {
    if (ids <= this.#idsLeft) return;
    const count = Math.max(ids, ID_BLOCK);
    this.#nextId = await this.#dialect.reserveVersions(count);
    this.#idsLeft = count;
  }
}

/** Those that may share a commit, and those of a thread that other ones of it write under another lease. */
function byToken(operations: readonly Operation[]): [Operation[], Operation[]] {
  const tokens = new Map<ThreadState, number | undefined>();
  const together: Operation[] = [];
  const apart: Operation[] = [];
  for (const operation of operations) {
    const { state, leaseToken } = operation;
    if (!tokens.has(state)) tokens.set(state, leaseToken);
    (tokens.get(state) === leaseToken ? together : apart).push(operation);
  }
  return [together, apart];
}

/**
 * One entry for each thread (its row is locked, and its revision raised, once), and one for each
 * place that a write or a checkpoint goes to: a statement may not write a row twice.
 */
function compact(batch: Batch): Batch {
  const threads = new Map<number, Batch["threads"][number]>();
  for (const thread of batch.threads) {
    const known = threads.get(thread.id);
    if (known === undefined) threads.set(thread.id, thread);
    else {
      known.updatedAt = Math.max(known.updatedAt, thread.updatedAt);
      known.metadata = thread.metadata ?? known.metadata;
    }
  }
  return {
    ...batch,
    threads: [...threads.values()].toSorted((a, b) => a.id - b.id),
    writes: compactWrites(batch.writes),
    checkpoints: compactCheckpoints(batch.checkpoints),
  };
}

function compactWrites(rows: Batch["writes"]): Batch["writes"] {
  if (rows.length < 2) return rows;
  const writes = new Map<string, Batch["writes"][number]>();
  let task: Uint8Array | undefined;
  let prefix = "";
  for (const row of rows) {
    // The rows of one operation share one key object.
    if (row.task !== task) {
      task = row.task;
      prefix = `${row.thread},${textOf(row.ns)},${textOf(row.checkpoint)},${textOf(task)}`;
    }
    const place = `${prefix},${row.idx},${row.branch}`;
    if (row.replace || !writes.has(place)) writes.set(place, row);
  }
  return [...writes.values()];
}

function compactCheckpoints(rows: Batch["checkpoints"]): Batch["checkpoints"] {
  if (rows.length < 2) return rows;
  const checkpoints = new Map(
    rows.map((row) => [`${row.thread},${textOf(row.ns)},${textOf(row.id)}`, row]),
  );
  return [...checkpoints.values()];
}

/** The bytes as a string of as many characters; its length before it, so that no two places are one. */
function textOf(key: Uint8Array): string {
  return `${key.length}:${Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1")}`;
}

function settle(operation: Operation): void {
  operation.state.pending -= 1;
  operation.resolve();
}
