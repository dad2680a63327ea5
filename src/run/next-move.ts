/** What is to be done with a thread that does not run: invoke it, wait, ask a person, or nothing. */

import type { Approval } from "../approval-store.ts";
import { RejectedError, markExhausted } from "../errors.ts";
import { decisionOf } from "../steps/approval-rules.ts";
import { withLeaseOf } from "../step-store.ts";
import { isParked, type Parked } from "../steps/wait.ts";
import { recallAnswers, type Answers } from "./answers.ts";
import { approve, gatesOf, type Gate } from "./gate.ts";
import { askAtGates, closeGates } from "./inbox-gates.ts";
import type { Run } from "./run.ts";
import { isFinished, mustBeAnswered, questionsOf, readLevel } from "./tasks.ts";
import type { Level, Question } from "./tasks.ts";

export type Move =
  | { move: "done" }
  | { move: "ask"; gates: Gate[]; questions: Question[] }
  | { move: "park"; resumeAt: number; reason: string }
  | { move: "wait"; until: number }
  | { move: "invoke"; answers: Answers }
  /** A person said no at a gate. */
  | { move: "reject"; error: Error };

/**
 * @param said what the caller said for where the thread stands now: that its gate may be passed, and
 *   answers by the ids of questions; `ran` where it was run up to its questions just now
 */
export async function nextMove(
  run: Run,
  level: Level,
  said: { approve: boolean; answers: Answers; ran?: boolean },
): Promise<Move> {
  if (isFinished(level)) return { move: "done" };
  const passed = await passGates(run, level, said.approve);
  if (passed.move !== "invoke") return passed;
  if (passed.isNew) return { move: "invoke", answers: {} };

  const questions = questionsOf(level).filter(({ value }) => !isParked(value));
  const answers = { ...(await recallAnswers(level, run.saver, run.threadId)), ...said.answers };
  const open = new Set(questions.map(({ id }) => id));
  for (const id of Object.keys(answers)) if (!open.has(id)) delete answers[id];
  if (Object.keys(answers).length > 0) return { move: "invoke", answers };
  const mustRun = said.ran
    ? level.tasks.some(({ done, question }) => !done && question === undefined)
    : !mustBeAnswered(level);
  if (mustRun) return { move: "invoke", answers };
  for (const question of questions) {
    if (await isDecided(run, question)) return { move: "invoke", answers };
  }
  if (await hasHeard(run, level)) return { move: "invoke", answers };
  return waitFor(run, level, questions);
}

/** All that is open waits for a person or for a time. */
function waitFor(run: Run, level: Level, questions: Question[]): Move {
  const parks = parksOf(level);
  const [next] = parks.toSorted((a, b) => a.resumeAt - b.resumeAt);
  if (next === undefined) return { move: "ask", gates: [], questions };
  const { resumeAt, reason } = next;
  if (resumeAt <= run.clock.now()) return { move: "invoke", answers: {} };
  if (questions.length > 0) return { move: "ask", gates: [], questions };
  if (run.options.park === true) return { move: "park", resumeAt, reason };
  // For an event a node waits itself, where it is not parked.
  return parks.some(({ waits }) => waits !== undefined)
    ? { move: "invoke", answers: {} }
    : { move: "wait", until: resumeAt };
}

function parksOf(level: Level): Parked[] {
  return questionsOf(level)
    .map(({ value }) => value)
    .filter(isParked);
}

/** Whether an event has come that something waits for. */
async function hasHeard({ steps }: Run, level: Level): Promise<boolean> {
  const waits = parksOf(level).flatMap((park) => park.waits ?? []);
  return waits.length > 0 && (await steps?.events?.heard(waits)) === true;
}

/** Whether the inbox has an answer to an `approval()`, or its time is up. */
async function isDecided({ steps }: Run, { id, value }: Question): Promise<boolean> {
  const kind = (value as { kind?: unknown } | null)?.kind;
  if (id === undefined || steps?.approvals === undefined || kind !== "approval") return false;
  const approval = await steps.approvals.read(id);
  if (approval === undefined) return true;
  const isLate = approval.deadlineAt !== undefined && approval.deadlineAt <= (await steps.now());
  return approval.status !== "pending" || isLate;
}

/** `isNew`: an edit at a gate has made another checkpoint. */
async function passGates(
  run: Run,
  level: Level,
  onTheSpot: boolean,
): Promise<Exclude<Move, { move: "invoke" }> | { move: "invoke"; isNew: boolean }> {
  const { graph, saver, steps, threadId } = run;
  const gates = await gatesOf(level, saver, threadId);
  if (gates.length === 0) return { move: "invoke", isNew: false };
  const inbox = steps?.approvals;
  if (onTheSpot) {
    if (steps !== undefined && inbox !== undefined) {
      await closeGates(steps, inbox, threadId, gates);
    }
    await approve(level, gates, saver, run.config);
    return { move: "invoke", isNew: false };
  }
  const { values } = await graph.getState({ configurable: { thread_id: threadId } });
  const asked =
    steps === undefined || inbox === undefined
      ? undefined
      : await askAtGates(steps, inbox, threadId, gates, values);
  const said = gates.map((gate) => asked?.get(gate));
  const no = said.find((approval) => approval?.status === "rejected");
  if (no !== undefined) return { move: "reject", error: rejectionOf(no) };
  if (!said.every((approval) => approval?.status === "approved")) {
    return { move: "ask", gates, questions: questionsOf(level).filter(isForPeople) };
  }
  const edits = said.flatMap((approval) => editOf(approval));
  if (edits.length === 0) {
    await approve(level, gates, saver, run.config);
    return { move: "invoke", isNew: false };
  }
  for (const edit of edits) {
    const at = withLeaseOf({ configurable: { thread_id: threadId } }, run.config);
    await graph.updateState(at, edit);
  }
  const edited = await readLevel(graph, saver, threadId);
  if (edited !== undefined) {
    await approve(edited, await gatesOf(edited, saver, threadId), saver, run.config);
  }
  return { move: "invoke", isNew: true };
}

function isForPeople({ value }: Question): boolean {
  return !isParked(value);
}

/** What an approval with an edit puts into the state. */
function editOf(approval: Approval | undefined): unknown[] {
  const answer = approval === undefined ? undefined : decisionOf(approval);
  return answer?.verb === "edit" ? [answer.value] : [];
}

function rejectionOf(approval: Approval): Error {
  const answer = decisionOf(approval);
  return markExhausted(new RejectedError(approval.id, approval.title, answer?.by, answer?.reason));
}
