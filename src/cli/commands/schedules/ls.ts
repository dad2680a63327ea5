import type { Command } from "commander";
import type { Act, Cli } from "../../cli.ts";
import { SCHEDULE_COLUMNS } from "../../schedules.ts";
import { runtimeOn } from "../../runs.ts";

export function addLs(schedules: Command, act: Act): void {
  schedules
    .command("ls")
    .alias("list")
    .description("Lists schedules by name: when they fire next (UTC), and when they did last.")
    .addHelpText(
      "after",
      "\nExamples:\n  holdfast schedules ls\n  holdfast schedules ls -o json | jq -r '.[].name'",
    )
    .action(() => act(list));
}

async function list(cli: Cli): Promise<void> {
  const { out } = cli;
  const saver = await cli.saver();
  const now = await saver.steps.now();
  const schedules = await (await runtimeOn(saver)).schedules();
  const shown = await out.list(schedules, SCHEDULE_COLUMNS(now));
  if (shown === 0) out.note("No schedules.");
}
