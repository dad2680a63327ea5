/**
 * Which pending writes went into which child.
 *
 * Several loops may start from one checkpoint: a run and its replays, `updateState`, concurrent runs.
 * Each leaves its writes there and then a child checkpoint; LangGraph's contract does not say whose
 * are whose, and a `DeltaChannel` that is read through a fork needs to know. So writes carry a branch:
 *
 *   0      the main flow: writes on a checkpoint by the loop that made it
 *   else   a number of its own for what each later loop's tasks wrote, and one for what no task of it
 *          wrote (input and resume values); later loops have larger numbers
 *   CLOSED and above: writes that are no result of the checkpoint's tasks, so that whoever goes on from
 *          it does not go on from them: those of `updateState`, those that an "exit" invocation stores
 *          at its end in the name of all its supersteps, and what it had found where it forked from
 *
 * and each child remembers the branches of its parent that it consumed (null stands for branch 0; of
 * a branch that is noted as -1 - n it took only what no task wrote).
 * A loop is recognised by an object that LangGraph hands along with every call of it: its config's
 * metadata. `updateState` usually has none; it is what puts on a checkpoint that was read last without.
 */

import { hash } from "node:crypto";
import { TASKS, uuid5 } from "@langchain/langgraph-checkpoint";
import type { Checkpoint, ChannelVersions } from "@langchain/langgraph-checkpoint";
import type { RunnableConfig } from "@langchain/core/runnables";
import type { Clock } from "../src/clock.ts";
import { keyOf } from "../src/ids.ts";
import type { FoundWrite } from "./dialect.ts";
import { isStepOfExit, stepOf, tailOf, tailsOf } from "./exit.ts";
import { CLOSED, NULL_TASK_ID, isTaskless, taskless, visibleWrites } from "./found-writes.ts";
import { isExit, isRunOf, loopOf } from "./loop.ts";

/** Latest reads that are remembered for those who cannot be recognised. */
const MAX_READS = 1_000;

/** Keys for a checkpoint within a thread, and among all. */
export function checkpointPlace(ns: string, checkpointId: string): string {
  return `${ns.length}:${ns}${checkpointId}`;
}
function placeOf(at: CheckpointAt): string {
  return `${at.threadId.length}:${at.threadId}${checkpointPlace(at.ns, at.checkpointId)}`;
}

export interface CheckpointAt {
  threadId: string;
  ns: string;
  checkpointId: string;
}

/** A checkpoint as it was read. */
export interface ReadCheckpoint {
  checkpoint: Checkpoint;
  step: number;
  writes: readonly FoundWrite[];
}

/** How a loop, or `updateState`, started from a checkpoint. */
interface Start {
  /** Branches of tasks' results that it found there. */
  found: ReadonlySet<number>;
  /** Branches in which it found writes of no task. */
  taskless: ReadonlySet<number>;
  /** It runs all tasks again: what it found of tasks is not for it. */
  anew: boolean;
  isRun: boolean;
  /** Channels of all that it found, and what of the checkpoint changes when tasks are taken for done. */
  channels: readonly Uint8Array[];
  marks: Marks | undefined;
  /** Of an "exit" invocation: the step of its first superstep, if it goes on from the checkpoint. */
  firstStep: number;
  /** And what it found of tasks, by the part of their ids that stays; true if they are the checkpoint's. */
  tails: ReadonlyMap<string, boolean>;
  /** Its own branches there, once it wrote. */
  own: number | undefined;
  ownTaskless: number | undefined;
  /** Writes of `updateState` so far, by task: it uses one task id for several updates. */
  updates: Map<string, number>;
}

/**
 * Whether it is the task for which `updateState` writes. Asked at every write, so LangGraph's `uuid5`,
 * which takes its time, has the last word only where Node's hash begins in the same way.
 */
function isUpdateTask(taskId: string, checkpointId: string): boolean {
  const name = Buffer.alloc(NAMESPACE_BYTES + UPDATE.length);
  name.write(checkpointId.replaceAll("-", ""), "hex");
  name.write(UPDATE, NAMESPACE_BYTES);
  return (
    taskId.startsWith(hash("sha1", name, "hex").slice(0, 8)) &&
    taskId === updateTaskOf(checkpointId)
  );
}

const UPDATE = "__interrupt__";
const NAMESPACE_BYTES = 16;

/** The task in whose name `updateState` writes on a checkpoint. */
export function updateTaskOf(checkpointId: string): string {
  return uuid5(UPDATE, checkpointId);
}

export class Branches {
  readonly #clock: Clock;
  readonly #starts = new WeakMap<object, Map<string, Start>>();
  /** The latest reads without a loop's object, by checkpoint: `updateState` reads, then writes. */
  readonly #reads = new Map<string, Start>();
  /** What the checkpoints that were read had consumed, by the configs of their parents. */
  readonly #siblings = new WeakMap<object, { consumed: readonly number[] | null }>();
  #latest = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A loop, or `updateState`, read this checkpoint to start from it. */
  read(
    config: RunnableConfig,
    at: CheckpointAt,
    { checkpoint, step, writes }: ReadCheckpoint,
    anew: boolean,
  ): void {
    const open = visibleWrites(writes).filter(({ branch }) => branch < CLOSED);
    const [taskless, found] = [open.filter(isTaskless), open.filter((write) => !isTaskless(write))];
    const isRun = isRunOf(config);
    const start: Start = {
      found: new Set(found.map(({ branch }) => branch)),
      taskless: new Set(taskless.map(({ branch }) => branch)),
      anew,
      isRun,
      channels: open.map(({ channel }) => channel),
      marks: open.length === 0 ? undefined : marksOf(checkpoint),
      firstStep: step + 1,
      tails: isExit(config) ? tailsOf(writes) : new Map(),
      own: undefined,
      ownTaskless: undefined,
      updates: new Map(),
    };
    const place = placeOf(at);
    this.#startsOf(config).set(place, start);
    if (config.metadata !== undefined) return;
    this.#reads.delete(place);
    this.#reads.set(place, start);
    if (this.#reads.size > MAX_READS) {
      const [oldest] = this.#reads.keys();
      if (oldest !== undefined) this.#reads.delete(oldest);
    }
  }

  /**
   * A checkpoint was read that had consumed this. `updateState` makes a copy of it by putting what it
   * read once more, with the very object that it was given for the parent's config.
   */
  readSibling(parentConfig: RunnableConfig, consumed: readonly number[] | null): void {
    this.#siblings.set(parentConfig, { consumed });
  }

  /**
   * The branch, and the first index, for writes of a task on a checkpoint. Undefined where they are
   * nobody's, and not to be stored.
   */
  forWrites(
    config: RunnableConfig,
    at: CheckpointAt,
    taskId: string,
    count: number,
  ): { branch: number; firstIndex: number } | undefined {
    const isUpdate = isUpdateTask(taskId, at.checkpointId);
    const start = this.#startOf(config, at, isUpdate);
    // The checkpoint's own loop, or nobody that is known.
    if (start === undefined) return { branch: this.#ofOwn(config, taskId), firstIndex: 0 };
    if (isUpdate) {
      // An "exit" invocation that got no further stores again what it found.
      if (start.isRun) return undefined;
      start.own ??= CLOSED + this.#next();
      const firstIndex = start.updates.get(taskId) ?? 0;
      start.updates.set(taskId, firstIndex + count);
      return { branch: start.own, firstIndex };
    }
    if (isExit(config) && isStepOfExit(taskId)) {
      // LangGraph stores all that it found as its own, also what a fork or new input dropped.
      const used = start.tails.get(tailOf(taskId));
      if (used === false || (used === true && stepOf(taskId) !== start.firstStep)) return undefined;
      start.own ??= CLOSED + this.#next();
      return { branch: start.own, firstIndex: 0 };
    }
    if (taskId === NULL_TASK_ID) {
      start.ownTaskless ??= this.#next();
      return { branch: start.ownTaskless, firstIndex: 0 };
    }
    const isLoop = start.isRun || config.metadata !== undefined;
    start.own ??= isLoop ? this.#next() : 0;
    return { branch: start.own, firstIndex: 0 };
  }

  /**
   * The branch for a task's writes on the checkpoint that the loop made. An "exit" invocation that got no
   * further than to fork stores there also what it had found where it forked from.
   */
  #ofOwn(config: RunnableConfig, taskId: string): number {
    if (!isExit(config)) return 0;
    // Apart from what tasks did: new input or answers replace it.
    if (taskId === NULL_TASK_ID) return this.#next();
    const starts = this.#starts.get(loopOf(config))?.values();
    const isFound = starts?.some(({ tails }) => tails.has(tailOf(taskId))) ?? false;
    return isFound ? CLOSED + this.#next() : 0;
  }

  /** What a child, put by this loop, consumed of its parent. */
  consumed(
    config: RunnableConfig,
    parent: CheckpointAt,
    child: { checkpoint: Checkpoint; source: string | undefined; newVersions: ChannelVersions },
  ): readonly number[] | null {
    const sibling = child.source === "fork" ? this.#siblings.get(config) : undefined;
    if (sibling !== undefined) return sibling.consumed;
    const start = this.#startOf(config, parent, false);
    if (start === undefined) return null;
    const consumed = new Set(
      child.source === "update" ? byUpdate(start, child) : byLoop(start, config, child.source),
    );
    return consumed.size === 1 && consumed.has(0) ? null : [...consumed].toSorted((a, b) => a - b);
  }

  /** @param always also where the checkpoint was not read before */
  #startOf(config: RunnableConfig, at: CheckpointAt, always: boolean): Start | undefined {
    const place = placeOf(at);
    const starts = this.#startsOf(config);
    let start = starts.get(place);
    if (start !== undefined) return start;
    const read = config.metadata === undefined ? this.#reads.get(place) : undefined;
    if (read !== undefined)
      start = { ...read, own: undefined, ownTaskless: undefined, updates: new Map() };
    else if (always) start = unread();
    if (start !== undefined) starts.set(place, start);
    return start;
  }

  #startsOf(config: RunnableConfig): Map<string, Start> {
    const loop = loopOf(config);
    let starts = this.#starts.get(loop);
    if (starts === undefined) {
      starts = new Map();
      this.#starts.set(loop, starts);
    }
    return starts;
  }

  /** Grows with time also across processes; unique within one. */
  #next(): number {
    this.#latest = Math.max(this.#latest + 1, this.#clock.now() * 1_000);
    return this.#latest;
  }
}

function unread(): Start {
  return {
    found: new Set(),
    taskless: new Set(),
    anew: false,
    isRun: false,
    channels: [],
    marks: undefined,
    firstStep: 0,
    tails: new Map(),
    own: undefined,
    ownTaskless: undefined,
    updates: new Map(),
  };
}

/** What a superstep, an input or a fork of a loop took. */
function byLoop(start: Start, config: RunnableConfig, source: string | undefined): number[] {
  const own = start.own === undefined ? [] : [start.own];
  // Input and resume values of its own replace those that it found. After a superstep of an "exit"
  // invocation, what it found is among what it stores itself.
  const isStored = !start.isRun || (isExit(config) && source === "loop");
  const inputs =
    start.ownTaskless === undefined ? (isStored ? [] : start.taskless) : [start.ownTaskless];
  const noted = [...inputs].map(taskless);
  if (isExit(config)) return [...own, ...noted];
  // New input drops what tasks had done so far.
  if (source === "input") return noted;
  return [...(start.anew ? [] : start.found), ...own, ...noted];
}

/** What `updateState` took. */
function byUpdate(
  start: Start,
  child: { checkpoint: Checkpoint; newVersions: ChannelVersions },
): number[] {
  const own = [start.own, start.ownTaskless].filter((branch) => branch !== undefined);
  const found = [...start.found, ...[...start.taskless].map(taskless)];
  return hasTaken(start, own.length > 0, child) ? [...own, ...found] : own;
}

/**
 * Whether an update goes on from what it found. That follows from how it read the checkpoint, but
 * another may have read it since; so where the child itself tells, that counts.
 */
function hasTaken(
  { anew, channels, found, marks }: Start,
  wrote: boolean,
  { checkpoint, newVersions }: { checkpoint: Checkpoint; newVersions: ChannelVersions },
): boolean {
  if (marks === undefined) return false;
  const { seen, sends } = marksOf(checkpoint);
  if (wrote) {
    if (found.size > 0 && seen !== marks.seen) return true;
    return !anew && (found.size === 0 || marks.sends > 0);
  }
  // As a node that wrote nothing, or to end it all (which alone makes versions), or just a copy.
  if (channels.some((channel) => isNew(channel, newVersions))) return true;
  return !anew && (seen !== marks.seen || sends !== marks.sends);
}

/** Whether it is a channel of the state that has a new version. */
function isNew(channel: Uint8Array, newVersions: ChannelVersions): boolean {
  return Object.keys(newVersions ?? {}).some(
    (name) => !name.startsWith("__pregel_") && Buffer.compare(keyOf(name), channel) === 0,
  );
}

interface Marks {
  /** What the nodes have seen: a node's task is done once it has seen what started it. */
  seen: string;
  /** How many tasks it sends: these leave no other trace. */
  sends: number;
}

function marksOf({ versions_seen, channel_values }: Checkpoint): Marks {
  const seen = Object.entries(versions_seen ?? {}).filter(([, of]) => Object.keys(of).length > 0);
  const sends: unknown = channel_values?.[TASKS];
  return { seen: JSON.stringify(seen), sends: Array.isArray(sends) ? sends.length : 0 };
}
