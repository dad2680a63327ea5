/**
 * A run that was begun under one version of its graph goes on under another one: whether it may.
 *
 * LangGraph says nothing about it. It ignores what a checkpoint holds for nodes that the graph does not
 * have, so such a node is skipped; and it gives a node that is reached in another way another task,
 * so what the old task wrote is lost, and its node runs again. Both are found here, before.
 */

import type { RunnableConfig } from "@langchain/core/runnables";
import { ERROR, TASKS } from "@langchain/langgraph-checkpoint";
import { GraphChangedError } from "../errors.ts";
import type { EffectRow } from "../effect-store.ts";
import type { DurableSaver } from "../step-store.ts";
import { ANSWERS } from "./answers.ts";
import type { RunnableGraph } from "./graph.ts";
import { failureOf } from "./take-back.ts";
import { NULL_TASK, allLevels, readLevel, type Level } from "./tasks.ts";

/** A thread whose run was begun under another version of its graph. */
export interface ChangedThread {
  threadId: string;
  runId: string;
  values: Record<string, unknown>;
  /** The nodes that were to run next, also those that the graph does not have any more. */
  next: string[];
  /** Fingerprints. */
  from: string;
  to: string;
}

/** What a thread becomes: `values` update its state as if the node `asNode` had just run. */
export interface MigratedThread {
  values?: unknown;
  asNode: string;
}

/**
 * What becomes of a run that was begun under another version of its graph.
 *
 * - "continue": it goes on, unless a node would be skipped or run again; then it waits for a person
 * - "pin": it is left to workers that have its version
 * - "refuse": it waits for a person
 * - `migrate`: the function says where in the new graph it stands; undefined: as "continue"
 */
export type GraphChangePolicy = "continue" | "pin" | "refuse" | Migration;

export interface Migration {
  migrate(thread: ChangedThread): MigratedThread | undefined | Promise<MigratedThread | undefined>;
}

/** A graph as workers have it. */
export interface HostedGraph {
  graph: RunnableGraph;
  fingerprint: string;
  onChange: GraphChangePolicy;
}

/** Named by a checkpoint that a migration wrote. */
const MIGRATED_TO = "holdfast_migrated_to";

const TRIGGER = "branch:to:";
const JOIN = "join:";
const MANY = 1_000;

/**
 * Settles once the run may go on where it stands.
 * @returns where it stands then
 * @throws {GraphChangedError} it may not
 */
export async function adaptRun(
  thread: { threadId: string; runId: string; from: string; config: RunnableConfig },
  { graph, fingerprint, onChange }: HostedGraph,
  saver: DurableSaver,
  level: Level,
): Promise<Level> {
  const { threadId, runId, from, config } = thread;
  const refuse = (why: string): never => {
    throw new GraphChangedError(runId, from, fingerprint, why);
  };
  if (onChange === "refuse") refuse("such runs are to be looked at by a person");
  let now = level;
  const { metadata } = level.tuple as { metadata?: Record<string, unknown> };
  if (typeof onChange === "object" && metadata?.[MIGRATED_TO] !== fingerprint) {
    const migrated = await ask(onChange, thread, graph, fingerprint, level).catch(
      (error: unknown) => refuse(`its migration failed (${failureOf(error).message})`),
    );
    if (migrated !== undefined) {
      const { values = {}, asNode } = migrated;
      if (graph.nodes[asNode] === undefined) {
        refuse(`its migration names the node "${asNode}", which is not in the graph`);
      }
      const metadata = { ...config.metadata, [MIGRATED_TO]: fingerprint };
      await graph.updateState({ ...config, metadata }, values, asNode);
      now = (await readLevel(graph, saver, threadId)) ?? now;
    }
  }
  const found = await saver.steps.effects?.list({
    threadId,
    states: ["claimed", "unknown", "recorded"],
    limit: MANY,
  });
  const why = unsafe(now, found ?? []);
  if (why !== undefined) refuse(why);
  return now;
}

async function ask(
  migration: Migration,
  { threadId, runId, from }: { threadId: string; runId: string; from: string },
  graph: RunnableGraph,
  to: string,
  level: Level,
): Promise<MigratedThread | undefined> {
  const { values } = await graph.getState({ configurable: { thread_id: threadId } });
  const state = values as Record<string, unknown>;
  return migration.migrate({ threadId, runId, values: state, next: nextOf(level), from, to });
}

/** What going on from here would skip or do again; undefined where nothing. */
export function unsafe(level: Level, effects: readonly EffectRow[]): string | undefined {
  for (const each of allLevels(level)) {
    const why = skipped(each) ?? repeated(each);
    if (why !== undefined) return why;
  }
  const tasks = new Set<string>();
  const nodes = new Set<string>();
  for (const each of allLevels(level)) {
    for (const { id, name } of each.tasks) {
      tasks.add(id);
      nodes.add(name);
    }
  }
  const root = level.tuple.checkpoint.id;
  const left = effects.find(({ place, state }) => {
    if (place.rootCheckpointId !== root) return false;
    if (place.taskId !== undefined) return !tasks.has(place.taskId);
    return state !== "recorded" && !nodes.has(place.node);
  });
  return left && `effect "${left.name}" of its node "${left.place.node}" would be done again`;
}

/** A node that was to run, and that the graph does not have, or does not reach in this way. */
function skipped({ tuple, graph }: Level): string | undefined {
  const { channel_values: values } = tuple.checkpoint;
  const channels = channelsOf(graph);
  const waiting = Object.entries(values).filter(([, value]) => !isEmptyJoin(value));
  const written = (tuple.pendingWrites ?? []).map(([, channel]) => channel);
  for (const channel of [...waiting.map(([name]) => name), ...written]) {
    if (!isTrigger(channel) || channels.has(channel)) continue;
    return channel.startsWith(TRIGGER)
      ? `its node "${channel.slice(TRIGGER.length)}" was to run, and is not in the graph`
      : `its nodes "${channel.slice(JOIN.length)}" were to be joined, and are not joined like this in the graph`;
  }
  const gone = sendsOf(tuple).find((node) => graph.nodes[node] === undefined);
  return gone && `its node "${gone}" was to run, and is not in the graph`;
}

/** A task that has written something, and that the graph would not run under the same id. */
function repeated({ tuple, tasks }: Level): string | undefined {
  const known = new Set([NULL_TASK, ...tasks.map(({ id }) => id)]);
  const lost = (tuple.pendingWrites ?? []).find(
    ([task, channel]) => !known.has(task) && channel !== ERROR && channel !== ANSWERS,
  );
  return lost && "what a node of its has done already would be done again";
}

function nextOf({ tuple, tasks }: Level): string[] {
  const triggered = Object.keys(tuple.checkpoint.channel_values)
    .filter((name) => name.startsWith(TRIGGER))
    .map((name) => name.slice(TRIGGER.length));
  return [...new Set([...triggered, ...sendsOf(tuple), ...tasks.map(({ name }) => name)])];
}

function sendsOf({ checkpoint }: Level["tuple"]): string[] {
  const sends = (checkpoint.channel_values[TASKS] ?? []) as { node?: string }[];
  return sends.flatMap(({ node }) => node ?? []);
}

function isTrigger(channel: string): boolean {
  return channel.startsWith(TRIGGER) || channel.startsWith(JOIN);
}

/** A join that nobody has reached yet. */
function isEmptyJoin(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

function channelsOf(graph: RunnableGraph): ReadonlySet<string> {
  return new Set(Object.keys((graph as { channels?: object }).channels ?? {}));
}
