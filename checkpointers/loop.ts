/** What the config of a call tells about the loop, or the other caller, that makes it. */

import type { RunnableConfig } from "@langchain/core/runnables";

/** The object by which a loop is recognised: all its calls have the same one. */
export function loopOf(config: RunnableConfig): object {
  return config.metadata ?? config;
}

/**
 * Whether a read is that of a loop which will run all tasks of the checkpoint again, whatever writes it
 * finds: LangGraph decides by the mere presence of a checkpoint id in a run's config (which those of
 * subgraphs always have), and for `updateState` by its value.
 */
export function runsAnew(config: RunnableConfig): boolean {
  const configurable = config.configurable ?? {};
  return isRunOf(config)
    ? "checkpoint_id" in configurable
    : configurable["checkpoint_id"] !== undefined;
}

/** Whether it is the config of a loop, rather than of `getState` or `updateState`. */
export function isRunOf(config: RunnableConfig): boolean {
  return config.recursionLimit !== undefined;
}

/** Whether a loop stores nothing before its end; its config says so, as LangGraph reads it. */
export function isExit(config: RunnableConfig): boolean {
  const { durability, checkpointDuring } = config as Record<string, unknown>;
  if (durability !== undefined) return durability === "exit";
  if (checkpointDuring !== undefined) return checkpointDuring === false;
  return config.configurable?.["__pregel_durability"] === "exit";
}
