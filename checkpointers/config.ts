/** What a LangGraph config asks for, checked. */

import type { RunnableConfig } from "@langchain/core/runnables";
import { InvalidInputError } from "../src/errors.ts";

export interface Target {
  threadId: string;
  ns: string;
  checkpointId: string | undefined;
}

/** @throws {InvalidInputError} a key is missing or not a string */
export function readTarget(
  config: RunnableConfig,
  purpose: string,
  needs?: { checkpointId: true },
): Target {
  const configurable = config?.configurable ?? {};
  const threadId: unknown = configurable["thread_id"];
  if (threadId === undefined || threadId === null || threadId === "") {
    throw new InvalidInputError(
      `Cannot ${purpose}: the config has no "thread_id". Pass one, so that the saver knows whose state ` +
        'it is: graph.invoke(input, { configurable: { thread_id: "my-thread" } }).',
    );
  }
  const checkpointId = text(
    configurable["checkpoint_id"] ?? configurable["thread_ts"],
    "checkpoint_id",
    purpose,
  );
  if (needs?.checkpointId === true && (checkpointId === undefined || checkpointId === "")) {
    throw new InvalidInputError(`Cannot ${purpose}: the config has no "checkpoint_id".`);
  }
  return {
    threadId: text(threadId, "thread_id", purpose) as string,
    ns: text(configurable["checkpoint_ns"], "checkpoint_ns", purpose) ?? "",
    // An empty id means none, as in LangGraph.
    checkpointId: checkpointId === "" ? undefined : checkpointId,
  };
}

function text(value: unknown, key: string, purpose: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") {
    throw new InvalidInputError(
      `Cannot ${purpose}: "${key}" must be a string, and is ${Array.isArray(value) ? "an array" : `a ${typeof value}`}. ` +
        'Convert it where it enters your program: 1 and "1" must not become two threads, or one.',
    );
  }
  return value;
}
