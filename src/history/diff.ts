import { compare } from "./compare.ts";
import type { Change } from "./compare.ts";
import { requireTuple } from "./address.ts";
import { resolveSource } from "./source.ts";
import type { HistorySource } from "./source.ts";
import { StateReader } from "./state.ts";

export interface DiffOptions {
  /** The checkpoint namespace of both; default "", the outermost graph. */
  namespace?: string;
}

/**
 * What changed from one state, or any other value, to another.
 *
 * Lists are compared as lists: an append is one `added` per element, a removal in front moves
 * nothing, and elements with an `id` are followed by it. Messages are compared by what they say.
 *
 * @example diff(older.values, newer.values)
 */
export function diff(before: unknown, after: unknown): Change[];
/**
 * What changed from one checkpoint of a thread to another; they need not be related. With a graph,
 * values of a `DeltaChannel` are included; a saver alone doesn't have them.
 *
 * @throws {NotFoundError} there is no such checkpoint
 */
export function diff(
  source: HistorySource,
  threadId: string,
  fromCheckpointId: string,
  toCheckpointId: string,
  options?: DiffOptions,
): Promise<Change[]>;
export function diff(
  before: unknown,
  after: unknown,
  from?: string,
  to?: string,
  options?: DiffOptions,
): Change[] | Promise<Change[]> {
  if (from === undefined || to === undefined) return compare(before, after);
  return compareCheckpoints(before as HistorySource, after as string, from, to, options);
}

async function compareCheckpoints(
  source: HistorySource,
  threadId: string,
  from: string,
  to: string,
  options: DiffOptions = {},
): Promise<Change[]> {
  const resolved = resolveSource(source);
  const reader = new StateReader(resolved);
  const valuesAt = async (checkpointId: string): Promise<unknown> => {
    const address = { threadId, namespace: options.namespace ?? "", checkpointId };
    return (await reader.read(await requireTuple(resolved.saver, address))).values;
  };
  return compare(await valuesAt(from), await valuesAt(to));
}
