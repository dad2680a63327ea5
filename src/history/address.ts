/** Where a checkpoint is: thread, namespace, id. LangGraph keeps them in a loosely typed config. */

import type { RunnableConfig } from "@langchain/core/runnables";
import type { CheckpointTuple } from "@langchain/langgraph-checkpoint";
import { NotFoundError } from "../errors.ts";
import type { AnySaver } from "./source.ts";

export interface Address {
  threadId: string;
  /** Empty for the outermost graph. */
  namespace: string;
  checkpointId: string;
}

export function addressOf(tuple: CheckpointTuple): Address {
  const at = tuple.config.configurable as Record<string, string | undefined>;
  return {
    threadId: at["thread_id"] ?? "",
    namespace: at["checkpoint_ns"] ?? "",
    checkpointId: at["checkpoint_id"] ?? tuple.checkpoint.id,
  };
}

export function parentIdOf(tuple: CheckpointTuple): string | undefined {
  return tuple.parentConfig?.configurable?.["checkpoint_id"] as string | undefined;
}

/** Without an id it names the namespace's latest checkpoint to a reader, and no parent to `put`. */
export function configFor(
  threadId: string,
  namespace: string,
  checkpointId?: string,
): RunnableConfig {
  return {
    configurable: {
      thread_id: threadId,
      checkpoint_ns: namespace,
      // Its mere presence, even as undefined, means "replay" to LangGraph.
      ...(checkpointId === undefined ? {} : { checkpoint_id: checkpointId }),
    },
  };
}

/** @throws {NotFoundError} there is no such checkpoint */
export async function requireTuple(saver: AnySaver, at: Address): Promise<CheckpointTuple> {
  const tuple = await saver.getTuple(configFor(at.threadId, at.namespace, at.checkpointId));
  if (tuple !== undefined) return tuple;
  const where = at.namespace === "" ? "" : ` in namespace "${at.namespace}"`;
  throw new NotFoundError(
    `Thread "${at.threadId}" has no checkpoint "${at.checkpointId}"${where}.`,
  );
}
