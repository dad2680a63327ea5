/** Everything that a thread holds, in a form that two runs of a script must agree on. */

import type { StateSnapshot } from "@langchain/langgraph";
import {
  compareChannelVersions,
  WRITES_IDX_MAP,
  type ChannelVersions,
  type CheckpointPendingWrite,
  type CheckpointTuple,
} from "@langchain/langgraph-checkpoint";
import { canonical, sorted } from "./canonical.ts";
import { isDelta } from "./case.ts";
import { storedValue, unordered } from "./channels.ts";
import { UPDATE_TASK, updateTaskOf, type Labels } from "./labels.ts";
import { allNodes, innerLayout, type Channel, type Layout } from "./layout.ts";
import { STUB_STEP } from "./recorder.ts";
import type { Run } from "./run.ts";
import type { Outcome } from "./script.ts";

export type Json = Record<string, unknown>;

export interface Detail {
  /** Tuples as the saver gives them: not with delta channels, where the oracle stores other things. */
  tuples: boolean;
}

/** A thread: namespace by namespace, checkpoint by checkpoint. */
export async function dumpThread(run: Run, threadId: string, detail: Detail): Promise<Json> {
  const labels = await run.labels(threadId);
  const names = deltaNames(run.layout);
  const namespaces = [...new Set(labels.puts.map(({ ns }) => ns))];
  const out: Json = { checkpoints: labels.puts.map(({ label }) => label) };
  for (const ns of namespaces) {
    const nsLabel = labels.rename(ns);
    const states: Json = {};
    for (const snapshot of await run.snapshots(threadId, ns)) {
      if (snapshot.metadata?.step === STUB_STEP) continue;
      const id = snapshot.config.configurable?.["checkpoint_id"] as unknown;
      states[String(labels.of(id))] = state(snapshot, labels, names, detail);
    }
    out[`states of "${nsLabel}"`] = byKey(states);
    if (detail.tuples) out[`tuples of "${nsLabel}"`] = await tuples(run, threadId, ns, labels);
    const inner = ns === "" ? undefined : innerLayout(run.layout, ns);
    const deltas = inner?.channels.filter(({ spec }) => isDelta(spec.kind)) ?? [];
    if (deltas.length > 0)
      out[`deltas of "${nsLabel}"`] = await innerDeltas(run, threadId, ns, { deltas, labels });
  }
  try {
    const config = { configurable: { thread_id: threadId } };
    const head = await run.graph.getState(config, { subgraphs: true });
    out["head"] = state(head, labels, names, detail);
  } catch (error) {
    // LangGraph applies the writes of finished tasks to show the head, and they may be in conflict.
    out["head"] = failure(error, labels, detail);
  }
  return out;
}

export function dumpOutcome(
  outcome: Outcome,
  labels: Labels,
  layout: Layout,
  detail: Detail,
): unknown {
  if ("together" in outcome) {
    return outcome.together.map((inner) => dumpOutcome(inner, labels, layout, detail));
  }
  if ("error" in outcome) return failure(outcome.error, labels, detail);
  const { ok } = outcome;
  return typeof ok === "object" && ok !== null
    ? values(ok as Json, labels, deltaNames(layout))
    : ok;
}

function failure(error: unknown, labels: Labels, detail: Detail): Json {
  const { name, message } = error as Error;
  if (name === "AggregateError") return { failed: name };
  // Messages may quote values, whose order is chance in a delta channel.
  return detail.tuples
    ? { failed: name, message: labels.rename(message).slice(0, 300) }
    : { failed: name };
}

interface DeltaNames {
  root: ReadonlySet<string>;
  inner: ReadonlySet<string>;
}

function deltaNames(layout: Layout): DeltaNames {
  const inner = allNodes(layout).flatMap((node) => (node.inner ? [node.inner] : []));
  const names = (layouts: readonly Layout[]): ReadonlySet<string> => {
    const channels = layouts.flatMap((one) => one.channels);
    return new Set(channels.filter(({ spec }) => isDelta(spec.kind)).map(({ name }) => name));
  };
  return { root: names([layout]), inner: names(inner) };
}

function values(source: Json, labels: Labels, delta: DeltaNames): Json {
  const out: Json = {};
  for (const [key, value] of Object.entries(source)) {
    // LangGraph shows a subgraph's state without asking the saver, so without its delta channels.
    if (delta.inner.has(key)) continue;
    if (delta.root.has(key)) out[key] = unordered(value);
    else if (key === "__interrupt__") out[key] = anyOrder(value as unknown[], labels);
    else out[key] = value;
  }
  return sorted(out, labels.rename);
}

function state(snapshot: StateSnapshot, labels: Labels, delta: DeltaNames, detail: Detail): Json {
  const { next, tasks, metadata, parentConfig, config } = snapshot;
  const out: Json = {
    values: values((snapshot.values ?? {}) as Json, labels, delta),
    next,
    tasks: tasks.map((task) => {
      const inner = task.state;
      return {
        name: task.name,
        path: task.path,
        interrupts: anyOrder(task.interrupts, labels),
        error: canonical(task.error ?? null, labels.rename),
        result: detail.tuples ? canonical(task.result ?? null, labels.rename) : null,
        state:
          inner === undefined
            ? null
            : "values" in inner
              ? state(inner, labels, delta, detail)
              : canonical({ ...inner.configurable, thread_id: null }, labels.rename),
      };
    }),
  };
  const parent = labels.of(parentConfig?.configurable?.["checkpoint_id"]);
  // Unknown is the one checkpoint that is not labelled, of step STUB_STEP: as good as none.
  out["parent"] = parent === "?" && !detail.tuples ? null : parent;
  if (detail.tuples) {
    out["map"] = canonical(config.configurable?.["checkpoint_map"] ?? null, labels.rename);
    out["metadata"] = sorted({ ...metadata, thread_id: null }, labels.rename);
  }
  return out;
}

/**
 * The delta channels of a subgraph, rebuilt from what the saver holds, as the subgraph's own runs do:
 * `getState` does not ask the saver for them (`_prepareStateSnapshot` knows only the graph's own).
 */
async function innerDeltas(
  run: Run,
  threadId: string,
  ns: string,
  { deltas, labels }: { deltas: readonly Channel[]; labels: Labels },
): Promise<Json> {
  const out: Json = {};
  const names = deltas.map(({ name }) => name);
  const place = { configurable: { thread_id: threadId, checkpoint_ns: ns } };
  for await (const { config, checkpoint, metadata } of run.saver.list(place)) {
    if (metadata?.step === STUB_STEP) continue;
    const { channel_values: stored } = checkpoint;
    const missing = names.filter((name) => !Object.hasOwn(stored, name));
    const histories = await run.saver.getDeltaChannelHistory({ config, channels: missing });
    const values = deltas.map(({ name, spec }): [string, unknown] => {
      const history = histories[name];
      return [name, unordered(storedValue(spec, history ?? { writes: [], seed: stored[name] }))];
    });
    out[String(labels.of(checkpoint.id))] = sorted(Object.fromEntries(values), labels.rename);
  }
  return byKey(out);
}

/** What the saver lists and what it gets one by one must be the same. */
async function tuples(run: Run, threadId: string, ns: string, labels: Labels): Promise<Json> {
  const listed: Json = {};
  let previous = "\uffff";
  for await (const found of run.saver.list({
    configurable: { thread_id: threadId, checkpoint_ns: ns },
  })) {
    const id = found.checkpoint.id;
    if (id >= previous) throw new Error(`list gives ${id} after ${previous}`);
    previous = id;
    listed[String(labels.of(id))] = tuple(found, labels);
  }
  for (const put of labels.puts) {
    if (put.ns !== ns) continue;
    const got = await run.saver.getTuple({
      configurable: { thread_id: threadId, checkpoint_ns: ns, checkpoint_id: put.id },
    });
    const one = got === undefined ? "missing" : tuple(got, labels);
    if (JSON.stringify(one) !== JSON.stringify(listed[put.label])) {
      listed[`${put.label}, read alone`] = one;
    }
  }
  return byKey(listed);
}

function tuple(
  { checkpoint, metadata, parentConfig, pendingWrites }: CheckpointTuple,
  labels: Labels,
): Json {
  const rank = ranks(checkpoint.channel_versions, checkpoint.versions_seen);
  return {
    values: sorted(checkpoint.channel_values, labels.rename),
    versions: ranked(checkpoint.channel_versions, rank),
    seen: byKey(
      Object.fromEntries(
        Object.entries(checkpoint.versions_seen).map(([node, seen]) => [node, ranked(seen, rank)]),
      ),
    ),
    metadata: sorted({ ...metadata }, labels.rename),
    parent: labels.of(parentConfig?.configurable?.["checkpoint_id"]),
    writes: writesByTask(checkpoint.id, pendingWrites ?? [], labels),
  };
}

type Version = ChannelVersions[string];

/** Versions differ between savers; which of them are equal, and their order, must not. */
function ranks(own: ChannelVersions, seen: Record<string, ChannelVersions>): Map<Version, number> {
  const all = new Set([own, ...Object.values(seen)].flatMap((versions) => Object.values(versions)));
  return new Map([...all].sort(compareChannelVersions).map((version, rank) => [version, rank]));
}

function ranked(versions: ChannelVersions, rank: ReadonlyMap<Version, number>): Json {
  return byKey(
    Object.fromEntries(
      Object.entries(versions).map(([name, version]) => [name, rank.get(version)]),
    ),
  );
}

/**
 * A task's writes in their order; special ones apart, whose place among the others is free.
 *
 * Not those of `updateState`: LangGraph gives all updates of a checkpoint one task id, and which of
 * them the checkpoint then shows is part of no state. (Delta channels prove that none is lost.)
 */
function writesByTask(
  checkpointId: string,
  writes: readonly CheckpointPendingWrite[],
  labels: Labels,
): unknown[] {
  // A checkpoint of step STUB_STEP has no label, nor have its tasks.
  const updateTask = updateTaskOf(checkpointId);

  const tasks = new Map<string, { plain: unknown[]; special: unknown[] }>();
  for (const [task, channel, value] of writes) {
    if (task === updateTask || labels.of(task)?.endsWith(UPDATE_TASK)) continue;
    const group = tasks.get(task) ?? { plain: [], special: [] };
    tasks.set(task, group);
    const write = [channel, canonical(value, labels.rename)];
    (channel in WRITES_IDX_MAP ? group.special : group.plain).push(write);
  }
  return [...tasks]
    .map(([task, { plain, special }]) => ({
      task: labels.of(task),
      plain,
      special: anyOrder(special, labels),
    }))
    .map((group): [string, unknown] => [JSON.stringify(group), group])
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, group]) => group);
}

function anyOrder(list: readonly unknown[], labels: Labels): unknown[] {
  return list
    .map((item) => canonical(item, labels.rename))
    .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

function byKey(source: Json): Json {
  return Object.fromEntries(Object.entries(source).sort(([a], [b]) => (a < b ? -1 : 1)));
}
