/**
 * Answers that a node's execution was given, kept in the ledger of effects: a node that runs again is
 * given them again, and pays nothing.
 *
 * A call of a model is a read: one whose outcome is unknown is simply made again, with the same
 * idempotency key. So there is no claim, only a record, and a record that cannot be kept is no failure of
 * the call: where the execution could not be told again after a crash, nothing is recorded.
 */

import type { ChatResult } from "@langchain/core/outputs";
import { originOf, type NodeContext } from "../../context.ts";
import { executionOf, type Execution } from "../../effects/calls.ts";
import { newVersion } from "../../effects/claim.ts";
import { idempotencyKeyOf, identityOf } from "../../effects/key.ts";
import type { EffectStore } from "../../effect-store.ts";
import { isHoldfastError } from "../../errors.ts";
import { events } from "../../events.ts";
import { systemProcesses } from "../../process.ts";
import { isResuming } from "../invocation.ts";

/** What a call is given in a node of a graph with a holdfast saver. */
export interface Recording {
  /** Equal for all attempts, in all processes; other calls have others. */
  readonly idempotencyKey: string;
  /** Parking waits for it. */
  readonly execution: Execution;
  /** The answer of an earlier execution; undefined where there is none. */
  find(): Promise<ChatResult | undefined>;
  keep(result: ChatResult, runId: string | undefined): Promise<void>;
}

/** @param request the hash of what is asked */
export function recordingOf(
  node: NodeContext,
  model: string,
  request: string,
): Recording | undefined {
  const store = node.durable?.steps.effects;
  if (store === undefined || node.durability === "exit") return undefined;
  const { execution, attempt } = executionOf(node);
  const name = `model ${model}`;
  const { threadId, taskId, namespace, checkpointId } = node.task;
  const occurrence = execution.countOf(`${name} ${request}`, attempt);
  const identity = identityOf({ threadId, name, taskId, argsHash: request, occurrence });
  const idempotencyKey = idempotencyKeyOf(identity, 1);
  // A first execution has nothing to look for.
  const mayBeThere = isResuming(node) || attempt !== 1;
  return {
    idempotencyKey,
    execution,
    find: async () => {
      if (!mayBeThere) return undefined;
      const { row } = await store.latest(identity);
      if (row?.state !== "recorded" || row.result === undefined) return undefined;
      const origin = originOf(node, row.place.runId);
      events.emit("effect.reused", { ...origin, effect: name, idempotencyKey });
      return store.deserialize(row.result) as ChatResult;
    },
    keep: async (result, runId) => {
      const text = serialized(store, result, name, node);
      if (text === undefined) return;
      await store.settled(threadId);
      const written = await store.write({
        row: {
          ...{ identity, idempotencyKey, name, result: text },
          generation: 1,
          kind: "effect",
          scope: "thread",
          key: undefined,
          place: {
            ...{ threadId, runId, taskId },
            rootCheckpointId: node.rootCheckpointId,
            node: node.node,
            execution: execution.round(attempt).tag,
          },
          state: "recorded",
          process: systemProcesses.own,
          leaseToken: node.leaseToken,
          attempts: 1,
          undoable: false,
          args: store.serialize({ request }, name),
          error: undefined,
          reason: undefined,
        },
        replaces: undefined,
        version: newVersion(),
        claims: true,
        expiresIn: undefined,
        sent: "now",
        checkpoint: { namespace, checkpointId },
      });
      const origin = originOf(node, runId);
      if (written) events.emit("effect.recorded", { ...origin, effect: name, idempotencyKey });
    },
  };
}

/** Undefined where it can't be: what of it reaches the state is refused there, by name. */
function serialized(
  store: EffectStore,
  result: ChatResult,
  name: string,
  node: NodeContext,
): string | undefined {
  // Of a streamed answer they are of a class of LangChain's that is not stored.
  const generations = result.generations.map(({ text, message, generationInfo }) => ({
    ...{ text, message, generationInfo },
  }));
  try {
    return store.serialize({ ...result, generations }, `answer of ${name}`, node.node);
  } catch (error) {
    if (!isHoldfastError(error, "UNSERIALIZABLE")) throw error;
    events.notice(`holdfast: an answer is not kept for a crash: ${error.message}`);
    return undefined;
  }
}
