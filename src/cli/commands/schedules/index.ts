/** `holdfast schedules`: runs that begin at the instants of a cron expression. */

import type { Command } from "commander";
import type { Act } from "../../cli.ts";
import { addAdd } from "./add.ts";
import { addChanges } from "./change.ts";
import { addGet } from "./get.ts";
import { addLs } from "./ls.ts";

export function addSchedules(program: Command, act: Act): void {
  const schedules = program
    .command("schedules")
    .summary("runs that begin at the instants of a cron expression")
    .description(
      "Schedules, declared here or by a runtime of the application (`runtime.schedule()`). Any worker " +
        "of a schedule's graph (`holdfast worker`) fires it, and each instant once, however many there are.",
    );
  addAdd(schedules, act);
  addLs(schedules, act);
  addGet(schedules, act);
  addChanges(schedules, act);
}
