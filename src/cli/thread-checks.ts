/**
 * What `holdfast doctor THREAD` looks at: the cases of docs/troubleshooting.md, each by what is stored.
 * Only reads, and needs no graph.
 */

import { ERROR } from "@langchain/langgraph-checkpoint";
import type { EffectRow } from "../effect-store.ts";
import { stuck } from "../effects/stuck.ts";
import { isHoldfastError } from "../errors.ts";
import { processOf, systemProcesses } from "../process.ts";
import type { Overdue, Pulse } from "../pulse-store.ts";
import type { RunRecord } from "../run-store.ts";
import type { Lease, WorkflowStatus } from "../step-store.ts";
import { listBreakers } from "../steps/breakers.ts";
import { listBudgets } from "../steps/budgets.ts";
import { isOver } from "../turns.ts";
import { fail, ok, warn, type Check } from "./check.ts";
import type { Cli } from "./cli.ts";
import type { Saver } from "./database.ts";
import { describeError } from "./exit.ts";
import { bytes, count, instant } from "./format.ts";
import { queueOf } from "./runs.ts";
import { withAttendance, explain, holdOf, judge, pulsesOf, untaken } from "./standstill.ts";

/** Without a sign of life for so long, a node may hang; in milliseconds. */
const SILENT = 5 * 60_000;
/** A run that is due and not taken for so long has no worker. */
const UNTAKEN = 10_000;
const MANY = 1_000;

interface Patient {
  cli: Cli;
  saver: Saver;
  threadId: string;
  now: number;
}

export async function* checkThread(
  cli: Cli,
  saver: Saver,
  threadId: string,
): AsyncGenerator<Check> {
  const patient = { cli, saver, threadId, now: await saver.steps.now() };
  yield* checkRuns(patient);
  yield* checkWork(patient);
  yield* checkQuestions(patient);
  yield* checkState(patient);
  yield* checkEffects(patient);
  yield* checkBudgets(patient);
  yield await checkSize(patient);
}

/** The runs that a runtime accepted for it. */
async function* checkRuns(patient: Patient): AsyncGenerator<Check> {
  const { cli, saver, threadId, now } = patient;
  const runs = await queueOf(saver).list({ threadId, limit: MANY });
  const [latest] = runs;
  if (latest === undefined) return;
  const open = runs.filter((run) => !isOver(run)).toReversed();
  const dead = runs.filter(({ status }) => status === "dead");
  for (const { runId, crashes } of dead) {
    yield fail(
      `run ${runId}`,
      `dead: its workers died ${count(crashes, "time")} in a row; see why, then ${cli.again("runs", "revive", runId)}`,
    );
  }
  if (open.length === 0 && dead.length === 0) {
    const { runId, status, reason } = latest;
    const detail = reason === undefined ? status : `${status}: ${reason}`;
    yield status === "failed"
      ? fail(`run ${runId}`, `${detail}; after mending it: ${cli.again("runs", "retry", runId)}`)
      : ok(`run ${runId}`, detail);
  }
  const [first, ...behind] = open;
  if (first === undefined) return;
  const overdue = await pulsesOf(saver).overdue({ threadId, before: now - UNTAKEN });
  const overdueOf = (run: RunRecord): Overdue | undefined =>
    overdue.find((each) => each.run.runId === run.runId);
  yield await checkOpen(patient, first, overdueOf(first));
  for (const run of behind) {
    const late = overdueOf(run);
    yield late === undefined
      ? ok(`run ${run.runId}`, `queued behind run ${first.runId}, which is ${first.status}`)
      : await checkOpen(patient, run, late);
  }
}

async function checkOpen(
  { cli, saver, now }: Patient,
  run: RunRecord,
  overdue: Overdue | undefined,
): Promise<Check> {
  const { runId, status, startAt, reason } = run;
  const what = `run ${runId}`;
  const because = reason === undefined ? "" : `: ${reason}`;
  if (status === "interrupted") return warn(what, `interrupted${because}`);
  if (startAt === undefined || status === "running" || status === "compensating") {
    return ok(what, `${status}${because}`);
  }
  if (startAt > now) return ok(what, `${status} until ${instant(startAt)}${because}`);
  return overdue === undefined
    ? ok(what, `${status}, due`)
    : fail(what, explain(cli, await withAttendance(saver, untaken(overdue))));
}

/** "It hangs at one node." */
async function* checkWork(patient: Patient): AsyncGenerator<Check> {
  const { saver, threadId } = patient;
  const { steps } = saver;
  const [found, lease, [pulse]] = await Promise.all([
    steps.status.read(threadId),
    steps.leases?.read(threadId),
    pulsesOf(saver).atWork({ threadId }),
  ]);
  if (found === undefined) {
    yield holdOf(lease, patient.now) === "expired"
      ? fail("step", `its process is gone: ${patient.cli.again("resume", threadId)}`)
      : ok("step", "no durable node has run on it");
    return;
  }
  const { status, currentStep, progressNote, errorMessage } = found;
  const where = currentStep === undefined ? "" : ` at ${currentStep}`;
  // A worker may have died before it noted that it began.
  switch (pulse?.runId === undefined ? status : pulse.status) {
    case "running":
    case "compensating":
      yield await working(patient, found, lease, pulse);
      return;
    case "parked":
      yield ok("step", `parked${where}: ${progressNote ?? "waits for a time"}`);
      yield* checkBreaker(saver, found);
      return;
    case "failed":
      yield fail("step", `failed${where}: ${errorMessage ?? "unknown error"}`);
      return;
    default:
      yield ok("step", `${status}${where}${errorMessage === undefined ? "" : `: ${errorMessage}`}`);
  }
}

async function working(
  { cli, saver, now }: Patient,
  { threadId, status, currentStep, lastHeartbeat }: WorkflowStatus,
  lease: Lease | undefined,
  pulse: Pulse | undefined,
): Promise<Check> {
  const what = `${pulse?.status ?? status}${currentStep === undefined ? "" : ` at ${currentStep}`}`;
  const by = lease === undefined ? ", under no lease" : "";
  // Its status may be behind its run.
  const noted = { threadId, runId: undefined, graph: undefined, step: currentStep };
  const heard = pulse ?? { ...noted, status: "running", heardAt: lastHeartbeat, lease };
  const found = judge(heard, now, { silent: SILENT, orphaned: -Infinity });
  if (found === undefined) return ok("step", `${what}${by || `, by ${lease?.owner}`}`);
  const isGone = found.kind === "orphaned";
  const detail = `${what}${by}, ${isGone ? "and " : ""}${explain(cli, await withAttendance(saver, found))}`;
  return found.lease === "renewed" ? warn("step", detail) : fail("step", detail);
}

async function* checkBreaker(
  saver: Saver,
  { progressNote }: WorkflowStatus,
): AsyncGenerator<Check> {
  for (const { name, state, failures } of await listBreakers(saver.steps)) {
    if (state === "closed" || progressNote?.includes(name) !== true) continue;
    yield warn(`breaker ${name}`, `${state} after ${count(failures, "failure")}`);
  }
}

async function* checkQuestions({ cli, saver, threadId, now }: Patient): AsyncGenerator<Check> {
  const open = (await saver.steps.approvals?.list({ threadId, status: "pending" })) ?? [];
  for (const { id, title, deadlineAt, createdAt } of open) {
    const until = deadlineAt === undefined ? "" : `, until ${instant(deadlineAt)}`;
    yield deadlineAt !== undefined && deadlineAt < now
      ? warn(`question ${id}`, `"${title}" is overdue since ${instant(deadlineAt)}`)
      : warn(
          `question ${id}`,
          `"${title}", asked ${instant(createdAt)}${until}: ${cli.again("approvals", "show", id)}`,
        );
  }
}

/** Whether its latest checkpoint can be read, and what failed there. */
async function* checkState({ saver, threadId }: Patient): AsyncGenerator<Check> {
  try {
    const tuple = await saver.getTuple({ configurable: { thread_id: threadId } });
    if (tuple === undefined) {
      yield warn("state", "it has no checkpoint");
      return;
    }
    yield ok("state", `latest checkpoint ${tuple.checkpoint.id}, of ${tuple.checkpoint.ts}`);
    const errors = (tuple.pendingWrites ?? []).filter(([, channel]) => channel === ERROR);
    for (const [task, , error] of errors) {
      const { message } = (error ?? {}) as { message?: unknown };
      yield warn("task", `${task} has failed: ${String(message)}`);
    }
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    yield fail("state", describeError(error));
  }
}

/** "The same step ran twice", "an outcome is unknown", "a compensation is stuck". */
async function* checkEffects({ cli, saver, threadId }: Patient): AsyncGenerator<Check> {
  const rows = (await saver.steps.effects?.list({ threadId, kind: "effect", limit: MANY })) ?? [];
  if (rows.length > 0) yield ok("effects", count(rows.length, "effect"));
  const now = await saver.steps.now();
  for (const row of rows) {
    const { name, idempotencyKey: id, generation } = row;
    if (isUnknown(row, now)) {
      yield fail(
        `effect ${name}`,
        `nobody knows whether it was performed (${id}): ${cli.again("effects", "show", id)}, then ${cli.again("resume", threadId)}`,
      );
    }
    if (generation > 1) {
      yield warn(
        `effect ${name}`,
        `generation ${generation}: it was taken back, and then performed again (${id})`,
      );
    }
  }
  for (const same of Map.groupBy(rows, ({ name, args }) => JSON.stringify([name, args])).values()) {
    const [first] = same;
    const keys = new Set(same.flatMap(({ key }) => key ?? []));
    if (first === undefined || keys.size < 2) continue;
    yield warn(
      `effect ${first.name}`,
      `performed ${count(keys.size, "time")} with the same arguments under different keys (${[...keys].slice(0, 3).join(", ")}): keys are the business's own, not random`,
    );
  }
  for (const { id, effect, error } of await stuck(saver, threadId)) {
    yield fail(`undo of ${effect}`, `stuck: ${error}; ${cli.again("stuck", "retry", id)}`);
  }
}

function isUnknown({ state, process, expiresAt }: EffectRow, now: number): boolean {
  if (state === "unknown") return true;
  if (state !== "claimed") return false;
  return (expiresAt !== undefined && expiresAt < now) || systemProcesses.isDead(processOf(process));
}

/** "Tokens are spent, and nothing comes of it." */
async function* checkBudgets({ saver, threadId }: Patient): AsyncGenerator<Check> {
  for (const { name, per, exceeded, spent, raisedTo } of await listBudgets(saver.steps, {
    threadId,
  })) {
    for (const [unit, limit] of Object.entries(exceeded)) {
      const key = unit as keyof typeof exceeded;
      if ((raisedTo[key] ?? 0) > limit) continue;
      yield warn(
        `budget ${name}`,
        `of the ${per}: ${spent[key] ?? 0} of ${limit} ${unit} spent, and more was asked for`,
      );
    }
  }
}

async function checkSize({ saver, threadId }: Patient): Promise<Check> {
  const stats = await saver.stats(threadId);
  return ok("size", `${count(stats.checkpoints, "checkpoint")}, ${bytes(stats.bytes)}`);
}
