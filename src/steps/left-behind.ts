/**
 * What an earlier invocation left of a task, when it is run again: a park whose time has not come, or
 * a question that nobody has answered. Then the node's body need not run: timers that wake a
 * sibling cost nothing here, and repeat no code.
 *
 * Invariant
 *   L1  The body runs whenever there may be something new for it: an answer, a time that has come, an
 *       error since, history that is replayed, or nodes of a graph below.
 */

import type { Interrupt } from "@langchain/langgraph";
import type { NodeContext } from "../context.ts";
import { invocationOf, isResuming, type Invocation, type LeftWrite } from "./invocation.ts";
import { isParked, parkId, type Parked } from "./wait.ts";

export interface LeftBehind {
  parked?: Parked | undefined;
  question?: Interrupt[] | undefined;
}

/** Tells whether there is something new for a question, by other means than LangGraph's `resume`. */
type AnswerLookup = (question: Interrupt, node: NodeContext) => Promise<boolean>;
const lookups = new Map<string, AnswerLookup>();

/**
 * For questions whose answers are kept elsewhere: interrupts whose value has this `kind`.
 */
export function answersOf(kind: string, lookup: AnswerLookup): void {
  lookups.set(kind, lookup);
}

/** Undefined where nothing keeps the body from running. One read for all tasks of a checkpoint. */
export async function leftBehind(node: NodeContext): Promise<LeftBehind | undefined> {
  if (!isResuming(node) || node.saver === undefined) return undefined;
  const { taskId } = node.task;
  const writes = await writesAt(invocationOf(node), node);
  const own = (channel: string): unknown[] =>
    writes
      .filter(([task, name]) => task === taskId && name === channel)
      .map(([, , value]) => value);
  const interrupts = own("__interrupt__").flat() as Interrupt[];
  const parked = interrupts.find(({ id }) => id === parkId(node))?.value as unknown;
  if (isParked(parked)) return { parked };
  if (interrupts.length === 0 || own("__error__").length > 0) return undefined;
  // Of a graph below, whose nodes see to it themselves: others of them may have something to do.
  if (interrupts.some(({ value }) => isParked(value)) || (await hasGraphBelow(node)))
    return undefined;
  const isOpen = await isUnanswered(node, interrupts, own("__resume__").flat().length);
  return isOpen ? { question: interrupts } : undefined;
}

async function hasGraphBelow({ saver, task, config }: NodeContext): Promise<boolean> {
  const ns = config.configurable?.["checkpoint_ns"] as string;
  const below = await saver?.getTuple({
    configurable: { thread_id: task.threadId, checkpoint_ns: ns },
  });
  return below !== undefined;
}

function writesAt(
  invocation: Invocation,
  { saver, task }: NodeContext,
): Promise<readonly LeftWrite[]> {
  const key = JSON.stringify([task.namespace, task.checkpointId]);
  let writes = invocation.left.get(key);
  if (writes === undefined) {
    const read = saver?.getTuple({
      configurable: {
        thread_id: task.threadId,
        checkpoint_ns: task.namespace,
        checkpoint_id: task.checkpointId,
      },
    });
    writes = Promise.resolve(read).then((tuple) => tuple?.pendingWrites ?? []);
    invocation.left.set(key, writes);
  }
  return writes;
}

interface Scratchpad {
  resume: unknown[];
  nullResume: unknown;
}

/** @param given how many answers the task had when it asked */
async function isUnanswered(
  node: NodeContext,
  interrupts: Interrupt[],
  given: number,
): Promise<boolean> {
  const { configurable } = node.config;
  // Answers to questions with ids of their own; LangGraph's scratchpad knows nothing of these.
  const byId = Object(configurable?.["__pregel_resume_map"]) as Record<string, unknown>;
  if (interrupts.some(({ id }) => id !== undefined && Object.hasOwn(byId, id))) return false;
  for (const question of interrupts) {
    const { kind } = Object(question.value) as { kind?: unknown };
    const lookup = typeof kind === "string" ? lookups.get(kind) : undefined;
    if (lookup !== undefined) return !(await lookup(question, node));
  }
  const scratchpad = configurable?.["__pregel_scratchpad"] as Scratchpad | undefined;
  // Fewer answers than it had: history is replayed.
  return scratchpad?.nullResume === undefined && scratchpad?.resume.length === given;
}
