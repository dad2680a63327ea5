/**
 * Keyed effects in branches of a thread: what was recorded in another branch is reused, redone, undone
 * first, or asked about, as the fork said.
 *
 * Invariants
 *   B1  A branch that redoes its effects has identities of its own: the branch that it left keeps what it
 *       recorded, and finds it again.
 *   B2  A conflict within one line of checkpoints is a mistake, and refused. With another branch's record
 *       it is a person's decision.
 */

import { canonicalHash } from "../canonical.ts";
import type { EffectRow, Lineage } from "../effect-store.ts";
import { EffectConflictError } from "../errors.ts";
import { identityOf } from "./key.ts";
import type { LedgerCall } from "./protocol.ts";
import { answerTo, askForked, forkedQuestionId, readForkedAnswer } from "./questions.ts";
import { park, shorten, shown, type Site } from "./surroundings.ts";
import { undo } from "./undo.ts";

/** A keyed call as the branch that it is in means it. */
export async function inBranch(site: Site, name: string, call: LedgerCall): Promise<LedgerCall> {
  const { node, store } = site;
  const { threadId } = node.task;
  const marks = await store.marks(threadId);
  if (marks.length === 0) return call;
  const lineage = await store.lineage(threadId, node.rootCheckpointId);
  const nearest = marks
    .map((mark) => ({ ...mark, depth: lineage.depthOf(mark.checkpointId) ?? Infinity }))
    .toSorted((a, b) => a.depth - b.depth)[0];
  if (nearest === undefined || nearest.depth === Infinity) return call;
  const redone = identityIn(site, name, call, nearest.checkpointId);
  if (nearest.effects === "redo") return { ...call, identity: redone };
  if ((await store.latest(redone)).row !== undefined) return { ...call, identity: redone };
  const { row } = await store.latest(call.identity);
  if (row === undefined || row.state === "closed" || row.state === "released") return call;
  if (isWithin(lineage, row, nearest.depth)) return call;
  return decided(site, call, row, redone, nearest.checkpointId);
}

/** Claimed by this branch itself, since it was begun. */
function isWithin(lineage: Lineage, { place }: EffectRow, depth: number): boolean {
  const claimed = lineage.depthOf(place.rootCheckpointId);
  return claimed !== undefined && claimed <= depth && lineage.owns(place.rootCheckpointId);
}

/**
 * The same identity with other arguments.
 * @throws {EffectConflictError} in the same line of checkpoints
 */
export async function onConflict(
  site: Site,
  name: string,
  call: LedgerCall,
  row: EffectRow,
): Promise<LedgerCall> {
  const { node, store } = site;
  const error = conflict(site, call, row);
  if (call.key === undefined || call.scope === "global") throw error;
  const lineage = await store.lineage(node.task.threadId, node.rootCheckpointId);
  if (lineage.owns(row.place.rootCheckpointId) || row.place.threadId !== node.task.threadId)
    throw error;
  const branch = `with ${canonicalHash(store.deserialize(call.args))}`;
  const redone = identityIn(site, name, call, branch);
  if ((await store.latest(redone)).row !== undefined) return { ...call, identity: redone };
  return decided(site, call, row, redone, branch);
}

/** As a person decided; or the question. */
async function decided(
  site: Site,
  call: LedgerCall,
  row: EffectRow,
  redone: string,
  branch: string,
): Promise<LedgerCall> {
  const { node, store, saver } = site;
  const id = forkedQuestionId(row, branch);
  const given = answerTo(node, id);
  const read = given === undefined ? undefined : readForkedAnswer(given);
  if (read === undefined || "problem" in read) {
    const args = { recorded: store.deserialize(row.args), called: store.deserialize(call.args) };
    return park(site, askForked(row, id, args, read?.problem));
  }
  switch (read.answer.effects) {
    case "reuse":
      return { ...call, args: row.args };
    case "redo":
      return { ...call, identity: redone };
    case "compensate": {
      const failure = await undo(saver, row, call);
      if (failure !== undefined) throw failure.error;
      return call;
    }
  }
}

function identityIn({ node }: Site, name: string, call: LedgerCall, branch: string): string {
  const { threadId } = node.task;
  return identityOf({ threadId, scope: call.scope, name, key: call.key ?? "", branch });
}

function conflict({ node, store }: Site, call: LedgerCall, row: EffectRow): EffectConflictError {
  const where = row.scope === "global" ? `thread "${row.place.threadId}"` : "this thread";
  const { args } = call;
  return new EffectConflictError(
    row.name,
    `"${row.name}" with key ${JSON.stringify(row.key)} is ${row.state} in ${where} by node ` +
      `"${row.place.node}" with ${shown(store, row)}, and node "${node.node}" calls it with ` +
      `${shorten(store.deserialize(args))}. Nothing was performed. Another effect needs another key.`,
  );
}
