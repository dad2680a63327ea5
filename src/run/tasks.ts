/**
 * Where a thread stands: the tasks of its next superstep, and those of the subgraphs inside them.
 *
 * `getState().next` does not tell this reliably (it is empty while a task waits for its second
 * answer), and its `tasks` keep the interrupts of tasks that have finished since. So each task is
 * judged by its pending writes.
 */

import type { RunnableConfig } from "@langchain/core/runnables";
import {
  ERROR,
  INTERRUPT,
  RESUME,
  SCHEDULED,
  copyCheckpoint,
} from "@langchain/langgraph-checkpoint";
import type {
  BaseCheckpointSaver,
  CheckpointPendingWrite,
  CheckpointTuple,
} from "@langchain/langgraph-checkpoint";
import { withSaver, type RunnableGraph } from "./graph.ts";
import { withLeaseOf } from "../step-store.ts";
import { viewOf } from "./view.ts";

export interface Question {
  /** Of LangGraph's interrupt; an answer names it. Absent in very old checkpoints. */
  id: string | undefined;
  value: unknown;
  node: string;
  /** How many answers the task already had when it asked. */
  answered: number;
}

export interface Task {
  id: string;
  name: string;
  /** It has finished; only its siblings are awaited. */
  done: boolean;
  /** It has written something, be it an error or a question: it was let run. */
  began: boolean;
  error: string | undefined;
  question: Question | undefined;
  /** Where its subgraphs stand, for those that have a checkpoint. */
  levels: Level[];
}

/** One graph at one checkpoint: the root, or a subgraph inside a task. */
export interface Level {
  namespace: string;
  graph: RunnableGraph;
  tuple: CheckpointTuple;
  values: Record<string, unknown>;
  tasks: Task[];
}

/** The "task" under which LangGraph keeps a `resume` value that names no question. */
export const NULL_TASK = "00000000-0000-0000-0000-000000000000";

const NOT_RESULTS: ReadonlySet<string> = new Set([
  ERROR,
  INTERRUPT,
  RESUME,
  SCHEDULED,
  "__error_source_node__",
]);

/**
 * Undefined for a thread, or a checkpoint, that does not exist.
 * @param at.leased the config of the run that reads where it has got to
 */
export async function readLevel(
  graph: RunnableGraph,
  saver: BaseCheckpointSaver,
  threadId: string,
  at: { checkpointId?: string | undefined; namespace?: string; leased?: RunnableConfig } = {},
): Promise<Level | undefined> {
  const namespace = at.namespace ?? "";
  const place: RunnableConfig = {
    configurable: {
      thread_id: threadId,
      checkpoint_ns: namespace,
      ...(at.checkpointId === undefined ? {} : { checkpoint_id: at.checkpointId }),
    },
  };
  const config = at.leased === undefined ? place : withLeaseOf(place, at.leased);
  const tuple = await saver.getTuple(config);
  if (tuple === undefined) return undefined;
  const view = showing(saver, tuple, namespace);
  const snapshot = await withSaver(graph, view).getState(
    namespace === "" ? config : withCheckpointer(config, view),
  );
  const writes = tuple.pendingWrites ?? [];
  const tasks: Task[] = [];
  for (const { id, name } of snapshot.tasks) {
    const levels = await readSubgraphs(graph, saver, threadId, namespace, { id, name });
    tasks.push(judge(id, name, writes, levels));
  }
  const values = snapshot.values as Record<string, unknown>;
  return { namespace, graph, tuple, values, tasks };
}

/** A saver that need not read again what was just read. */
function showing(
  saver: BaseCheckpointSaver,
  tuple: CheckpointTuple,
  namespace: string,
): BaseCheckpointSaver {
  return viewOf(saver, (config) => {
    const { checkpoint_ns: ns = "", checkpoint_id: id } = config.configurable ?? {};
    if (ns !== namespace || (id !== undefined && id !== tuple.checkpoint.id)) {
      return saver.getTuple(config);
    }
    // LangGraph applies pending writes to what it is given.
    return Promise.resolve({ ...tuple, checkpoint: copyCheckpoint(tuple.checkpoint) });
  });
}

/** LangGraph takes the saver from here when it reads the state of a subgraph. */
function withCheckpointer(config: RunnableConfig, saver: BaseCheckpointSaver): RunnableConfig {
  return { configurable: { ...config.configurable, __pregel_checkpointer: saver } };
}

async function readSubgraphs(
  graph: RunnableGraph,
  saver: BaseCheckpointSaver,
  threadId: string,
  parent: string,
  task: { id: string; name: string },
): Promise<Level[]> {
  const levels: Level[] = [];
  for await (const [name, subgraph] of graph.getSubgraphsAsync()) {
    if (name !== task.name) continue;
    const own = `${parent === "" ? "" : `${parent}|`}${name}:${task.id}`;
    // A subgraph with `checkpointer: true` keeps one history for all its runs.
    const namespace = subgraph.checkpointer === true ? own.replaceAll(/:[^|]*/g, "") : own;
    const level = await readLevel(withSaver(subgraph, saver), saver, threadId, { namespace });
    if (level !== undefined) levels.push(level);
  }
  return levels;
}

/** Whether a task's result is among the writes: one of the graph, or one that a task of it calls. */
export function hasResult(writes: readonly CheckpointPendingWrite[], id: string): boolean {
  return writes.some(([task, channel]) => task === id && !NOT_RESULTS.has(channel));
}

function judge(
  id: string,
  name: string,
  writes: readonly CheckpointPendingWrite[],
  levels: Level[],
): Task {
  const own = writes.filter(([task]) => task === id);
  const done = hasResult(own, id);
  const find = (channel: string): unknown => own.find(([, each]) => each === channel)?.[2];
  const asked = done
    ? undefined
    : (find(INTERRUPT) as { id?: string; value?: unknown } | undefined);
  const error = done ? undefined : (find(ERROR) as { message?: unknown } | undefined);
  return {
    id,
    name,
    done,
    began: own.length > 0 || levels.some((level) => level.tasks.length > 0),
    error: error === undefined ? undefined : textOf(error.message),
    question:
      asked === undefined
        ? undefined
        : { id: asked.id, value: asked.value, node: name, answered: answersOf(own).length },
    levels: done ? [] : levels,
  };
}

function textOf(message: unknown): string {
  return typeof message === "string" ? message : "unknown error";
}

/** The answers that a task has taken so far. */
function answersOf(writes: readonly CheckpointPendingWrite[]): unknown[] {
  return writes.filter(([, channel]) => channel === RESUME).flatMap(([, , value]) => value);
}

/** This level and all inside it. */
export function* allLevels(level: Level): Generator<Level> {
  yield level;
  for (const task of level.tasks) for (const inner of task.levels) yield* allLevels(inner);
}

/**
 * Questions that wait for a person. A subgraph's question stands at every level above it too: the
 * innermost task that asks it knows best how often it was answered.
 */
export function questionsOf(level: Level): Question[] {
  const found = new Map<string, Question>();
  for (const each of allLevels(level)) {
    for (const { id, question } of each.tasks) {
      if (question !== undefined) found.set(question.id ?? id, question);
    }
  }
  return [...found.values()];
}

/**
 * True when going on would only ask the same questions again. A task that has taken answers, or
 * failed, may have died behind its question: running it up to there is the way to find out.
 */
export function mustBeAnswered(level: Level): boolean {
  const fresh = ({ tasks }: Level): boolean =>
    // With all of them done, a process died before the checkpoint that their results make.
    (tasks.length === 0 || tasks.some(({ done }) => !done)) &&
    tasks.every(
      ({ done, question, error, levels }) =>
        done || (question?.answered === 0 && error === undefined && levels.every(fresh)),
    );
  const given = level.tuple.pendingWrites?.some(
    ([task, channel]) => channel === RESUME && task === NULL_TASK,
  );
  return given !== true && fresh(level);
}

/** True when the thread has come to its end, and only new input goes on. */
export function isFinished(level: Level): boolean {
  return level.tasks.length === 0;
}

export function errorsOf(level: Level): { node: string; message: string }[] {
  return level.tasks.flatMap(({ name, error }) =>
    error === undefined ? [] : [{ node: name, message: error }],
  );
}
