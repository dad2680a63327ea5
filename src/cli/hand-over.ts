/**
 * Threads that are in a run which was accepted: by this command line, which goes on with it, or by a
 * runtime. The latter are for workers to run, and not for this command: what a person says is stored, and
 * wakes the run.
 */

import { InvalidInputError } from "../errors.ts";
import { configFor } from "../history/address.ts";
import { chooseAnswers } from "../run/answers.ts";
import { gatesOf } from "../run/gate.ts";
import { askAtGates } from "../run/inbox-gates.ts";
import { isFinished, questionsOf, readLevel, type Level } from "../run/tasks.ts";
import type { RunRecord, StoredRun } from "../run-store.ts";
import { checkedConfigurable } from "../runtime/configurable.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { approvals } from "../steps/inbox.ts";
import { deliverEvents } from "../steps/deliver-events.ts";
import { amend, isOver, stop } from "../turns.ts";
import { attend } from "./attend.ts";
import type { Cli } from "./cli.ts";
import type { Saver } from "./database.ts";
import type { Outcome } from "./drive.ts";
import { mustBeAtGate, mustNotBeUndone, type Say } from "./go-on.ts";
import type { Graph } from "./graph.ts";
import { mustReadRun, queueOf, runtimeOn } from "./runs.ts";
import { harmless } from "./text.ts";

/** A run of a thread, as the command line meets it. */
export interface Accepted {
  run: StoredRun;
  /** `holdfast run` accepted it: it is for the command line to go on with. */
  isAttended: boolean;
}

/** The run that the thread is in; undefined where none has begun that is not over. */
export async function acceptedRun(saver: Saver, threadId: string): Promise<Accepted | undefined> {
  const queue = queueOf(saver);
  const open = (await queue.list({ threadId })).filter((run) => !isOver(run));
  // Latest first; one that a worker has begun goes before those that wait behind it.
  const first = open.findLast(({ attempt }) => attempt > 0) ?? open.at(-1);
  if (first === undefined) return undefined;
  const run = await mustReadRun(queue, first.runId);
  const isAttended = run.details.attended === true;
  return run.attempt > 0 || isAttended ? { run, isAttended } : undefined;
}

/**
 * The thread's latest run, where the command line accepted it and it ended without success: going on with
 * the thread is going on with it. Not where it gave way to another branch.
 */
export async function failedRun(saver: Saver, threadId: string): Promise<StoredRun | undefined> {
  const queue = queueOf(saver);
  const [latest] = await queue.list({ threadId, limit: 1 });
  if (latest === undefined || !isOver(latest) || latest.status === "completed") return undefined;
  if (latest.reason === GAVE_WAY) return undefined;
  const run = await mustReadRun(queue, latest.runId);
  return run.details.attended === true ? run : undefined;
}

/** @throws {InvalidInputError} it is for workers to run */
export async function mustBeOurs(cli: Cli, saver: Saver, threadId: string): Promise<void> {
  const accepted = await acceptedRun(saver, threadId);
  if (accepted !== undefined && !accepted.isAttended) throw notOurs(cli, accepted.run);
}

/** As {@link mustBeOurs}, with what workers have not begun yet. @returns the runs that are not over */
export async function mustAllBeOurs(
  cli: Cli,
  saver: Saver,
  threadId: string,
): Promise<StoredRun[]> {
  const queue = queueOf(saver);
  const open = (await queue.list({ threadId })).filter((run) => !isOver(run));
  const runs = await Promise.all(open.map(({ runId }) => mustReadRun(queue, runId)));
  const other = runs.find(({ details }) => details.attended !== true);
  if (other !== undefined) throw notOurs(cli, other);
  return runs;
}

function notOurs(cli: Cli, { threadId, runId, graph, status }: RunRecord): InvalidInputError {
  return new InvalidInputError(
    `Thread "${threadId}" has run "${runId}", which is ${status} and done by workers. ` +
      `End it with \`${cli.again("runs", "cancel", runId)}\`, or begin another behind it with ` +
      `\`${cli.again("runs", "start", graph, "--thread", threadId)}\`.`,
  );
}

/** Says to a run what a person said to its thread. */
export async function handOver(
  cli: Cli,
  run: StoredRun,
  { graph, level, saver }: { graph: Graph; level: Level; saver: Saver },
  say: Say,
): Promise<void> {
  const { threadId, runId } = run;
  const runtime = await runtimeOn(saver, { [run.graph]: graph });
  await tell(cli, runtime, { graph, level, saver, threadId }, say);
  const { status } = await runtime.run(runId);
  cli.out.one({ threadId, runId, status }, () => [`${harmless(runId)}  ${status}`]);
  cli.out.note(`A worker goes on with it; wait for it with: ${cli.again("runs", "wait", runId)}`);
}

interface Place {
  graph: Graph;
  saver: Saver;
  threadId: string;
}

interface GoOn {
  say: Say;
  /** Beside what the run has, from now on. */
  configurable: Record<string, unknown>;
  stepLimit: number | undefined;
}

/** Goes on with a run of the command line, in this process. */
export async function goOnHere(
  cli: Cli,
  run: StoredRun,
  { graph, saver, threadId }: Place,
  { say, configurable, stepLimit }: GoOn,
): Promise<Outcome> {
  const { runId, details } = run;
  const queue = queueOf(saver);
  const level = await readLevel(graph, saver, threadId);
  const runtime = await runtimeOn(saver, { [run.graph]: graph });
  if (isOver(run)) {
    const hasBegun = await queue.hasBegun(threadId, runId);
    if (hasBegun && level !== undefined && isFinished(level)) return { status: "done" };
    await mustNotBeUndone(saver, threadId);
    await runtime.retry(runId);
  }
  if (Object.keys(configurable).length > 0 || stepLimit !== undefined) {
    await queue.turn(threadId, (turn) => amend(turn, runId), {
      runId,
      details: {
        ...details,
        configurable: { ...details.configurable, ...checkedConfigurable(configurable) },
        stepLimit: stepLimit ?? details.stepLimit,
      },
    });
  }
  // Events that have come may be what it waits for.
  await deliverEvents(saver.steps);
  if (level !== undefined) await tell(cli, runtime, { graph, level, saver, threadId }, say);
  return attend(cli, { saver, graph, runtime, threadId, runId });
}

/** Why a run ended whose thread was made to go on from another state. */
const GAVE_WAY = "the thread goes on from another state";

/** A run of the command line that is not over ends; nothing is undone. */
export async function giveWay(cli: Cli, { graph, saver, threadId }: Place): Promise<void> {
  const accepted = await acceptedRun(saver, threadId);
  if (accepted?.isAttended !== true) return;
  const { runId, graph: name } = accepted.run;
  const runtime = await runtimeOn(saver, { [name]: graph });
  await queueOf(saver).turn(threadId, (turn) => stop(turn, runId, "interrupt", GAVE_WAY), {
    runId,
  });
  await attend(cli, { saver, graph, runtime, threadId, runId });
}

/** What a person said is stored, and the run is due. */
async function tell(
  cli: Cli,
  runtime: Runtime,
  { graph, level, saver, threadId }: Place & { level: Level },
  say: Say,
): Promise<void> {
  if (say.approved) await approve(cli, { graph, level, saver, threadId });
  if (say.answer === undefined) {
    if (!say.approved) await runtime.resume(threadId);
    return;
  }
  const { value, interruptId } = say.answer;
  const questions = questionsOf(level);
  if (questions.length === 0) {
    throw new InvalidInputError(`Thread "${threadId}" asks nothing that --value could answer.`);
  }
  await runtime.resume(threadId, chooseAnswers(questions, value, interruptId));
}

async function approve(
  { io }: Cli,
  { graph, level, saver, threadId }: Place & { level: Level },
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
