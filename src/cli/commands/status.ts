/** `holdfast status`: what threads are doing. */

import type { Command } from "commander";
import { Option } from "commander";
import { NotFoundError } from "../../errors.ts";
import type { WorkflowState } from "../../run-store.ts";
import type { WorkflowStatus } from "../../step-store.ts";
import type { Act, Cli } from "../cli.ts";
import { instant } from "../format.ts";
import { parseCount } from "../input.ts";
import { findThread } from "../lookup.ts";
import type { Column } from "../table.ts";
import { harmless } from "../text.ts";

const STATES: readonly WorkflowState[] = [
  ...(["queued", "running", "parked", "interrupted", "completed", "failed"] as const),
  ...(["cancelled", "compensating", "dead"] as const),
];

const COLUMNS: Column<WorkflowStatus>[] = [
  { title: "THREAD", value: ({ threadId }) => threadId, flexible: true },
  { title: "STATUS", value: ({ status }) => status },
  { title: "STEP", value: ({ currentStep }) => currentStep ?? "", flexible: true },
  { title: "ATTEMPT", value: ({ attempt }) => String(attempt ?? ""), align: "right" },
  { title: "STARTED", value: ({ startedAt }) => instant(startedAt) },
  { title: "HEARTBEAT", value: ({ lastHeartbeat }) => instant(lastHeartbeat) },
  { title: "NOTE", value: noteOf, flexible: true },
];

interface Options {
  status?: WorkflowState;
  limit?: string;
}

export function addStatus(program: Command, act: Act): void {
  program
    .command("status")
    .summary("what threads are doing")
    .description(
      "Shows what a thread is doing, or lists all, latest heartbeat first. Threads are known here " +
        "that had durable nodes, or were run by runToEnd or this command.",
    )
    .argument("[thread]", "its id, or a unique beginning of it")
    .addOption(new Option("--status <status>", "only threads that are so").choices(STATES))
    .option("-n, --limit <n>", "at most so many", "100")
    .addHelpText(
      "after",
      "\nExamples:\n  holdfast status\n  holdfast status --status failed\n  holdfast status order-42",
    )
    .action((thread: string | undefined, options: Options) =>
      act((cli) => (thread === undefined ? list(cli, options) : show(cli, thread))),
    );
}

async function list(cli: Cli, { status, limit }: Options): Promise<void> {
  const found = await (
    await cli.saver()
  ).steps.status.list({
    limit: parseCount(limit ?? "100", "--limit"),
    ...(status === undefined ? {} : { status }),
  });
  await cli.out.list(found, COLUMNS);
  if (found.length === 0) cli.out.note("No threads.");
}

async function show(cli: Cli, thread: string): Promise<void> {
  const { out } = cli;
  const saver = await cli.saver();
  const threadId = await findThread(saver, thread);
  const found = await saver.steps.status.read(threadId);
  if (found === undefined) {
    throw new NotFoundError(
      `Thread "${threadId}" has had no durable node: nothing is known of it.`,
    );
  }
  const { status, workflowName, currentStep, attempt, runId, startedAt, lastHeartbeat } = found;
  const line = (title: string, text: string | undefined): string[] =>
    text === undefined || text === "" ? [] : [`${title.padEnd(9)}  ${harmless(text)}`];
  out.one(found, () => [
    `${out.paint.bold(harmless(threadId))}  ${status}`,
    ...line("graph", workflowName),
    ...line("run", runId),
    ...line("step", currentStep),
    ...line("attempt", attempt === undefined ? undefined : String(attempt)),
    ...line("started", instant(startedAt)),
    ...line("heartbeat", instant(lastHeartbeat)),
    ...line("note", noteOf(found)),
  ]);
}

function noteOf({ errorMessage, progressPercent, progressNote }: WorkflowStatus): string {
  if (errorMessage !== undefined) return errorMessage;
  const percent = progressPercent === undefined ? [] : [`${Math.round(progressPercent)} %`];
  return [...percent, ...(progressNote === undefined ? [] : [progressNote])].join(" ");
}
