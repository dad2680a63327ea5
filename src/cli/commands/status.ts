/** `holdfast status`: what threads are doing. */

import type { Command } from "commander";
import { Option } from "commander";
import { NotFoundError } from "../../errors.ts";
import type { WorkflowState } from "../../run-store.ts";
import type { WorkflowStatus } from "../../step-store.ts";
import type { Act, Cli } from "../cli.ts";
import { instant } from "../format.ts";
import { parseCount, parseMilliseconds } from "../input.ts";
import { findThread } from "../lookup.ts";
import { STATES } from "../runs.ts";
import { SILENT, explain, silences, type Standstill } from "../standstill.ts";
import type { Column } from "../table.ts";
import { harmless } from "../text.ts";
import { watch } from "../watch.ts";

/** A thread, and since when nothing was heard of it, where that is long. */
type Shown = WorkflowStatus & Partial<{ silentSince: number; lease: Standstill["lease"] }>;

interface Single {
  found: Shown;
  silence: Standstill | undefined;
}

const COLUMNS: Column<Shown>[] = [
  { title: "THREAD", value: ({ threadId }) => threadId, flexible: true },
  { title: "STATUS", value: ({ status }) => status },
  { title: "STEP", value: ({ currentStep }) => currentStep ?? "", flexible: true },
  { title: "ATTEMPT", value: ({ attempt }) => String(attempt ?? ""), align: "right" },
  { title: "STARTED", value: ({ startedAt }) => instant(startedAt) },
  { title: "HEARTBEAT", value: ({ lastHeartbeat }) => instant(lastHeartbeat) },
  { title: "NOTE", value: listNoteOf, flexible: true },
];

interface Options {
  status?: WorkflowState;
  limit: string;
  silent: string;
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
    .option("--silent <time>", "marks those at work of which nothing was heard for so long", SILENT)
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
  const saver = await cli.saver();
  const { steps } = saver;
  const query = {
    limit: parseCount(limit, "--limit"),
    ...(status === undefined ? {} : { status }),
  };
  const silent = parseMilliseconds(options.silent, "--silent");
  const read = async (): Promise<Shown[]> => {
    const [rows, silence] = await Promise.all([
      steps.status.list(query),
      silences(saver, { silent }),
    ]);
    return rows.map((row) => shownWith(row, silence.get(row.threadId)));
  };
  if (options.watch === true) {
    return watch(cli, steps.clock, {
      read,
      idOf: ({ threadId }) => threadId,
      lines: (rows) => (rows.length === 0 ? ["No threads."] : out.table(rows, COLUMNS)),
    });
  }
  const count = await out.list(await read(), COLUMNS);
  if (count === 0) out.note("No threads.");
}

async function show(cli: Cli, thread: string, options: Options): Promise<void> {
  const saver = await cli.saver();
  const threadId = await findThread(saver, thread);
  const silent = parseMilliseconds(options.silent, "--silent");
  const read = async (): Promise<Single> => {
    const found = await saver.steps.status.read(threadId);
    if (found !== undefined) {
      const silence = (await silences(saver, { silent, threadId })).get(threadId);
      return { found: shownWith(found, silence), silence };
    }
    throw new NotFoundError(
      `Thread "${threadId}" has had no durable node: nothing is known of it.`,
    );
  };
  if (options.watch === true) {
    let last: Single | undefined;
    return watch(cli, saver.steps.clock, {
      read: async () => {
        last = await read();
        return [last.found];
      },
      idOf: () => threadId,
      lines: () => (last === undefined ? [] : lines(cli, last)),
    });
  }
  const single = await read();
  cli.out.one(single.found, () => lines(cli, single));
}

/** A copy: what is not silent looks as it always did. */
function shownWith(found: WorkflowStatus, silence: Standstill | undefined): Shown {
  return { ...found, ...(silence && { silentSince: silence.since, lease: silence.lease }) };
}

function lines(cli: Cli, { found, silence }: Single): string[] {
  const { out } = cli;
  const { threadId, status, workflowName, currentStep, attempt, runId, worker } = found;
  const line = (title: string, text: string | undefined): string[] =>
    text === undefined || text === "" ? [] : [`${title.padEnd(9)}  ${harmless(text)}`];
  return [
    `${out.paint.bold(harmless(threadId))}  ${status}`,
    ...line("graph", workflowName),
    ...line("run", runId),
    ...line("worker", worker),
    ...line("step", currentStep),
    ...line("attempt", attempt === undefined ? undefined : String(attempt)),
    ...line("started", instant(found.startedAt)),
    ...line("heartbeat", instant(found.lastHeartbeat)),
    ...line("silent", silence && explain(cli, silence)),
    ...line("note", noteOf(found)),
  ];
}

function listNoteOf(found: Shown): string {
  const { silentSince } = found;
  const silence = silentSince === undefined ? [] : [`silent since ${instant(silentSince)}`];
  return [...silence, noteOf(found)].filter((part) => part !== "").join(": ");
}

function noteOf({ errorMessage, progressPercent, progressNote }: WorkflowStatus): string {
  if (errorMessage !== undefined) return errorMessage;
  const percent = progressPercent === undefined ? [] : [`${Math.round(progressPercent)} %`];
  return [...percent, ...(progressNote === undefined ? [] : [progressNote])].join(" ");
}
