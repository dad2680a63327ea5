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
import { STATES } from "../runs.ts";
import type { Column } from "../table.ts";
import { harmless } from "../text.ts";
import { watch } from "../watch.ts";

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
  limit: string;
  watch?: boolean;
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
    .option("-w, --watch", "again every second, until Ctrl-C; not on a terminal: changes, as jsonl")
    .addHelpText(
      "after",
      `
Examples:
  holdfast status --watch
  holdfast status --status failed
  holdfast status order-42`,
    )
    .action((thread: string | undefined, options: Options) =>
      act((cli) => (thread === undefined ? list(cli, options) : show(cli, thread, options))),
    );
}

async function list(cli: Cli, { status, limit, ...options }: Options): Promise<void> {
  const { out } = cli;
  const { steps } = await cli.saver();
  const query = {
    limit: parseCount(limit, "--limit"),
    ...(status === undefined ? {} : { status }),
  };
  if (options.watch === true) {
    return watch(cli, steps.clock, {
      read: () => steps.status.list(query),
      idOf: ({ threadId }) => threadId,
      lines: (rows) => (rows.length === 0 ? ["No threads."] : out.table(rows, COLUMNS)),
    });
  }
  const count = await out.list(await steps.status.list(query), COLUMNS);
  if (count === 0) out.note("No threads.");
}

async function show(cli: Cli, thread: string, options: Options): Promise<void> {
  const saver = await cli.saver();
  const threadId = await findThread(saver, thread);
  const read = async (): Promise<WorkflowStatus> => {
    const found = await saver.steps.status.read(threadId);
    if (found !== undefined) return found;
    throw new NotFoundError(
      `Thread "${threadId}" has had no durable node: nothing is known of it.`,
    );
  };
  if (options.watch === true) {
    return watch(cli, saver.steps.clock, {
      read: async () => [await read()],
      idOf: () => threadId,
      lines: (rows) => rows.flatMap((found) => lines(cli, found)),
    });
  }
  const found = await read();
  cli.out.one(found, () => lines(cli, found));
}

function lines({ out }: Cli, found: WorkflowStatus): string[] {
  const { threadId, status, workflowName, currentStep, attempt, runId } = found;
  const line = (title: string, text: string | undefined): string[] =>
    text === undefined || text === "" ? [] : [`${title.padEnd(9)}  ${harmless(text)}`];
  return [
    `${out.paint.bold(harmless(threadId))}  ${status}`,
    ...line("graph", workflowName),
    ...line("run", runId),
    ...line("step", currentStep),
    ...line("attempt", attempt === undefined ? undefined : String(attempt)),
    ...line("started", instant(found.startedAt)),
    ...line("heartbeat", instant(found.lastHeartbeat)),
    ...line("note", noteOf(found)),
  ];
}

function noteOf({ errorMessage, progressPercent, progressNote }: WorkflowStatus): string {
  if (errorMessage !== undefined) return errorMessage;
  const percent = progressPercent === undefined ? [] : [`${Math.round(progressPercent)} %`];
  return [...percent, ...(progressNote === undefined ? [] : [progressNote])].join(" ");
}
