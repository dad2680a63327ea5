/** Where a thread stands when nothing runs. */

import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { isParked, type Parked } from "../steps/wait.ts";
import { gatesOf, type Gate } from "./gate.ts";
import { isFinished, questionsOf, type Level, type Question } from "./tasks.ts";

export type Standing =
  | { status: "done" }
  | { status: "waiting"; gates: Gate[]; questions: Question[] }
  /** All that is open waits for a time. */
  | { status: "parked"; parks: Parked[] }
  /** Neither finished nor waiting: killed, failed or stopped in the middle. */
  | { status: "unfinished"; nodes: string[] };

export async function standing(
  level: Level,
  saver: BaseCheckpointSaver,
  threadId: string,
): Promise<Standing> {
  if (isFinished(level)) return { status: "done" };
  const gates = await gatesOf(level, saver, threadId);
  const asked = questionsOf(level);
  const questions = asked.filter(({ value }) => !isParked(value));
  if (gates.length > 0 || questions.length > 0) return { status: "waiting", gates, questions };
  const parks = asked.map(({ value }) => value).filter(isParked);
  const open = level.tasks.filter((task) => !task.done);
  if (parks.length > 0 && open.every(({ question }) => isParked(question?.value))) {
    return { status: "parked", parks };
  }
  return { status: "unfinished", nodes: [...new Set(open.map((task) => task.name))] };
}
