/** Accepted runs as the commands show them. */

import type { Engine } from "../engine/engine.ts";
import { InvalidInputError, NotFoundError } from "../errors.ts";
import type {
  MultitaskStrategy,
  RunEnd,
  RunQueue,
  RunRecord,
  StoredRun,
  WorkflowState,
} from "../run-store.ts";
import { infoOf } from "../runtime/info.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { RunInfo } from "../runtime/types.ts";
import { isSettled } from "../turns.ts";
import { budgetText, type BudgetShown } from "./budget.ts";
import type { Cli } from "./cli.ts";
import type { Saver } from "./database.ts";
import { EXIT, Exit } from "./exit.ts";
import { instant } from "./format.ts";
import type { Column } from "./table.ts";
import { harmless } from "./text.ts";
import { valueLines } from "./values.ts";

/** How often a run that is followed is looked at, in milliseconds. */
export const LOOK_AGAIN = 200;

export const STATES: readonly WorkflowState[] = [
  ...(["queued", "running", "parked", "interrupted", "completed", "failed"] as const),
  ...(["cancelled", "compensating", "dead"] as const),
];

export const STRATEGIES: readonly MultitaskStrategy[] = [
  ...(["reject", "enqueue", "interrupt", "rollback"] as const),
];

export const RUN_COLUMNS: Column<RunInfo>[] = [
  { title: "RUN", value: ({ runId }) => runId, flexible: true },
  { title: "GRAPH", value: ({ graph }) => graph, flexible: true },
  { title: "THREAD", value: ({ threadId }) => threadId, flexible: true },
  { title: "STATUS", value: statusOf },
  { title: "ATTEMPT", value: ({ attempt }) => String(attempt), align: "right" },
  { title: "ACCEPTED", value: ({ enqueuedAt }) => instant(enqueuedAt) },
  { title: "NOTE", value: noteOf, flexible: true },
];

export function queueOf(saver: Saver): RunQueue {
  const { queue } = saver.steps;
  if (queue === undefined) throw new Error("The saver keeps no runs.");
  return queue;
}

/** A runtime that works on nothing: it accepts runs, and moves their rows. */
export async function runtimeOn(
  saver: Saver,
  graphs: Record<string, object> = {},
  engine?: string,
): Promise<Runtime> {
  // Imported here, so that commands which only read need not wait for all of LangGraph.
  const { createRuntime } = await import("../runtime/create-runtime.ts");
  return createRuntime({ saver, graphs, worker: false, engine: await engineOf(engine) });
}

async function engineOf(name: string | undefined): Promise<Engine> {
  const { localEngine } = await import("../engine/local.ts");
  switch (name) {
    case undefined:
      return localEngine();
    case "listen":
      return localEngine({ listen: true });
    case "pg-boss":
      return (await import("../engine/pg-boss.ts")).pgBossEngine();
    default:
      throw new InvalidInputError(`--engine is "listen" or "pg-boss", not "${name}".`);
  }
}

export async function mustReadRun(queue: RunQueue, runId: string): Promise<StoredRun> {
  const run = await queue.read(runId);
  if (run === undefined) throw new NotFoundError(`There is no run "${runId}".`);
  return run;
}

/** Looks at a run again and again until it has settled, and gives it as it then is. */
export async function follow(
  { io }: Cli,
  saver: Saver,
  runId: string,
  look: (run: StoredRun) => Promise<void> | void,
): Promise<StoredRun> {
  for (;;) {
    const run = await mustReadRun(queueOf(saver), runId);
    await look(run);
    if (isSettled(run)) return run;
    await saver.steps.clock.sleep(LOOK_AGAIN, io.signal);
  }
}

/** @throws {Exit} it did not complete */
export function exitAs({ status }: RunRecord): void {
  if (status === "interrupted") throw new Exit(EXIT.waiting);
  if (status !== "completed") throw new Exit(EXIT.failure);
}

/** A run with all that is kept of it. */
export type RunShown = RunInfo & {
  input: unknown;
  metadata: Record<string, unknown>;
  stepLimit: number | undefined;
  budget?: BudgetShown;
} & Partial<RunEnd>;

export function shown(run: StoredRun): RunShown {
  const { input, metadata, stepLimit } = run.details;
  return { ...infoOf(run), input, metadata, stepLimit, ...run.end };
}

export function runLines({ out }: Cli, run: RunShown): string[] {
  const line = (title: string, text: string | undefined): string[] =>
    text === undefined || text === "" ? [] : [`${title.padEnd(9)}  ${harmless(text)}`];
  const at = (instantAt: number | undefined): string | undefined =>
    instantAt === undefined ? undefined : instant(instantAt);
  const { attempt, crashes } = run;
  return [
    `${out.paint.bold(harmless(run.runId))}  ${statusOf(run)}`,
    ...line("graph", run.graph),
    ...line("thread", run.threadId),
    ...line("schedule", run.schedule),
    ...line("attempts", crashes === 0 ? String(attempt) : `${attempt}, ${crashes} of them died`),
    ...line("priority", run.priority === 0 ? undefined : String(run.priority)),
    ...line("accepted", at(run.enqueuedAt)),
    ...line("started", at(run.startedAt)),
    ...line("due", at(run.startAt)),
    ...line("deadline", at(run.deadlineAt)),
    ...line("ended", at(run.endedAt)),
    ...line("budget", run.budget && budgetText(run.budget)),
    ...line("note", run.reason),
    ...line("error", run.error && `${run.error.name}: ${run.error.message}`),
    ...line("undone", run.undone?.join(", ")),
    ...line("stuck", run.stuck?.join(", ")),
    "",
    ...valueLines({ input: run.input }, out.paint),
  ];
}

export function statusOf({ status, stopping }: RunInfo): string {
  return stopping ? `${status}, stopping` : status;
}

function noteOf({ status, reason, startAt }: RunInfo): string {
  const until =
    startAt !== undefined && (status === "parked" || status === "queued")
      ? [`${status === "parked" ? "until" : "from"} ${instant(startAt)}`]
      : [];
  return [...until, ...(reason === undefined ? [] : [reason])].join(": ");
}
