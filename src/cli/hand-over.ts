/**
 * Threads whose runs a runtime accepted. Workers run them, and not this command: what a person says is
 * stored, and wakes the run.
 */

import { InvalidInputError } from "../errors.ts";
import { configFor } from "../history/address.ts";
import { chooseAnswers } from "../run/answers.ts";
import { gatesOf } from "../run/gate.ts";
import { askAtGates } from "../run/inbox-gates.ts";
import { questionsOf, type Level } from "../run/tasks.ts";
import type { RunRecord } from "../run-store.ts";
import { approvals } from "../steps/inbox.ts";
import { isOver } from "../turns.ts";
import type { Cli } from "./cli.ts";
import type { Saver } from "./database.ts";
import { mustBeAtGate, type Say } from "./go-on.ts";
import type { Graph } from "./graph.ts";
import { queueOf, runtimeOn } from "./runs.ts";
import { harmless } from "./text.ts";

/** The run that the thread is in; undefined where no worker has begun one that is not over. */
export async function acceptedRun(saver: Saver, threadId: string): Promise<RunRecord | undefined> {
  const runs = await queueOf(saver).list({ threadId });
  return runs.findLast((run) => !isOver(run) && run.attempt > 0);
}

/** @throws {InvalidInputError} it is for workers to run */
export async function mustBeOurs(cli: Cli, saver: Saver, threadId: string): Promise<void> {
  const run = await acceptedRun(saver, threadId);
  if (run === undefined) return;
  throw new InvalidInputError(
    `Thread "${threadId}" has run "${run.runId}", which is ${run.status} and done by workers. ` +
      `End it with \`${cli.again("runs", "cancel", run.runId)}\`, or begin another behind it with ` +
      `\`${cli.again("runs", "start", run.graph, "--thread", threadId)}\`.`,
  );
}

/** Says to a run what a person said to its thread. */
export async function handOver(
  cli: Cli,
  run: RunRecord,
  { graph, level, saver }: { graph: Graph; level: Level; saver: Saver },
  say: Say,
): Promise<void> {
  const { threadId, runId } = run;
  const runtime = await runtimeOn(saver, { [run.graph]: graph });
  if (say.approved) await approve(cli, { graph, level, saver, threadId });
  if (say.answer !== undefined) {
    const { value, interruptId } = say.answer;
    const questions = questionsOf(level);
    if (questions.length === 0) {
      throw new InvalidInputError(`Thread "${threadId}" asks nothing that --value could answer.`);
    }
    await runtime.resume(threadId, chooseAnswers(questions, value, interruptId));
  }
  if (!say.approved && say.answer === undefined) await runtime.resume(threadId);
  const { status } = await runtime.run(runId);
  cli.out.one({ threadId, runId, status }, () => [`${harmless(runId)}  ${status}`]);
  cli.out.note(`A worker goes on with it; wait for it with: ${cli.again("runs", "wait", runId)}`);
}

async function approve(
  { io }: Cli,
  { graph, level, saver, threadId }: { graph: Graph; level: Level; saver: Saver; threadId: string },
): Promise<void> {
  const gates = await gatesOf(level, saver, threadId);
  await mustBeAtGate({ saver, threadId }, level, gates);
  const { steps } = saver;
  if (steps.approvals === undefined) throw new Error("The saver keeps no approvals.");
  const { values } = await graph.getState(configFor(threadId, ""));
  const asked = await askAtGates(steps, steps.approvals, threadId, gates, values);
  const by = io.env["USER"];
  for (const { id, status } of asked.values()) {
    if (status !== "pending") continue;
    await approvals(saver).approve(id, by === undefined || by === "" ? {} : { by });
  }
}
