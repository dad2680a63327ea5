/**
 * Answers to `interrupt()`. They are always given by the question's id: LangGraph keeps a plain
 * `resume` value with the checkpoint, where it also answers the node's next question, unasked.
 *
 * An answer by id is forgotten in a crash, so we store it beside the checkpoint before going on.
 */

import type { RunnableConfig } from "@langchain/core/runnables";
import { RESUME } from "@langchain/langgraph-checkpoint";
import { InvalidInputError } from "../errors.ts";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { withLeaseOf } from "../step-store.ts";
import { viewOf } from "./view.ts";
import { NULL_TASK, allLevels, questionsOf } from "./tasks.ts";
import type { Level, Question } from "./tasks.ts";

export const ANSWERS = "__holdfast_answer__";

/** By id of the question, as `Command({ resume })` takes it. */
export type Answers = Record<string, unknown>;

interface KeptAnswer {
  question: string;
  /** Tells the first question of a task from its second, which has the same id. */
  answered: number;
  value: unknown;
  at: number;
  /** The attempt of an accepted run that it was given for. */
  attempt?: number | undefined;
}

/**
 * Which question a value answers.
 * @param interruptId the one named, in full or by a prefix
 */
export function chooseAnswers(
  questions: readonly Question[],
  value: unknown,
  interruptId: string | undefined,
): Answers {
  const ids = questions.flatMap(({ id }) => (id === undefined ? [] : [id]));
  if (interruptId !== undefined) {
    const matching = ids.filter((id) => id.startsWith(interruptId));
    const [only] = matching.includes(interruptId) ? [interruptId] : matching;
    if (only === undefined || (matching.length > 1 && only !== interruptId)) {
      const what = matching.length > 1 ? "matches several questions" : "matches no open question";
      throw new InvalidInputError(`--interrupt ${interruptId} ${what}; open: ${list(questions)}.`);
    }
    return { [only]: value };
  }
  if (isTable(value) && Object.keys(value).length > 0) {
    const keys = Object.keys(value);
    if (keys.every((key) => ids.includes(key))) return value;
  }
  const [only, ...others] = ids;
  if (only !== undefined && others.length === 0) return { [only]: value };
  if (only === undefined) {
    throw new InvalidInputError(
      "The question has no id, as an older LangGraph asked it. Resume without --value first: it is asked again, with one.",
    );
  }
  throw new InvalidInputError(
    `${questions.length} questions are open, so say which one is answered, by --interrupt ID ` +
      `or by --value '{"ID": ...}': ${list(questions)}.`,
  );
}

function list(questions: readonly Question[]): string {
  return questions.map(({ id, node }) => `${id ?? "(no id)"} (${node})`).join(", ");
}

/**
 * Stores answers where {@link recallAnswers} finds them after a crash.
 * @param leased the config of the run that it is done in; none where nobody runs the thread
 * @param attempt of the accepted run that goes on with them, which finds them by {@link answersFor}
 */
export async function keepAnswers(
  root: Level,
  answers: Answers,
  saver: BaseCheckpointSaver,
  now: number,
  { leased = {}, attempt }: { leased?: RunnableConfig; attempt?: number | undefined } = {},
): Promise<void> {
  const config = withLeaseOf(root.tuple.config, leased);
  for (const { id, answered } of questionsOf(root)) {
    if (id === undefined || !Object.hasOwn(answers, id)) continue;
    const value = answers[id];
    const kept: KeptAnswer = {
      question: id,
      answered,
      value,
      at: now,
      ...(attempt && { attempt }),
    };
    await saver.putWrites(config, [[ANSWERS, kept]], `answer:${id}:${now}`);
  }
}

/** Answers that were given to questions still open: their run was killed before it took them. */
export async function recallAnswers(
  root: Level,
  saver: BaseCheckpointSaver,
  threadId: string,
): Promise<Answers> {
  const kept = keptAnswers(root);
  if (kept.length === 0) return {};
  const unseen = await unseenQuestions(root, saver, threadId);
  return openAnswers(root, kept, (id) => !unseen.has(id));
}

/**
 * Answers that were given for this attempt of an accepted run, before its first step: none of them can have
 * been taken, wherever the question was asked.
 */
export function answersFor(attempt: number, root: Level): Answers {
  return openAnswers(
    root,
    keptAnswers(root).filter((each) => each.attempt === attempt),
  );
}

/** Oldest first. */
function keptAnswers({ tuple }: Level): KeptAnswer[] {
  return (tuple.pendingWrites ?? [])
    .filter(([, channel]) => channel === ANSWERS)
    .map(([, , value]) => value as KeptAnswer)
    .toSorted((a, b) => a.at - b.at);
}

function openAnswers(
  root: Level,
  kept: readonly KeptAnswer[],
  isWanted = (_question: string): boolean => true,
): Answers {
  const answers: Answers = {};
  for (const { id, answered } of questionsOf(root)) {
    if (id === undefined || !isWanted(id)) continue;
    const last = kept.findLast((each) => each.question === id && each.answered === answered);
    if (last !== undefined) answers[id] = last.value;
  }
  return answers;
}

/**
 * Questions asked inside a subgraph that a node calls by itself. Its tasks cannot be seen from here,
 * and so neither whether an answer was taken: they are asked again.
 */
async function unseenQuestions(
  root: Level,
  saver: BaseCheckpointSaver,
  threadId: string,
): Promise<Set<string>> {
  const unseen = new Set<string>();
  for (const { namespace, tasks } of allLevels(root)) {
    for (const { id, name, question, levels } of tasks) {
      if (question?.id === undefined || levels.length > 0) continue;
      const inside = `${namespace === "" ? "" : `${namespace}|`}${name}:${id}`;
      // With `checkpointer: true` it goes by the names of the nodes alone.
      const byName = inside.replaceAll(/:[^|]*/g, "");
      for (const ns of [inside, byName]) {
        const config = { configurable: { thread_id: threadId, checkpoint_ns: ns } };
        if ((await saver.getTuple(config)) !== undefined) unseen.add(question.id);
      }
    }
  }
  return unseen;
}

/**
 * A view of the saver without the plain `resume` value that another program left with this
 * checkpoint, where it has been taken already: it must not answer a second question.
 */
export function withoutStaleResume(
  saver: BaseCheckpointSaver,
  root: Level,
  answering: boolean,
): BaseCheckpointSaver {
  const left = (root.tuple.pendingWrites ?? []).some(isPlainResume);
  const taken = [...allLevels(root)].some((level) =>
    level.tuple.pendingWrites?.some(
      ([task, channel]) => channel === RESUME && level.tasks.some(({ id }) => id === task),
    ),
  );
  if (!left || !(taken || answering)) return saver;
  const checkpointId = root.tuple.checkpoint.id;
  return viewOf(saver, async (config) => {
    const tuple = await saver.getTuple(config);
    if (tuple?.checkpoint.id !== checkpointId) return tuple;
    const kept = tuple.pendingWrites?.filter((write) => !isPlainResume(write)) ?? [];
    return { ...tuple, pendingWrites: kept };
  });
}

function isPlainResume([task, channel]: readonly unknown[]): boolean {
  return task === NULL_TASK && channel === RESUME;
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
