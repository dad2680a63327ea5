/** Going on with a thread: at its head, or from an earlier checkpoint; never through a gate unasked. */

import { INTERRUPT } from "@langchain/langgraph-checkpoint";
import { undoneEffects } from "../effects/saga.ts";
import { InvalidInputError, NotFoundError } from "../errors.ts";
import { findCheckpoint } from "../history/find.ts";
import { chooseAnswers, keepAnswers } from "../run/answers.ts";
import { configurableOf } from "../run/lease.ts";
import { nextMove } from "../run/next-move.ts";
import type { Run } from "../run/run.ts";
import { standing } from "../run/standing.ts";
import { drive } from "./drive.ts";
import type { Drive, Outcome } from "./drive.ts";
import { gatesOf } from "../run/gate.ts";
import type { Gate } from "../run/gate.ts";
import { isFinished, questionsOf, readLevel } from "../run/tasks.ts";
import type { Level } from "../run/tasks.ts";

/** What a person said. */
export interface Say {
  approved: boolean;
  answer: Answer | undefined;
}

export interface Answer {
  value: unknown;
  interruptId: string | undefined;
}

export async function mustRead(
  { graph, saver, threadId }: Pick<Drive, "graph" | "saver" | "threadId">,
  checkpointId?: string,
): Promise<Level> {
  const level = await readLevel(graph, saver, threadId, { checkpointId });
  if (level === undefined) throw new NotFoundError(`There is no thread "${threadId}".`);
  return level;
}

/** Goes on at the head of the thread. */
export async function goOn(run: Drive, level: Level, { approved, answer }: Say): Promise<Outcome> {
  const { saver, threadId, io } = run;
  if (isFinished(level)) {
    if (!approved && answer === undefined) return { status: "done" };
    throw new InvalidInputError(`Thread "${threadId}" has finished, and waits for nothing.`);
  }
  await mustNotBeUndone(saver, threadId);
  const questions = questionsOf(level);
  if (approved) await mustBeAtGate(run, level, await gatesOf(level, saver, threadId));
  if (answer !== undefined && questions.length === 0) {
    throw new InvalidInputError(`Thread "${threadId}" asks nothing that --value could answer.`);
  }
  const answers =
    answer === undefined ? {} : chooseAnswers(questions, answer.value, answer.interruptId);
  const next = await nextMove(runOf(run), level, { approve: approved, answers });
  switch (next.move) {
    case "done":
      return { status: "done" };
    case "ask":
      return { status: "waiting", gates: next.gates, questions: next.questions };
    case "park":
      return standing(level, saver, threadId);
    case "reject":
      return { status: "failed", error: next.error, failures: [] };
    case "wait":
    case "invoke": {
      if (next.move === "wait" || Object.keys(next.answers).length === 0) return drive(run, null);
      await keepAnswers(level, next.answers, saver, io.now(), { leased: runOf(run).config });
      // Imported here, so that commands which run nothing need not wait for all of LangGraph.
      const { Command } = await import("@langchain/langgraph");
      return drive(run, new Command({ resume: next.answers }), { answering: true });
    }
  }
}

/** @throws {InvalidInputError} what the thread's run did was taken back */
export async function mustNotBeUndone(saver: Drive["saver"], threadId: string): Promise<void> {
  if ((await undoneEffects(saver, threadId)).length === 0) return;
  throw new InvalidInputError(
    `What the run of thread "${threadId}" did was undone, so it cannot go on. Begin anew with ` +
      "`holdfast run --abandon`, or fork from a state before its first effect.",
  );
}

/** As `runToEnd` would have it. */
function runOf({ graph, saver, threadId, io, lease }: Drive): Run {
  const { steps } = saver;
  const { clock } = steps;
  const configurable = lease === undefined ? {} : configurableOf(lease);
  const config = { signal: io.signal, configurable };
  return { graph, saver, steps, clock, threadId, config, options: {} };
}

/** An approval is for a gate that was reached: not for the next one that may come. */
export async function mustBeAtGate(
  { saver, threadId }: Pick<Drive, "saver" | "threadId">,
  level: Level,
  gates: readonly Gate[],
): Promise<void> {
  if (gates.length > 0) return;
  const passed = await gatesOf(level, saver, threadId, { approved: "too" });
  if (passed.length > 0) return;
  throw new InvalidInputError(
    questionsOf(level).length > 0
      ? `Thread "${threadId}" stands at no gate: it asks a question, which --value answers.`
      : `Thread "${threadId}" stands at no gate yet; resume it without --approve.`,
  );
}

/** Where the thread is to go on: from its head, or from an earlier checkpoint, unless a person is asked there. */
export type Beginning = { checkpointId: string | undefined } | { outcome: Outcome };

/** @throws {InvalidInputError} what is said fits nothing there */
export async function beginningAt(
  { graph, saver, threadId }: Pick<Drive, "graph" | "saver" | "threadId">,
  checkpoint: string,
  { approved, answer }: Say,
): Promise<Beginning> {
  const { checkpointId } = await findCheckpoint(saver, threadId, checkpoint);
  const head = await mustRead({ graph, saver, threadId });
  if (checkpointId === head.tuple.checkpoint.id) return { checkpointId: undefined };
  const level = await mustRead({ graph, saver, threadId }, checkpointId);
  const gates = await gatesOf(level, saver, threadId, { approved: "again" });
  if (approved && gates.length === 0) {
    throw new InvalidInputError(`Checkpoint ${checkpointId} stands at no gate.`);
  }
  if (!approved && gates.length > 0) {
    return { outcome: { status: "waiting", gates, questions: [], at: checkpointId } };
  }
  const asked = level.tuple.pendingWrites?.some(([, channel]) => channel === INTERRUPT);
  if (answer !== undefined && asked !== true) {
    throw new InvalidInputError(
      `Checkpoint ${checkpointId} asks nothing that --value could answer.`,
    );
  }
  return { checkpointId };
}

/** Goes on from an earlier checkpoint. What was approved or answered there, was so for that branch. */
export async function goOnFrom(
  run: Drive,
  checkpointId: string,
  { answer }: Say,
): Promise<Outcome> {
  // LangGraph repeats the step on a new branch, up to its questions: only there can they be answered.
  const outcome = await drive(run, null, { checkpointId });
  if (answer === undefined || outcome.status !== "waiting" || outcome.questions.length === 0) {
    return outcome;
  }
  const head = await mustRead(run);
  return goOn({ ...run, level: head }, head, { approved: false, answer });
}
