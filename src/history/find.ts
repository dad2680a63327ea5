import { InvalidInputError, NotFoundError } from "../errors.ts";
import { addressOf, configFor } from "./address.ts";
import type { Address } from "./address.ts";
import { ALL, listTuples } from "./listing.ts";
import { resolveSource } from "./source.ts";
import type { HistorySource } from "./source.ts";

export interface FindCheckpointOptions {
  /** Where to look: a checkpoint namespace, or "*" for all; default "", the outermost graph. */
  namespace?: string;
}

/** Of a uuid: worth asking for directly, rather than reading the history. */
const FULL_ID = 36;

/** Named in the message of an ambiguous prefix. */
const MAX_CANDIDATES = 5;

/**
 * The checkpoint whose id begins so, for ids typed by people. Checkpoint ids are ordered by time,
 * so those of one run share their beginnings: expect to need 13 characters or more.
 *
 * @throws {NotFoundError} none does, or the thread has no checkpoints there
 * @throws {InvalidInputError} several do (the message lists some), or the prefix is empty
 */
export async function findCheckpoint(
  source: HistorySource,
  threadId: string,
  prefix: string,
  options: FindCheckpointOptions = {},
): Promise<Address> {
  if (prefix === "") throw new InvalidInputError("A checkpoint id, or its beginning, is needed.");
  const { saver } = resolveSource(source);
  const namespace = options.namespace ?? "";
  if (prefix.length >= FULL_ID && namespace !== ALL) {
    const tuple = await saver.getTuple(configFor(threadId, namespace, prefix));
    if (tuple !== undefined) return addressOf(tuple);
  }
  const candidates: Address[] = [];
  let isEmpty = true;
  for await (const tuple of listTuples(saver, threadId, namespace)) {
    isEmpty = false;
    const address = addressOf(tuple);
    if (address.checkpointId.startsWith(prefix)) candidates.push(address);
  }
  const exact = candidates.filter(({ checkpointId }) => checkpointId === prefix);
  const [found, ...others] = exact.length > 0 ? exact : candidates;
  if (found === undefined) {
    throw new NotFoundError(
      isEmpty
        ? `Thread "${threadId}" has no checkpoints.`
        : `Thread "${threadId}" has no checkpoint whose id begins with "${prefix}".`,
    );
  }
  if (others.length > 0) throw ambiguous(prefix, [found, ...others]);
  return found;
}

function ambiguous(prefix: string, candidates: readonly Address[]): InvalidInputError {
  const named = candidates
    .slice(0, MAX_CANDIDATES)
    .map(({ namespace, checkpointId }) =>
      namespace === "" ? checkpointId : `${checkpointId} (in "${namespace}")`,
    );
  const more = candidates.length > MAX_CANDIDATES ? ", ..." : "";
  return new InvalidInputError(
    `${candidates.length} checkpoints begin with "${prefix}": ${named.join(", ")}${more}. ` +
      "Give more of the id.",
  );
}
