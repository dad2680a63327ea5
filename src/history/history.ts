import type { CheckpointMetadata } from "@langchain/langgraph-checkpoint";
import { InvalidInputError } from "../errors.ts";
import { addressOf, parentIdOf } from "./address.ts";
import type { Address } from "./address.ts";
import { BranchNames } from "./branches.ts";
import { ROOT, deltaChannelsWritten, writersOf } from "./channels.ts";
import { compare } from "./compare.ts";
import { pendingInterrupts } from "./interrupts.ts";
import { listTuples } from "./listing.ts";
import { LookAhead } from "./look-ahead.ts";
import type { Entry } from "./look-ahead.ts";
import type { HistoryPoint } from "./point.ts";
import { resolveSource } from "./source.ts";
import type { HistorySource } from "./source.ts";
import { StateReader } from "./state.ts";
import { isEqual, structureOf } from "./structure.ts";

export interface HistoryOptions {
  /** A subgraph's checkpoint namespace, or "*" for all; default "", the outermost graph. */
  namespace?: string;
  /** At most this many points; default all. */
  limit?: number;
  /**
   * Only points older than this checkpoint id. What is newer is read all the same, since it decides
   * the names of the branches.
   */
  before?: string;
  /** Only points whose metadata has these values (compared deeply). */
  filter?: Record<string, unknown>;
  /** Give each point its `values`; default true. */
  values?: boolean;
  /** Give each point its `changes` in full; default false. */
  changes?: boolean;
}

/**
 * The states of a thread, newest first: who wrote each, when, what it changed against its parent, on
 * which branch it is, what runs next and which questions wait for a person.
 *
 * Streams, with a handful of states in memory at a time; leave the loop when you have seen enough.
 * A thread that doesn't exist has an empty history. With namespace "*" the points come newest first
 * within each namespace, namespaces in the order of the saver.
 *
 * Pass the compiled graph where you have it. Over a saver alone, values of a `DeltaChannel` are
 * missing (`changed` still names them), `tasks` is undefined, and so is `next` of a function made
 * with `entrypoint()`.
 *
 * @throws {InvalidInputError} a source without a saver, or a limit that is no whole number
 * @example
 * for await (const point of history(graph, "order-42")) {
 *   console.log(point.step, point.node, point.changed, point.branch);
 * }
 */
export function history<Values = Record<string, unknown>>(
  source: HistorySource,
  threadId: string,
  options: HistoryOptions & { values: false },
): AsyncGenerator<HistoryPoint<Values | undefined>, void, undefined>;
export function history<Values = Record<string, unknown>>(
  source: HistorySource,
  threadId: string,
  options?: HistoryOptions,
): AsyncGenerator<HistoryPoint<Values>, void, undefined>;
export function history(
  source: HistorySource,
  threadId: string,
  options: HistoryOptions = {},
): AsyncGenerator<HistoryPoint<unknown>, void, undefined> {
  const { limit } = options;
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 0)) {
    throw new InvalidInputError(`limit must be a whole number of points, not ${limit}.`);
  }
  const { saver, graph } = resolveSource(source);
  const reader = new StateReader({ saver, graph });
  const tuples = listTuples(saver, threadId, options.namespace ?? "");
  return points(new LookAhead(tuples, saver, reader), options);
}

async function* points(
  entries: LookAhead,
  options: HistoryOptions,
): AsyncGenerator<HistoryPoint<unknown>, void, undefined> {
  const branches = new Map<string, BranchNames>();
  let left = options.limit ?? Infinity;
  try {
    while (left > 0) {
      const entry = await entries.next();
      if (entry === undefined) return;
      const address = addressOf(entry.tuple);
      let names = branches.get(address.namespace);
      if (names === undefined) branches.set(address.namespace, (names = new BranchNames()));
      const branch = names.next(address.checkpointId, parentIdOf(entry.tuple));
      if (!isWanted(entry, address, options)) continue;
      left--;
      yield await pointOf(entry, await entries.parentOf(entry), branch, options);
    }
  } finally {
    await entries.end();
  }
}

function isWanted({ tuple }: Entry, address: Address, options: HistoryOptions): boolean {
  if (options.before !== undefined && address.checkpointId >= options.before) return false;
  const metadata: Record<string, unknown> = { ...tuple.metadata };
  return Object.entries(options.filter ?? {}).every(([key, wanted]) =>
    isEqual(metadata[key], wanted),
  );
}

async function pointOf(
  entry: Entry,
  parent: Entry | undefined,
  branch: string,
  options: HistoryOptions,
): Promise<HistoryPoint<unknown>> {
  const { tuple } = entry;
  const metadata: CheckpointMetadata = tuple.metadata ?? { source: "loop", step: -1, parents: {} };
  const { values, next, tasks } = await entry.state();
  const before = parent === undefined ? undefined : (await parent.state()).values;
  const changed = changedChannels(before, values);
  // With a graph the values told already.
  if (parent !== undefined && tasks === undefined) {
    changed.push(...deltaChannelsWritten(parent.tuple, tuple).filter((c) => !changed.includes(c)));
  }
  const parentId = parentIdOf(tuple);
  const isKnown = parent !== undefined || parentId === undefined;
  const nodes = isKnown ? writersOf(parent?.tuple, tuple) : [];
  return {
    ...addressOf(tuple),
    parentId,
    step: metadata.step,
    source: metadata.source,
    createdAt: tuple.checkpoint.ts,
    node: nodes.length === 0 ? undefined : nodes.join(", "),
    nodes,
    changed,
    changes: options.changes === true ? compare(before ?? emptyLike(values), values) : undefined,
    branch,
    next,
    interrupts: pendingInterrupts(tuple),
    values: options.values === false ? undefined : values,
    metadata,
    tasks,
  };
}

function changedChannels(before: unknown, after: unknown): string[] {
  const older = channelsOf(before ?? emptyLike(after));
  const newer = channelsOf(after);
  if (older === undefined || newer === undefined) {
    return isEqual(before ?? null, after ?? null) ? [] : [ROOT];
  }
  const names = new Set([...newer.keys(), ...older.keys()]);
  return [...names].filter((name) => !isEqual(older.get(name), newer.get(name)));
}

/** What there was before a root: no channels, or no value where the state isn't made of them. */
function emptyLike(values: unknown): object | undefined {
  return channelsOf(values) === undefined ? undefined : {};
}

function channelsOf(values: unknown): ReadonlyMap<string, unknown> | undefined {
  const structure = structureOf(values);
  const isPlain = structure.kind === "record" && structure.type === Object.prototype;
  return isPlain ? structure.entries : undefined;
}
