/** The kinds of channels that random graphs have, and their reducers. */

import {
  Annotation,
  DeltaChannel,
  messagesDeltaReducer,
  messagesStateReducer,
} from "@langchain/langgraph";
import type { BaseMessage } from "@langchain/core/messages";
import type { DeltaChannelHistory } from "@langchain/langgraph-checkpoint";
import { canonical } from "./canonical.ts";
import { isDelta, type ChannelKind, type ChannelSpec } from "./case.ts";

export type Items = unknown[];
export type Files = Record<string, unknown>;
export type Tree = { [key: string]: Tree | Items | string | number };

/** Lists stay short: subgraphs write what they read, so that lists would double at every visit. */
const MAX_ITEMS = 24;
const MAX_TEXT = 6_000;

function append(left: Items, right: Items): Items {
  return left.concat(right).slice(-MAX_ITEMS);
}

/** What users write when they don't know better: the same array, changed. */
function appendInPlace(left: Items, right: Items): Items {
  left.push(...right);
  if (left.length > MAX_ITEMS) left.splice(0, left.length - MAX_ITEMS);
  return left;
}

function merge(left: Files, right: Files): Files {
  return withoutNulls({ ...left, ...right });
}

function mergeInPlace(left: Files, right: Files): Files {
  return withoutNulls(Object.assign(left, right));
}

function withoutNulls(files: Files): Files {
  for (const key of Object.keys(files)) if (files[key] === null) delete files[key];
  return files;
}

function deepMerge(left: Tree, right: Tree): Tree {
  const out = { ...left };
  for (const key of Object.keys(right)) out[key] = deepValue(left[key], right[key], deepMerge);
  return out;
}

function deepMergeInPlace(left: Tree, right: Tree): Tree {
  for (const key of Object.keys(right))
    left[key] = deepValue(left[key], right[key], deepMergeInPlace);
  return left;
}

type Value = Tree[string];
function deepValue(
  left: Value | undefined,
  right: Value | undefined,
  inner: (l: Tree, r: Tree) => Tree,
): Value {
  return isTree(left) && isTree(right) ? inner(left, right) : (right as Value);
}

function isTree(value: Value | undefined): value is Tree {
  return typeof value === "object" && !Array.isArray(value);
}

const appendBatch = (state: Items, writes: Items[]): Items => state.concat(writes.flat());
const mergeBatch = (state: Files, writes: Files[]): Files =>
  Object.assign({}, state, ...writes) as Files;

/** The channel as LangGraph wants it; delta channels as plain reducers for the oracle. */
export function channelOf(spec: ChannelSpec, deltaAsPlain: boolean): unknown {
  const { kind, snapshotFrequency } = spec;
  if (isDelta(kind) && !deltaAsPlain) return deltaChannel(kind, snapshotFrequency);
  switch (kind) {
    case "last":
      return Annotation<unknown>();
    case "append":
      return Annotation<Items>({ reducer: append, default: () => [] });
    case "appendInPlace":
      return Annotation<Items>({ reducer: appendInPlace, default: () => [] });
    case "merge":
      return Annotation<Files>({ reducer: merge, default: () => ({}) });
    case "mergeInPlace":
      return Annotation<Files>({ reducer: mergeInPlace, default: () => ({}) });
    case "sum":
      return Annotation<number>({ reducer: (a, b) => (a + b) % 1_000, default: () => 0 });
    case "nested":
      return Annotation<Tree>({ reducer: deepMerge, default: () => ({}) });
    case "nestedInPlace":
      return Annotation<Tree>({ reducer: deepMergeInPlace, default: () => ({}) });
    case "messages":
      return Annotation<BaseMessage[]>({
        reducer: (left, right) => messagesStateReducer(left, right),
        default: () => [],
      });
    case "text":
      return Annotation<string>({ reducer: (a, b) => (a + b).slice(-MAX_TEXT), default: () => "" });
    case "deltaAppend":
      return Annotation<Items>({ reducer: (a, b) => appendBatch(a, [b]), default: () => [] });
    case "deltaMerge":
      return Annotation<Files>({ reducer: (a, b) => mergeBatch(a, [b]), default: () => ({}) });
    case "deltaMessages":
      return Annotation<BaseMessage[]>({
        reducer: (left, right) => messagesDeltaReducer(left, [right]),
        default: () => [],
      });
  }
}

function deltaChannel(kind: ChannelKind, snapshotFrequency: number): object {
  switch (kind) {
    case "deltaAppend":
      return new DeltaChannel<Items, Items>(appendBatch, { snapshotFrequency });
    case "deltaMerge":
      return new DeltaChannel<Files, Files>(mergeBatch, {
        snapshotFrequency,
        initialValueFactory: () => ({}),
      });
    default:
      return new DeltaChannel(messagesDeltaReducer, { snapshotFrequency });
  }
}

/** A delta channel's value made of what a saver holds. */
export function storedValue(spec: ChannelSpec, { seed, writes }: DeltaChannelHistory): unknown {
  const kind = deltaChannel(spec.kind, spec.snapshotFrequency) as DeltaChannel;
  const channel = kind.fromCheckpoint(seed);
  channel.replayWrites(writes);
  return channel.get();
}

/**
 * A delta channel's value without the order in which parallel tasks wrote to it: that is the order
 * of task ids, which are random. Nodes see it so too, or their answers would differ between runs.
 */
export function unordered(value: unknown): unknown {
  if (Array.isArray(value)) {
    return (value as unknown[])
      .map((item): [string, unknown] => [JSON.stringify(canonical(item)), item])
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([, item]) => item);
  }
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  return value;
}
