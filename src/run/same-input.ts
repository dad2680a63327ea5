/** Whether an input is the one that a run began with: a script that is started again says the same. */

import type { CheckpointTuple } from "@langchain/langgraph-checkpoint";
import { canonicalHash } from "../canonical.ts";
import { durableState } from "../state.ts";
import type { Run } from "./run.ts";
import type { Level } from "./tasks.ts";

/** Compares with the input of the run that is under way; its deadline may be another one. */
export async function isSameInput(run: Run, level: Level, input: unknown): Promise<boolean> {
  const began = await inputOf(run, level.tuple);
  return began !== undefined && essence(began.input) === essence(input);
}

async function inputOf(
  { saver, threadId }: Run,
  head: CheckpointTuple,
): Promise<{ input: unknown } | undefined> {
  for (let tuple: CheckpointTuple | undefined = head; tuple !== undefined;) {
    if (tuple.metadata?.source === "input") {
      return { input: tuple.checkpoint.channel_values["__start__"] };
    }
    const parent: unknown = tuple.parentConfig?.configurable?.["checkpoint_id"];
    if (typeof parent !== "string") return undefined;
    tuple = await saver.getTuple({
      configurable: { thread_id: threadId, checkpoint_ns: "", checkpoint_id: parent },
    });
  }
  return undefined;
}

/** Without the instants of a deadline, which are later each time they are said. */
function essence(input: unknown): string {
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    return canonicalHash(input);
  }
  const fields = Object.entries(input).filter(([key]) => !Object.hasOwn(durableState, key));
  return canonicalHash(Object.fromEntries(fields));
}
