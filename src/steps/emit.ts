/**
 * `emit()`: an event that a node tells the world, by way of an outbox.
 *
 * It is among the writes of the node's task, so what holds for a result holds for it: it is stored with
 * the result, in one commit, and leaves with the checkpoint that the superstep makes.
 *
 * Invariants
 *   E1  Of an attempt that fails, is given up on or is broken off, nothing leaves.
 *   E2  What cannot leave is refused where it is emitted, or where a durable node ends, with the reason.
 */

import { Command, isCommand } from "@langchain/langgraph";
import { currentAttempt, currentNode, type NodeContext } from "../context.ts";
import { InvalidInputError, NotDurableError } from "../errors.ts";
import { EVENTS_CHANNEL, type EmittedWrite } from "../event-store.ts";
import { whyUnkept, whyUnstable } from "./kept-task.ts";

type Send = (writes: [channel: string, value: unknown][]) => void;

/** Events that holdfast itself emits begin so. */
const OWN_PREFIX = "run.";

/**
 * Emits an event: once, when the node's superstep is stored. A crash, a retry or a resume does not
 * repeat it, and where the node fails it is not emitted at all.
 *
 * A node of a subgraph that hands over to the parent graph (`Command({ graph: Command.PARENT })`) cannot
 * emit: its superstep is never stored, so nothing that is emitted in it leaves. Emit in the node that it
 * goes to. In a durable node that is refused; in any other the event is lost.
 *
 * Call it in the node, and await it; within `effect({ run })` it would be skipped where the effect's
 * recorded result is returned.
 *
 * @param name at most 200 characters; names that begin with "run." are holdfast's own
 * @param payload as it is now: what the node changes in it later does not count
 * @throws {NotDurableError} outside of a node, without a holdfast saver, or where nothing is stored between
 *   supersteps (durability "exit", a subgraph with `checkpointer: false`, the functional API); at its end, a
 *   durable node that has emitted and hands over to the parent graph
 * @throws {UnserializableError} the payload cannot be stored faithfully
 */
export async function emit(name: string, payload?: unknown): Promise<void> {
  checkEventName(name);
  const node = currentNode();
  const store = node?.durable?.steps.events;
  if (node === undefined || store === undefined) {
    throw new NotDurableError(
      `emit("${name}") sends events from the saver's database: call it within a node of a graph that is ` +
        "compiled with a holdfast saver (SqliteSaver or PostgresSaver). From outside of graphs there is " +
        "runtime.emit().",
    );
  }
  const unstable = whyUnstable(node);
  if (unstable !== undefined) throw unkept(name, node.node, unstable);
  const send = sendOf(name, node);
  const write: EmittedWrite = { name, payload: store.serialize(name, payload, node.node) };
  send([[EVENTS_CHANNEL, write]]);
  const why = await whyUnkept(node, store);
  if (why !== undefined) throw unkept(name, node.node, why);
}

/** @throws {InvalidInputError} it is none for users */
export function checkEventName(name: string): void {
  if (typeof name === "string" && name !== "" && !name.startsWith(OWN_PREFIX)) return;
  throw new InvalidInputError(
    typeof name === "string" && name !== ""
      ? `The event "${name}" is not for you to emit: names that begin with "${OWN_PREFIX}" are holdfast's own.`
      : "The name of an event is a text that is not empty.",
  );
}

/** Invariant E1: a durable attempt's writes are kept back until it succeeds. */
function sendOf(name: string, node: NodeContext): Send {
  const attempt = currentAttempt();
  const isOwn = attempt?.node.execution === node.execution;
  if (isOwn && !attempt.active) {
    throw new InvalidInputError(
      `emit("${name}") was called by an attempt of node "${node.node}" that had ended: nothing was ` +
        "emitted. Await everything that the node begins.",
    );
  }
  const send = isOwn ? attempt.send : undefined;
  return send ?? (node.config.configurable?.["__pregel_send"] as Send);
}

/**
 * Invariant E2, for what a durable node returns.
 * @throws {NotDurableError} it has emitted, and no checkpoint will take its writes
 */
export function checkLeaves(
  writes: readonly [channel: string, value: unknown][],
  result: unknown,
  { node }: NodeContext,
): void {
  const results: unknown[] = Array.isArray(result) ? result : [result];
  if (!results.some((each) => isCommand(each) && each.graph === Command.PARENT)) return;
  const emitted = writes.find(([channel]) => channel === EVENTS_CHANNEL)?.[1];
  if (emitted === undefined) return;
  const { name } = emitted as EmittedWrite;
  throw new NotDurableError(
    `emit("${name}") was called in "${node}", which went on to the parent graph (Command.PARENT): the ` +
      "superstep that it left is not stored, so its event could not leave. Emit it in the node that it goes to.",
  );
}

function unkept(name: string, node: string, why: string): NotDurableError {
  return new NotDurableError(
    `emit("${name}") was called in "${node}", where its event could not leave with what the node did: ${why}. ` +
      'Run the graph with durability "sync", with subgraphs that are checkpointed, and with nodes.',
  );
}
