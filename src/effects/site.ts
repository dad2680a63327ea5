/**
 * Where an effect is called: the node, its saver's ledger, and what makes this call the one it is.
 *
 * Invariants
 *   S1  Without a key an effect is its task's, so the task must be one that a crash brings back: its
 *       checkpoint is durable before the claim, and LangGraph gives it the same id again.
 *   S2  An attempt that has ended begins nothing.
 */

import { canonicalHash } from "../canonical.ts";
import {
  currentAttempt,
  currentNode,
  currentSignal,
  originOf,
  type NodeContext,
} from "../context.ts";
import { EffectConflictError, InvalidInputError, NotDurableError } from "../errors.ts";
import { inBranch, onConflict } from "./branch.ts";
import { attemptOf, executionOf } from "./calls.ts";
import { identityOf } from "./key.ts";
import { HOW_TO, ledgerOf } from "./ledgers.ts";
import type { LedgerCall, PersonSays, UnknownEffect } from "./protocol.ts";
import { answerTo, askUnknown, readUnknownAnswer, unknownQuestionId } from "./questions.ts";
import { park, shown, type Site } from "./surroundings.ts";
import type { CallOptions } from "./types.ts";

/**
 * @throws {NotDurableError} not within a node, or its graph's saver is not one of holdfast's
 * @throws the signal's reason, where the attempt or the run is over
 */
export function siteOf(name: string): Site {
  const node = currentNode();
  if (node === undefined) {
    throw new NotDurableError(
      `The effect "${name}" was called outside of a graph's node. Call it from a node (or a tool in one) ` +
        "of a graph with a holdfast saver; for a plain function there is retry().",
    );
  }
  const { durable: saver } = node;
  if (saver === undefined) {
    const found = node.saver === undefined ? "no saver" : `a ${node.saver.constructor.name}`;
    throw new NotDurableError(
      `The effect "${name}" was called in node "${node.node}", whose graph has ${found}: it would be ` +
        `performed again after a crash. ${HOW_TO}`,
    );
  }
  const attempt = currentAttempt();
  // Invariant S2.
  currentSignal(node.config)?.throwIfAborted();
  if (attempt?.active === false) {
    throw new InvalidInputError(
      `The effect "${name}" was called by an attempt of node "${attempt.node.node}" that had ended: ` +
        "nothing was performed. Await everything that the node begins.",
    );
  }
  const { execution, attempt: number } = executionOf(node);
  return {
    ...{ node, saver, execution, attempt: number, round: execution.round(number) },
    ...ledgerOf(saver),
    durable: attemptOf(node),
  };
}

/** The call as the ledger takes it, but for how conflicts are met. */
export async function callAt(
  site: Site,
  name: string,
  args: unknown,
  options: CallOptions & { scope: "thread" | "global"; kind?: "transaction" },
): Promise<LedgerCall> {
  const { node, store, saver } = site;
  const { key, scope } = options;
  // An effect and a transaction may share a name.
  const called = options.kind === undefined ? name : `${options.kind} ${name}`;
  const serialized = store.serialize(args, `arguments of "${name}"`, node.node);
  const identity = identify(site, called, args, options);
  const { threadId } = node.task;
  await store.settled(threadId);
  const { runId } = await saver.steps.runs.of(threadId, node.rootCheckpointId);
  const attempt = currentAttempt();
  return {
    ...{ identity, scope, key, args: serialized },
    place: {
      threadId,
      rootCheckpointId: node.rootCheckpointId,
      runId,
      node: node.node,
      taskId: key === undefined ? node.task.taskId : undefined,
      execution: site.round.tag,
    },
    leaseToken: node.leaseToken,
    leaseUntil: node.leaseUntil,
    signal: currentSignal(node.config),
    deadlineAt: attempt?.deadlineAt,
    longestWait: attempt?.parks === true ? attempt.parkAfter : undefined,
    conditions: key === undefined ? unkeyedConditions(node) : { unlessForked: scope === "thread" },
    onRefused: (call) => onRefused(site, { name, called }, call),
    onConflict: (row, call) => onConflict(site, called, call, row),
    ask: (effect) => ask(site, effect),
    origin: originOf(node, runId),
  };
}

function identify(
  { node, execution, round, attempt }: Site,
  name: string,
  args: unknown,
  { key, scope }: CallOptions & { scope: "thread" | "global" },
): string {
  const { threadId, taskId } = node.task;
  if (key !== undefined) {
    if (typeof key !== "string" || key === "") {
      throw new InvalidInputError(
        `The key of an effect is a text that is not empty; "${name}" was called with ${JSON.stringify(key)}.`,
      );
    }
    return identityOf({ threadId, scope, name, key });
  }
  if (scope === "global") {
    throw new InvalidInputError(
      `"${name}" counts once ever, so each call needs a key that says what it is: (args, { key }).`,
    );
  }
  if (node.durability === "exit")
    throw unstable(name, 'durability "exit" stores no checkpoint before');
  if (isFunctionalBody(node)) throw unstable(name, "it is the body of a functional-API entrypoint");
  const argsHash = canonicalHash(args);
  const occurrence = execution.occurrenceOf(`${name} ${argsHash}`, attempt, name);
  const identity = identityOf({ threadId, name, taskId, argsHash, occurrence });
  round.visited.add(identity);
  return identity;
}

/** Only an entrypoint's body, and a graph's own start, are triggered by the input itself. */
function isFunctionalBody({ config, node }: NodeContext): boolean {
  const triggers: unknown = config.metadata?.["langgraph_triggers"];
  return node !== "__start__" && Array.isArray(triggers) && triggers.includes("__start__");
}

function unkeyedConditions({ task }: NodeContext): LedgerCall["conditions"] {
  const { namespace, checkpointId } = task;
  return { checkpoint: { namespace, checkpointId }, unlessRerun: true };
}

function unstable(name: string, why: string): NotDurableError {
  return new NotDurableError(
    `"${name}" was called without a key where its task could not be told again after a crash: ${why}. ` +
      'Give it a key (`(args, { key })`), or run the graph with durability "sync", with subgraphs that are ' +
      "checkpointed, and with nodes rather than functional-API bodies.",
  );
}

/** Tries what else may be the reason, one after the other. */
async function onRefused(
  site: Site,
  { name, called }: { name: string; called: string },
  call: LedgerCall,
): Promise<LedgerCall> {
  const { checkpoint, unlessRerun, unlessForked } = call.conditions;
  if (unlessForked === true) return inBranch(site, called, { ...call, conditions: {} });
  if (unlessRerun === true) {
    await checkRerun(site, name);
    return { ...call, conditions: { checkpoint } };
  }
  throw unstable(name, "the checkpoint that its node runs from is not stored");
}

/** An earlier execution's call that this one has not made (yet) was made with other arguments. */
async function checkRerun({ store, node, round }: Site, name: string): Promise<void> {
  const { threadId, taskId } = node.task;
  const rows = await store.list({ threadId, taskId, name, limit: 10_000 });
  const left = rows.find(
    ({ identity, state, place }) =>
      place.execution !== round.tag && state !== "released" && !round.visited.has(identity),
  );
  if (left === undefined) return;
  throw new EffectConflictError(
    name,
    `Node "${node.node}" runs again, and calls "${name}" with arguments other than those of its earlier ` +
      `execution, ${shown(store, left)} (${left.state}). Which call is which cannot be told: it needs a ` +
      "key, `(args, { key })`, or the same arguments each time.",
  );
}

/** A person's answer; or the question, which parks the node once its other effects have settled. */
async function ask(site: Site, effect: UnknownEffect): Promise<PersonSays> {
  const { node, store } = site;
  const given = answerTo(node, unknownQuestionId(effect));
  const read = given === undefined ? undefined : readUnknownAnswer(given);
  if (read !== undefined && "answer" in read) {
    const { answer } = read;
    return answer.outcome === "done" ? { outcome: "done", result: answer.result } : answer;
  }
  return park(site, askUnknown(effect, store.deserialize(effect.args), read?.problem));
}
