/** The step store of a node: its saver's; in memory, and said once, where the saver has none. */

import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import type { NodeContext } from "../context.ts";
import { events } from "../events.ts";
import type { AttemptStore, StepStore } from "../step-store.ts";
import { memorySteps } from "./memory.ts";

const bySaver = new WeakMap<BaseCheckpointSaver, StepStore>();
let withoutSaver: StepStore | undefined;

export function stepsOf({ durable, saver }: NodeContext): StepStore {
  if (durable !== undefined) return durable.steps;
  const known = saver === undefined ? withoutSaver : bySaver.get(saver);
  return known ?? inMemory(saver);
}

function inMemory(saver: BaseCheckpointSaver | undefined): StepStore {
  events.notice(
    "holdfast: durable() keeps its attempts in memory, since this graph has no holdfast saver: a crash " +
      'forgets them. Compile it with a saver from "holdfast/sqlite" or "holdfast/postgres".',
  );
  const steps = memorySteps({ saver });
  if (saver === undefined) withoutSaver = steps;
  else bySaver.set(saver, steps);
  return steps;
}

const byExecution = new WeakMap<object, AttemptStore>();

/** Attempts that nobody but one execution of a node needs to know of. */
export function memoryFor(execution: object): AttemptStore {
  const known = byExecution.get(execution) ?? memorySteps().attempts;
  byExecution.set(execution, known);
  return known;
}
