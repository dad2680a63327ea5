/** What an import does with a thread, decided from ids alone. */

import { uuid5 } from "@langchain/langgraph-checkpoint";
import { InvalidInputError } from "../errors.ts";
import type { Outline } from "./catalogue.ts";

/**
 * Where both sides have gone on, adding one to the other would give the thread another head.
 *
 * @throws {InvalidInputError} both have
 */
export function refuseDiverged(
  threadId: string,
  source: readonly Outline[],
  target: ReadonlyMap<string, Outline>,
): void {
  const gains = source.some((outline) => {
    const present = target.get(keyOf(outline));
    return present === undefined || !hasAll(present.tasks, outline.tasks);
  });
  const sourceByKey = new Map(source.map((outline) => [keyOf(outline), outline]));
  const newestShared = source
    .filter((outline) => target.has(keyOf(outline)))
    .reduce((newest, { checkpointId }) => (checkpointId > newest ? checkpointId : newest), "");
  const hasGoneOn = [...target].some(([key, present]) => {
    const origin = sourceByKey.get(key);
    // An older one that only the target has was pruned in the source.
    if (origin === undefined) return present.checkpointId > newestShared;
    return !hasAll(origin.tasks, present.tasks);
  });
  if (!gains || !hasGoneOn) return;
  throw new InvalidInputError(
    `Thread "${threadId}" has gone on in the target as well as in the source. Delete it in the ` +
      "target to import it anew, or leave it out with `threadIds`.",
  );
}

/** Checkpoints whose pending writes may be of more than one loop: with several children, or updated. */
export function contestedParents(outlines: readonly Outline[]): Set<string> {
  const contested = new Set<string>();
  const withChild = new Set<string>();
  for (const outline of outlines) {
    const { namespace, checkpointId, parentId, tasks } = outline;
    // LangGraph gives this task id to every update of the checkpoint.
    if (tasks.has(uuid5("__interrupt__", checkpointId))) contested.add(keyOf(outline));
    if (parentId === undefined) continue;
    const parent = keyOf({ namespace, checkpointId: parentId });
    (withChild.has(parent) ? contested : withChild).add(parent);
  }
  return contested;
}

/** In order of their ids, but a parent always before its children: clocks may have disagreed. */
export function parentsFirst(outlines: readonly Outline[]): Outline[] {
  const byKey = new Map(outlines.map((outline) => [keyOf(outline), outline]));
  const ordered = new Set<Outline>();
  for (const outline of outlines.toSorted(byId)) {
    const waiting = new Set<Outline>();
    let next: Outline | undefined = outline;
    while (next !== undefined && !ordered.has(next) && !waiting.has(next)) {
      waiting.add(next);
      const { namespace, parentId }: Outline = next;
      next =
        parentId === undefined
          ? undefined
          : byKey.get(keyOf({ namespace, checkpointId: parentId }));
    }
    for (const each of [...waiting].toReversed()) ordered.add(each);
  }
  return [...ordered];
}

function byId(a: Outline, b: Outline): number {
  if (a.checkpointId === b.checkpointId) return 0;
  return a.checkpointId < b.checkpointId ? -1 : 1;
}

/** Every task of these has written there too, and to no fewer channels. */
export function hasAll(tasks: Outline["tasks"], wanted: Outline["tasks"]): boolean {
  return [...wanted].every(([taskId, channels]) =>
    [...channels].every((channel) => tasks.get(taskId)?.has(channel) === true),
  );
}

export function keyOf({
  namespace,
  checkpointId,
}: Pick<Outline, "namespace" | "checkpointId">): string {
  return JSON.stringify([namespace, checkpointId]);
}
