/**
 * The saver: LangGraph's checkpointer contract over a {@link Dialect}, free of any SQL.
 *
 * A put is encoded when it is called, compared with what its parent holds, and queued; the group
 * commit (group-commit.ts) makes it durable. A read waits for what is queued of its thread, fetches
 * what the thread's state (thread-state.ts) does not hold already, and decodes new objects.
 *
 * Invariants
 *   S1  What a read returns is the caller's own: changing it changes nothing here.
 *   S2  A stored version is never changed: whatever happens on one branch, every other reads back as
 *       it was.
 *   S3  `newVersions` is a hint. What counts is whether a value differs from the parent's.
 *   S4  After a put fails, the loop that made it mints no further version, so that the run stops.
 */

import {
  BaseCheckpointSaver,
  TASKS,
  WRITES_IDX_MAP,
  maxChannelVersion,
  type ChannelVersions,
  type Checkpoint,
  type CheckpointListOptions,
  type CheckpointMetadata,
  type CheckpointTuple,
  type DeltaChannelHistory,
  type PendingWrite,
  type SerializerProtocol,
} from "@langchain/langgraph-checkpoint";
import type { RunnableConfig } from "@langchain/core/runnables";
import { systemClock, type Clock } from "../src/clock.ts";
import { InvalidInputError, ThreadGoneError } from "../src/errors.ts";
import { keyOf } from "../src/ids.ts";
import { systemProcesses } from "../src/process.ts";
import { leaseTokenOf } from "../src/step-store.ts";
import type {
  ListThreadsOptions,
  PrunePolicy,
  PruneResult,
  ThreadPage,
  ThreadStats,
  ThreadStore,
} from "../src/store.ts";
import { Branches, checkpointPlace } from "./branches.ts";
import { shownTo } from "./exit.ts";
import { NULL_TASK_ID } from "./found-writes.ts";
import { isRunOf, loopOf, runsAnew } from "./loop.ts";
import { readTarget } from "./config.ts";
import {
  UNLEASED,
  type Dialect,
  type FoundCheckpoint,
  type FoundWrite,
  type SetUp,
  type ThreadRow,
  type WholeCheckpoint,
} from "./dialect.ts";
import { Cells } from "./encoding/cells.ts";
import { Decoder } from "./encoding/decode.ts";
import { encode, type EncodeContext } from "./encoding/encode.ts";
import type { StoredType } from "./encoding/types.ts";
import { deltaChannelHistory } from "./delta-history.ts";
import { endsRun } from "./ends-run.ts";
import { GroupCommit } from "./group-commit.ts";
import { Handled } from "./handled.ts";
import { listTuples } from "./listing.ts";
import { loadCheckpoint } from "./load.ts";
import { wholeId } from "./long-names.ts";
import { buildCheckpoint, decodeWrites } from "./loaded.ts";
import { Outbox } from "./outbox.ts";
import { newThread, runThreads } from "./new-thread.ts";
import type { SaverParts } from "./parts.ts";
import { LOST_ANCESTORS, WritesOperation, type NewWrite, type PutOperation } from "./operations.ts";
import { preparePut, putOperation, rebasePut, type PreparedPut } from "./put.ts";
import { deleteForRuns, pruneThreads } from "./prune.ts";
import { Steps } from "./steps/index.ts";
import { Seen } from "./steps/seen.ts";
import { ThreadStates, type Manifest, type ThreadState } from "./thread-state.ts";
import { copyThread, listThreads, threadStats } from "./threads.ts";
import { Loops, isOwnVersion } from "./versions.ts";
import { whileItLasts } from "./while-it-lasts.ts";

/** Options that both savers share. */
export interface SaverOptions {
  /** Types beyond plain data, LangChain's messages and JavaScript's own, that may be stored. */
  types?: readonly StoredType[];
  /**
   * How much of recent threads is kept in memory, in bytes (estimated), so that going on with a
   * thread need not read it again. Default 64 MB.
   */
  cacheBytes?: number;
  /** Told what a user should know once, such as an official saver's tables. Default `console.warn`. */
  onNotice?: (message: string) => void;
  /**
   * What becomes of a plain `graph.invoke`, or `updateState`, that would write to a thread while a runtime,
   * `runToEnd` or the command line runs it: "refuse" (default) with a {@link ThreadBusyError}, or "allow",
   * as LangGraph does. The same for all processes.
   */
  unleasedWrites?: "refuse" | "allow";
  /** For tests. */
  clock?: Clock;
}

const DEFAULT_CACHE_BYTES = 64 * 1024 * 1024;

export abstract class HoldfastSaver extends BaseCheckpointSaver implements ThreadStore {
  readonly #parts: SaverParts;
  readonly #commits: GroupCommit;
  readonly #branches: Branches;
  readonly #outbox = new Outbox();
  readonly #loops = new Loops();
  readonly #onNotice: (message: string) => void;
  readonly #seen = new Seen();
  #steps: Steps | undefined;
  #setup: Promise<void> | undefined;
  #isSetUp = false;

  constructor(dialect: Dialect, serde: SerializerProtocol | undefined, options: SaverOptions) {
    super(serde);
    const clock = options.clock ?? systemClock;
    this.#parts = {
      dialect,
      cells: new Cells(serde),
      types: checkTypes(options.types ?? []),
      states: new ThreadStates(options.cacheBytes ?? DEFAULT_CACHE_BYTES),
      clock,
      unleased: options.unleasedWrites === "allow" ? UNLEASED : undefined,
    };
    this.#branches = new Branches(clock);
    this.#commits = new GroupCommit(dialect, (states) => this.#bind(states));
    // oxlint-disable-next-line no-console -- the default for an option
    this.#onNotice = options.onNotice ?? ((message) => console.warn(message));
    const loops = this.#loops;
    // Read once for each loop: each gets a function of its own, and may bind it to anything.
    Object.defineProperty(this, "getNextVersion", { get: () => loops.begin(), enumerable: false });
  }

  /**
   * The next version id of a channel (versions.ts): a string, as LangGraph allows, although the type
   * that its `compile` asks for knows numbers only.
   */
  override getNextVersion(current: number | undefined): number {
    return this.#loops.begin()(current) as unknown as number;
  }

  /**
   * Creates or migrates the tables. Runs by itself on first use.
   * @throws {SchemaTooNewError} a newer holdfast wrote the database
   * @throws {DatabaseUnavailableError} the database cannot be reached
   */
  async setup(): Promise<void> {
    if (this.#isSetUp) return;
    this.#setup ??= this.#setUpOnce();
    try {
      await this.#setup;
    } finally {
      this.#setup = undefined;
    }
  }

  async #setUpOnce(): Promise<void> {
    this.#noteSetUp(await this.#parts.dialect.setup());
  }

  #noteSetUp({ officialTables }: SetUp): void {
    if (officialTables !== undefined && !this.#isSetUp) {
      this.#onNotice(
        `holdfast: ${officialTables} holds tables of LangGraph's own saver. They are left ` +
          "alone; `importThreads(officialSaver, holdfastSaver)` or `holdfast import` brings their threads over.",
      );
    }
    this.#isSetUp = true;
  }

  /** What durable steps keep in the saver's database: attempts, effects, breakers, limits and so on. */
  get steps(): Steps {
    this.#steps ??= new Steps(
      {
        ...this.#parts,
        seen: this.#seen,
        ready: () => (this.#isSetUp ? Promise.resolve() : this.setup()),
        settled: (threadId) => this.#calm(this.#parts.states.of(threadId)),
        onNotice: (message) => this.#onNotice(message),
      },
      {
        processes: systemProcesses,
        makeThread: async (threadId) => {
          await this.#bind([this.#parts.states.of(threadId)]);
        },
        threads: runThreads(this.#parts),
      },
    );
    return this.#steps;
  }

  /** Waits for what is queued and closes the database. */
  async end(): Promise<void> {
    await this.#commits.drain();
    await this.#steps?.close();
    await this.#parts.dialect.end();
  }

  override async getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    if (config.configurable?.["thread_id"] === undefined) return undefined;
    const target = readTarget(config, "get a checkpoint");
    this.#commits.begin(loopOf(config));
    const state = this.#parts.states.of(target.threadId);
    const id = target.checkpointId === undefined ? undefined : keyOf(target.checkpointId);
    const isLatest = target.ns === "" && id === undefined;
    const token = leaseTokenOf(config);
    let known: { found: FoundCheckpoint | WholeCheckpoint | undefined } | undefined =
      await this.#readAtOnce(state, keyOf(target.ns), id);
    await this.#settled(state);
    if (isLatest) known ??= state.tip.found(token);
    const { lastOperation } = state;
    const decoder = new Decoder(this.#parts.types);
    const read = await whileItLasts(this.#parts.dialect, state, async () => {
      const found =
        known === undefined
          ? await this.#parts.dialect.readCheckpoint(state.key, keyOf(target.ns), id)
          : known.found;
      const isTip = known !== undefined && !("versions" in (found ?? {}));
      // What was read at once, or is known, is good for one try.
      known = undefined;
      if (isLatest && !isTip && state.lastOperation === lastOperation)
        state.tip.read(token, found?.checkpoint.id);
      if (found === undefined) return undefined;
      const shown: typeof found = { ...found, writes: shownTo(config, found.writes) };
      return {
        found: shown,
        loaded: await loadCheckpoint(this.#parts, state, shown, target.ns, decoder),
      };
    });
    this.#seen.read(target.threadId, target.ns);
    if (read === undefined) return undefined;
    const { found, loaded } = read;
    const { header, checkpointId } = loaded;
    const checkpoint = buildCheckpoint(header, checkpointId, loaded.values);
    const { threadId, ns } = target;
    this.#branches.read(
      config,
      { threadId, ns, checkpointId },
      { checkpoint, step: header.metadata?.step ?? -1, writes: found.writes },
      runsAnew(config),
    );
    this.#outbox.read(config, { threadId, ns, checkpointId }, loaded.writes, decoder);
    const tuple: CheckpointTuple = {
      config: {
        configurable: {
          thread_id: target.threadId,
          checkpoint_ns: target.ns,
          checkpoint_id: checkpointId,
        },
      },
      checkpoint,
      metadata: header.metadata,
      pendingWrites: decodeWrites(loaded.writes, decoder),
    };
    if (found.checkpoint.parent !== null) {
      const parent = wholeId(found.checkpoint.parent, header.long.parent);
      tuple.parentConfig = {
        configurable: {
          thread_id: target.threadId,
          checkpoint_ns: target.ns,
          checkpoint_id: parent,
        },
      };
      this.#branches.readSibling(tuple.parentConfig, found.checkpoint.consumed);
      if (checkpoint.v < 4) await this.#migratePendingSends(checkpoint, tuple.parentConfig);
    }
    return tuple;
  }

  override async *list(
    config: RunnableConfig,
    options?: CheckpointListOptions,
  ): AsyncGenerator<CheckpointTuple> {
    await this.setup();
    await this.#commits.drain();
    for await (const { tuple, writes } of listTuples(this.#parts, config, options ?? {})) {
      if (options?.before !== undefined && config.metadata !== undefined)
        this.#noteReplay(config, tuple, writes);
      if (tuple.checkpoint.v < 4 && tuple.parentConfig !== undefined) {
        await this.#migratePendingSends(tuple.checkpoint, tuple.parentConfig);
      }
      yield tuple;
    }
  }

  override async put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    newVersions: ChannelVersions,
  ): Promise<RunnableConfig> {
    try {
      await this.#put(config, checkpoint, metadata, newVersions);
    } catch (error) {
      // Invariant S4.
      for (const version of Object.values(newVersions)) {
        if (isOwnVersion(version)) this.#loops.fail(version, error as Error);
      }
      throw error;
    }
    const { threadId, ns } = readTarget(config, "put a checkpoint");
    if (ns === "" && this.#steps?.status.isOpen(threadId) && endsRun(checkpoint, metadata))
      this.#steps.status.end(threadId);
    return {
      configurable: { thread_id: threadId, checkpoint_ns: ns, checkpoint_id: checkpoint.id },
    };
  }

  override putWrites(
    config: RunnableConfig,
    writes: PendingWrite[],
    taskId: string,
  ): Promise<void> {
    // Thrown, not rejected: LangGraph then ends the run cleanly, with this error.
    const target = readTarget(config, "put writes", { checkpointId: true });
    const checkpointId = target.checkpointId as string;
    if (typeof taskId !== "string")
      throw new InvalidInputError("Cannot put writes: the task id is not a string.");
    const state = this.#parts.states.of(target.threadId);
    const place = checkpointPlace(target.ns, checkpointId);
    const manifest = state.manifest(place);
    const failed = writes.some(([channel]) => channel === "__error__");
    const node = nodeDue(manifest);
    const slot = this.#branches.forWrites(
      config,
      { ...target, checkpointId },
      taskId,
      writes.length,
    );
    if (slot === undefined) return Promise.resolve();
    const { branch, firstIndex } = slot;
    if (!failed) this.#outbox.wrote(config, { ...target, checkpointId }, taskId, branch, writes);
    const encoded: NewWrite[] = [];
    writes.forEach(([channel, value], position) => {
      const special = Object.hasOwn(WRITES_IDX_MAP, channel) ? WRITES_IDX_MAP[channel] : undefined;
      // A task that failed has no result; LangGraph would take these for one (its edges ran first).
      if (failed && special === undefined && !channel.startsWith("__error")) return;
      const base = manifest?.get(channel);
      const tree = encode(value, base?.tree, this.#context(state, channel, node));
      encoded.push({
        channel,
        tree,
        idx: special ?? firstIndex + position,
        // A task has one error, interrupt or list of answers at a time, whichever loop it is in.
        branch: special === undefined ? branch : 0,
        replace: special !== undefined || taskId === NULL_TASK_ID,
        base,
      });
    });
    state.tip.wrote(keyOf(checkpointId));
    const operation = new WritesOperation(
      {
        state,
        cells: this.#parts.cells,
        loop: loopOf(config),
        epoch: state.epoch,
        leaseToken: leaseTokenOf(config) ?? this.#parts.unleased,
      },
      { ns: keyOf(target.ns), checkpoint: keyOf(checkpointId) },
      taskId,
      encoded,
    );
    return Handled.of(this.#commits.add(operation));
  }

  override async deleteThread(threadId: string): Promise<void> {
    await this.setup();
    await this.#commits.drain();
    await this.#steps?.forget(threadId);
    await this.#parts.dialect.deleteThread(keyOf(threadId));
    this.#parts.states.drop(threadId);
    this.#seen.drop(threadId);
  }

  /** One walk in the database, whatever the number of ancestors. */
  override async getDeltaChannelHistory(options: {
    config: RunnableConfig;
    channels: string[];
  }): Promise<Record<string, DeltaChannelHistory>> {
    const { config, channels } = options;
    const target = readTarget(config, "read the history of delta channels");
    // A loop that found no checkpoint, as that of a subgraph in a replay: it begins with nothing.
    if (target.checkpointId === undefined && isRunOf(config))
      return Object.fromEntries(channels.map((channel) => [channel, { writes: [] }]));
    const state = this.#parts.states.of(target.threadId);
    await this.#settled(state);
    return whileItLasts(this.#parts.dialect, state, () =>
      deltaChannelHistory(this.#parts, state, target, channels),
    );
  }

  async listThreads(options: ListThreadsOptions = {}): Promise<ThreadPage> {
    await this.#quiet();
    return listThreads(this.#parts, options);
  }

  async copyThread(from: string, to: string): Promise<void> {
    await this.#quiet();
    await copyThread(this.#parts, from, to);
  }

  async prune(threadIds: readonly string[] | "*", policy: PrunePolicy): Promise<PruneResult> {
    await this.#quiet();
    return pruneThreads(this.#parts, threadIds, policy);
  }

  async deleteForRuns(runIds: readonly string[]): Promise<PruneResult> {
    await this.#quiet();
    return deleteForRuns(this.#parts, runIds);
  }

  async stats(threadId?: string): Promise<ThreadStats> {
    await this.#quiet();
    return threadStats(this.#parts, threadId);
  }

  async #quiet(): Promise<void> {
    await this.setup();
    await this.#commits.drain();
  }

  /** Of a thread of which nothing is known, and of which nothing is queued meanwhile. */
  async #readAtOnce(
    state: ThreadState,
    ns: Uint8Array,
    id: Uint8Array | undefined,
  ): Promise<{ found: WholeCheckpoint | undefined } | undefined> {
    const { dialect } = this.#parts;
    const isUnknown = (): boolean => state.row === undefined && state.pending === 0;
    if (dialect.readAtOnce === undefined || !isUnknown()) return undefined;
    const read = await dialect.readAtOnce(state.key, ns, id);
    if (read !== undefined) this.#noteSetUp(read);
    return isUnknown() ? read : undefined;
  }

  /** Set up, and nothing of the thread queued. */
  async #settled(state: ThreadState): Promise<void> {
    if (!this.#isSetUp) await this.setup();
    while (state.pending > 0) await state.lastOperation?.catch(() => undefined);
  }

  /** Finds the rows of threads, or makes them. */
  async #bind(states: readonly ThreadState[]): Promise<void> {
    await this.setup();
    const { dialect, clock, cells } = this.#parts;
    const threads = await Promise.all(states.map((state) => newThread(cells, state)));
    const rows = await dialect.createThreads(threads, clock.now());
    states.forEach((state, i) => state.bind(rows[i] as ThreadRow));
  }

  /** Settled, and nothing more comes at once: LangGraph puts a checkpoint when the one before is durable. */
  async #calm(state: ThreadState): Promise<void> {
    do {
      await this.#settled(state);
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
    } while (state.pending > 0);
  }

  #context(state: ThreadState, channel: string, node?: string): EncodeContext {
    return { channel, node, payloads: state.payloads, types: this.#parts.types };
  }

  #put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    newVersions: ChannelVersions,
  ): Promise<void> {
    const target = readTarget(config, "put a checkpoint");
    const state = this.#parts.states.of(target.threadId);
    const parentPlace =
      target.checkpointId === undefined
        ? undefined
        : checkpointPlace(target.ns, target.checkpointId);
    const parent = parentPlace === undefined ? EMPTY : state.manifest(parentPlace);
    const { checkpointId: parentId } = target;
    const consumed =
      parentId === undefined
        ? null
        : this.#branches.consumed(
            config,
            { ...target, checkpointId: parentId },
            { checkpoint, source: metadata?.source, newVersions },
          );
    // A fork is a copy: what led to it has left.
    const events =
      parentId === undefined || metadata?.source === "fork"
        ? []
        : this.#outbox.take(config, { ...target, checkpointId: parentId }, consumed);
    const put = preparePut(this.#parts, state, parent, {
      ...{ target, config, checkpoint, metadata, newVersions, consumed, events },
    });
    this.#seen.put({
      threadId: target.threadId,
      namespace: target.ns,
      id: checkpoint.id,
      parent: target.checkpointId,
      source: metadata?.source,
      createdAt: put.createdAt,
    });
    const stored =
      parent === undefined
        ? this.#putOnUnread(state, put)
        : this.#addPut(state, putOperation(this.#parts, state, put, parent, state.epoch));
    return events.length === 0 ? stored : stored.then(() => this.#steps?.events.left());
  }

  /** The parent is not in memory: read it, find what the new values share with it, then go on. */
  async #putOnUnread(state: ThreadState, put: PreparedPut): Promise<void> {
    const { ns, checkpointId } = put.target;
    await this.#settled(state);
    const { manifest, epoch } = await whileItLasts(this.#parts.dialect, state, async () => {
      const id = checkpointId === undefined ? undefined : keyOf(checkpointId);
      const found = await this.#parts.dialect.readCheckpoint(state.key, keyOf(ns), id);
      if (found === undefined) {
        if (put.leansOnAncestors) throw new ThreadGoneError(state.threadId, LOST_ANCESTORS);
        return { manifest: EMPTY, epoch: state.epoch };
      }
      return loadCheckpoint(this.#parts, state, { ...found, writes: [] }, ns, undefined);
    });
    const rebased = rebasePut(put, manifest);
    await this.#addPut(state, putOperation(this.#parts, state, rebased, manifest, epoch));
  }

  #addPut(state: ThreadState, operation: PutOperation): Promise<void> {
    if (operation.place.ns.length === 0) state.tip.put(operation);
    return this.#commits.add(operation);
  }

  #noteReplay(config: RunnableConfig, tuple: CheckpointTuple, writes: readonly FoundWrite[]): void {
    const {
      thread_id: threadId,
      checkpoint_ns: ns,
      checkpoint_id: id,
    } = tuple.config.configurable ?? {};
    this.#branches.read(
      config,
      { threadId: threadId as string, ns: ns as string, checkpointId: id as string },
      { checkpoint: tuple.checkpoint, step: tuple.metadata?.step ?? -1, writes },
      true,
    );
  }

  /** Checkpoints before version 4 keep their `Send`s as pending writes of their parent. */
  async #migratePendingSends(checkpoint: Checkpoint, parentConfig: RunnableConfig): Promise<void> {
    const parent = await this.getTuple(parentConfig);
    checkpoint.channel_values[TASKS] = (parent?.pendingWrites ?? [])
      .filter(([, channel]) => channel === TASKS)
      .map(([, , value]): unknown => value);
    const versions = Object.values(checkpoint.channel_versions);
    checkpoint.channel_versions[TASKS] =
      versions.length > 0 ? maxChannelVersion(...versions) : this.getNextVersion(undefined);
  }
}

/** What a checkpoint without a parent builds on. */
const EMPTY: Manifest = new Map();

/** The node that is due at a checkpoint, where exactly one is: LangGraph names only the task. */
function nodeDue(manifest: Manifest | undefined): string | undefined {
  let due: string | undefined;
  for (const channel of manifest?.keys() ?? []) {
    if (!channel.startsWith(TRIGGER)) continue;
    if (due !== undefined) return undefined;
    due = channel.slice(TRIGGER.length);
  }
  return due;
}

/** The channel by which a `StateGraph` starts a node. */
const TRIGGER = "branch:to:";

function checkTypes(types: readonly StoredType[]): readonly StoredType[] {
  const names = new Set<string>();
  for (const type of types) {
    if (typeof type.name !== "string" || typeof type.is !== "function") {
      throw new InvalidInputError(
        "Each of a saver's `types` needs a name, is(), encode() and decode().",
      );
    }
    if (names.has(type.name))
      throw new InvalidInputError(`Two of the saver's \`types\` are called "${type.name}".`);
    names.add(type.name);
  }
  return types;
}
