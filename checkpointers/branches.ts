/**
 * Which pending writes went into which child.
 *
 * Several loops may start from one checkpoint: a run and its replays, `updateState`, concurrent runs.
 * Each leaves its writes there and then a child checkpoint; LangGraph's contract does not say whose
 * are whose, and a `DeltaChannel` that is read through a fork needs to know. So writes carry a branch:
 *
 *   0      the main flow: writes on a checkpoint by the loop that made it, or by one that resumed it
 *   else   a number of its own for each loop that came later; later loops have larger numbers
 *
 * and each child remembers the branches of its parent that it consumed (null stands for branch 0; of
 * a branch that is noted as -1 - n it took only what no task wrote: input and resume values).
 * A loop is recognised by an object that LangGraph hands along with every call of it: its config's
 * metadata, or for `updateState` the config itself.
 */

import { uuid5 } from "@langchain/langgraph-checkpoint";
import type { RunnableConfig } from "@langchain/core/runnables";
import type { Clock } from "../src/clock.ts";
import type { FoundWrite } from "./dialect.ts";

/** The task that LangGraph uses for writes that no task made: input, resume values. */
export const NULL_TASK_ID = "00000000-0000-0000-0000-000000000000";

const NULL_TASK_KEY = Buffer.from(NULL_TASK_ID);

/** Keys for a namespace of a thread, and for a checkpoint within a thread. */
export function namespacePlace(threadId: string, ns: string): string {
  return `${threadId.length}:${threadId}${ns}`;
}
export function checkpointPlace(ns: string, checkpointId: string): string {
  return `${ns.length}:${ns}${checkpointId}`;
}

interface Start {
  /** Branches whose writes the loop found there and goes on from. */
  found: ReadonlySet<number>;
  /** The loop's own branch there, once it wrote. */
  own: number | undefined;
  /** It runs all tasks again, and takes of what it found only what no task wrote. */
  anew: boolean;
  /** Branches in which it found such writes. */
  taskless: ReadonlySet<number>;
  /** Writes of `updateState` so far, by task: it uses one task id for several updates. */
  updates: Map<string, number>;
}

/** The object by which a loop is recognised: all its calls have the same one. */
export function loopOf(config: RunnableConfig): object {
  return config.metadata ?? config;
}

export class Branches {
  readonly #clock: Clock;
  readonly #starts = new WeakMap<object, Map<string, Start>>();
  /** How the latest read of a namespace was asked for; `updateState` reads, then writes. */
  readonly #lastRead = new Map<string, Start & { checkpoint: string }>();
  #latest = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A loop, or `updateState`, read this checkpoint to start from it. */
  read(
    config: RunnableConfig,
    place: string,
    checkpoint: string,
    anew: boolean,
    writes: readonly FoundWrite[],
  ): void {
    const taskless = writes.filter(({ task }) => NULL_TASK_KEY.equals(task));
    const start: Start = {
      found: new Set(writes.map((write) => write.branch)),
      own: undefined,
      anew,
      taskless: new Set(taskless.map((write) => write.branch)),
      updates: new Map(),
    };
    this.#startsOf(config).set(checkpoint, start);
    this.#lastRead.delete(place);
    this.#lastRead.set(place, { ...start, checkpoint });
    if (this.#lastRead.size > 1_000) {
      const [oldest] = this.#lastRead.keys();
      if (oldest !== undefined) this.#lastRead.delete(oldest);
    }
  }

  /** The branch, and the first index, for writes of a task on a checkpoint. */
  forWrites(
    config: RunnableConfig,
    place: string,
    checkpoint: string,
    checkpointId: string,
    taskId: string,
    count: number,
  ): { branch: number; firstIndex: number } {
    const starts = this.#startsOf(config);
    let start = starts.get(checkpoint);
    const isUpdate = taskId === uuid5("__interrupt__", checkpointId);
    if (isUpdate && (start === undefined || start.own === undefined)) {
      const last = this.#lastRead.get(place);
      start = {
        found: last?.found ?? new Set(),
        own: this.#next(),
        anew: last?.anew ?? false,
        taskless: new Set(),
        updates: new Map(),
      };
      starts.set(checkpoint, start);
    }
    if (start === undefined) {
      // Not a loop of LangGraph's: it goes on with what the latest read of the checkpoint found.
      const last = this.#lastRead.get(place);
      const found = last?.checkpoint === checkpoint ? last.found : undefined;
      return { branch: found?.size ? Math.min(...found) : 0, firstIndex: 0 };
    }
    start.own ??= start.anew || start.found.size === 0 ? this.#next() : Math.min(...start.found);
    if (taskId === NULL_TASK_ID && !start.anew && start.found.size > 0) {
      // There the latest write counts, so it goes where the latest is.
      return { branch: Math.max(...start.found), firstIndex: 0 };
    }
    if (!isUpdate) return { branch: start.own, firstIndex: 0 };
    const firstIndex = start.updates.get(taskId) ?? 0;
    start.updates.set(taskId, firstIndex + count);
    return { branch: start.own, firstIndex };
  }

  /** What a child, put by this loop, consumed of its parent. */
  consumed(config: RunnableConfig, parent: string, source: string): readonly number[] | null {
    const start = this.#startsOf(config).get(parent);
    if (start === undefined) return null;
    const consumed = new Set(start.anew ? [...start.taskless].map(taskless) : start.found);
    if (start.own !== undefined) consumed.add(start.own);
    // New input drops what tasks had done so far.
    if (source === "input")
      return [...consumed].map((branch) => (branch < 0 ? branch : taskless(branch)));
    return consumed.size === 1 && consumed.has(0) ? null : [...consumed].toSorted((a, b) => a - b);
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

/**
 * One write for each task and index: the first one stays (a task's result is never replaced), except
 * for special channels and for writes without a task, where the latest counts.
 */
export function visibleWrites<W extends FoundWrite>(writes: readonly W[]): W[] {
  const visible: W[] = [];
  for (const write of writes) {
    const last = visible.at(-1);
    const same =
      last !== undefined && last.idx === write.idx && Buffer.compare(last.task, write.task) === 0;
    if (!same) visible.push(write);
    else if (write.idx < 0 || NULL_TASK_KEY.equals(write.task)) visible[visible.length - 1] = write;
  }
  return visible;
}

/** How a child notes that it took of a branch only what no task wrote. */
function taskless(branch: number): number {
  return -1 - branch;
}

/** Whether a child that noted these branches took a write of its parent. */
export function tookWrite(consumed: readonly number[] | null, write: FoundWrite): boolean {
  if (consumed === null) return write.branch === 0;
  return (
    consumed.includes(write.branch) ||
    (NULL_TASK_KEY.equals(write.task) && consumed.includes(taskless(write.branch)))
  );
}

/**
 * Whether a read is that of a loop which will run all tasks of the checkpoint again, whatever writes it
 * finds: LangGraph decides by the mere presence of a checkpoint id in a run's config (which those of
 * subgraphs always have), and for `updateState` by its value.
 */
export function runsAnew(config: RunnableConfig): boolean {
  const configurable = config.configurable ?? {};
  const isRun = config.recursionLimit !== undefined;
  return isRun ? "checkpoint_id" in configurable : configurable["checkpoint_id"] !== undefined;
}
