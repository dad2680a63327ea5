import type { Command } from "commander";
import type { Act, Cli } from "../../cli.ts";
import { budgetShown } from "../../budget.ts";
import { findRun } from "../../lookup.ts";
import { mustReadRun, queueOf, runLines, shown, type RunShown } from "../../runs.ts";
import { watch } from "../../watch.ts";

export function addGet(runs: Command, act: Act): void {
  runs
    .command("get")
    .description(
      "Shows one run: how it stands, what of its budget is used, its input, and how it ended.",
    )
    .argument("<run>", "its id, or a unique beginning of it")
    .option("-w, --watch", "again every second, until Ctrl-C; not on a terminal: changes, as jsonl")
    .addHelpText(
      "after",
      "\nExamples:\n  holdfast runs get 4be1\n  holdfast runs get 4be1 -o json | jq .status",
    )
    .action((run: string, options: { watch?: boolean }) => act((cli) => get(cli, run, options)));
}

async function get(cli: Cli, asked: string, options: { watch?: boolean }): Promise<void> {
  const saver = await cli.saver();
  const queue = queueOf(saver);
  const runId = await findRun(queue, asked);
  const read = async (): Promise<RunShown> => {
    const run = await mustReadRun(queue, runId);
    const budget = await budgetShown(saver, run);
    return { ...shown(run), ...(budget && { budget }) };
  };
  if (options.watch === true) {
    return watch(cli, saver.steps.clock, {
      read: async () => [await read()],
      idOf: () => runId,
      lines: (rows) => rows.flatMap((run) => runLines(cli, run)),
    });
  }
  const run = await read();
  cli.out.one(run, () => runLines(cli, run));
}
