/** `schedules rm`, `schedules pause` and `schedules resume`: they need no graph. */

import type { Command } from "commander";
import { NotFoundError } from "../../../errors.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import type { ScheduleInfo } from "../../../runtime/types.ts";
import type { Act, Cli } from "../../cli.ts";
import { runtimeOn } from "../../runs.ts";
import { nextOf } from "../../schedules.ts";
import { harmless } from "../../text.ts";

export function addChanges(schedules: Command, act: Act): void {
  schedules
    .command("rm")
    .alias("remove")
    .description("Removes a schedule. What it has fired goes on.")
    .argument("<name>")
    .addHelpText("after", "\nExample:\n  holdfast schedules rm digest")
    .action((name: string) => act((cli) => remove(cli, name)));
  schedules
    .command("pause")
    .description("Fires nothing more, until it is resumed; declaring it again does not resume it.")
    .argument("<name>")
    .addHelpText("after", "\nExample:\n  holdfast schedules pause digest")
    .action((name: string) => act((cli) => change(cli, (runtime) => runtime.pauseSchedule(name))));
  schedules
    .command("resume")
    .description("Goes on with the next instant that comes; those of the pause are left out.")
    .argument("<name>")
    .addHelpText("after", "\nExample:\n  holdfast schedules resume digest")
    .action((name: string) => act((cli) => change(cli, (runtime) => runtime.resumeSchedule(name))));
}

async function remove(cli: Cli, name: string): Promise<void> {
  const isRemoved = await (await runtimeOn(await cli.saver())).unschedule(name);
  if (!isRemoved) throw new NotFoundError(`There is no schedule "${name}".`);
  cli.out.one({ name, removed: true }, () => [`${harmless(name)}  removed`]);
}

async function change(cli: Cli, how: (runtime: Runtime) => Promise<ScheduleInfo>): Promise<void> {
  const schedule = await how(await runtimeOn(await cli.saver()));
  cli.out.one(schedule, () => [`${harmless(schedule.name)}  ${nextOf(schedule)}`]);
}
