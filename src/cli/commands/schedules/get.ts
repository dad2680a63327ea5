import type { Command } from "commander";
import { NotFoundError } from "../../../errors.ts";
import { parseCron } from "../../../runtime/cron.ts";
import type { StoredSchedule } from "../../../schedule-store.ts";
import type { Act, Cli } from "../../cli.ts";
import { instant } from "../../format.ts";
import { nextOf } from "../../schedules.ts";
import { harmless } from "../../text.ts";
import { valueLines } from "../../values.ts";

/** How many of the instants to come are shown. */
const SHOWN = 5;

export function addGet(schedules: Command, act: Act): void {
  schedules
    .command("get")
    .description(
      "Shows one schedule: its next instants (UTC), its input, and how its runs are started.",
    )
    .argument("<name>")
    .addHelpText("after", "\nExample:\n  holdfast schedules get digest")
    .action((name: string) => act((cli) => get(cli, name)));
}

async function get(cli: Cli, name: string): Promise<void> {
  const schedule = await (await cli.saver()).steps.schedules?.read(name);
  if (schedule === undefined) throw new NotFoundError(`There is no schedule "${name}".`);
  const { revision: _revision, details, ...info } = schedule;
  const shown = { ...info, ...details, upcoming: upcoming(schedule) };
  cli.out.one(shown, () => lines(cli, schedule, shown.upcoming));
}

function upcoming({ cron, zone, nextAt, paused }: StoredSchedule): number[] {
  const found: number[] = [];
  const parsed = parseCron(cron, zone);
  for (let at = paused ? undefined : nextAt; at !== undefined && found.length < SHOWN;) {
    found.push(at);
    at = parsed.next(at);
  }
  return found;
}

function lines({ out }: Cli, schedule: StoredSchedule, instants: readonly number[]): string[] {
  const { details } = schedule;
  const line = (title: string, value: string | number | undefined): string[] =>
    value === undefined ? [] : [`${title.padEnd(9)}  ${harmless(String(value))}`];
  return [
    `${out.paint.bold(harmless(schedule.name))}  ${nextOf(schedule)}`,
    ...line("cron", `${schedule.cron}  (${schedule.zone})`),
    ...line("graph", schedule.graph),
    ...line("missed", schedule.missed),
    ...line("thread", details.threadId),
    ...line("strategy", details.threadId === undefined ? undefined : details.multitaskStrategy),
    ...line("priority", details.priority === 0 ? undefined : details.priority),
    ...line("deadline", details.deadline === undefined ? undefined : `${details.deadline} ms`),
    ...line("last", schedule.lastAt === undefined ? undefined : instant(schedule.lastAt)),
    ...line("last run", schedule.lastRun),
    ...instants.flatMap((at, i) => line(i === 0 ? "next" : "", instant(at))),
    "",
    ...valueLines({ input: details.input }, out.paint),
  ];
}
