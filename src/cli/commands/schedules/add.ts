import { Option, type Command } from "commander";
import { InvalidInputError } from "../../../errors.ts";
import type { MultitaskStrategy } from "../../../run-store.ts";
import type { ScheduleOptions } from "../../../runtime/types.ts";
import type { Missed } from "../../../schedule-store.ts";
import type { Act, Cli } from "../../cli.ts";
import { isStateGraph } from "../../graph.ts";
import { parseMilliseconds, parseWhole, readJson } from "../../input.ts";
import { STRATEGIES, runtimeOn } from "../../runs.ts";
import { MISSED, nextOf } from "../../schedules.ts";
import { harmless } from "../../text.ts";

interface Options {
  cron: string;
  zone?: string;
  input: string;
  missed: Missed;
  thread?: string;
  deadline?: string;
  strategy: MultitaskStrategy;
  priority?: string;
}

export function addAdd(schedules: Command, act: Act): void {
  schedules
    .command("add")
    .description(
      "Declares a schedule. The same name again replaces it; it goes on where it was, unless its cron " +
        "or its zone is another one. --graph GRAPH: whose runs it begins.",
    )
    .argument("<name>", "at most 150 characters")
    .requiredOption(
      "--cron <expression>",
      'five fields ("0 9 * * 1-5"), six with seconds in front, or a nickname such as @daily',
    )
    .option("--zone <zone>", "an IANA time zone, such as Europe/Berlin (default: UTC)")
    .option("-i, --input <json>", "of each run: JSON, @file, or - for standard input", "{}")
    .addOption(
      new Option("--missed <choice>", "what becomes of instants at which no worker was there")
        .choices(MISSED)
        .default("once"),
    )
    .option("-t, --thread <id>", "the thread of all of its runs (default: a new one for each)")
    .option("--deadline <ms>", "how long each run may take, in milliseconds, or as 10m")
    .addOption(
      new Option("--strategy <strategy>", "what becomes of a run that is active on the thread")
        .choices(STRATEGIES)
        .default("enqueue"),
    )
    .option("--priority <n>", "greater goes first (default: 0)")
    .addHelpText(
      "after",
      `
Examples:
  holdfast schedules add digest --cron '0 9 * * 1-5' --zone Europe/Berlin --graph research \\
    --input '{"topic": "kelp"}'
  holdfast schedules add cleanup --cron @hourly --graph cleanup --missed skip --deadline 10m`,
    )
    .action((name: string, options: Options) => act((cli) => add(cli, name, options)));
}

async function add(cli: Cli, name: string, options: Options): Promise<void> {
  const { io, out } = cli;
  const { cron, zone, missed, thread, deadline, strategy, priority } = options;
  const input = await readJson(options.input, "--input", io);
  const said: ScheduleOptions = {
    ...{ missed, multitaskStrategy: strategy },
    ...(zone === undefined ? {} : { zone }),
    ...(thread === undefined ? {} : { threadId: thread }),
    ...(deadline === undefined ? {} : { deadline: parseMilliseconds(deadline, "--deadline") }),
    ...(priority === undefined ? {} : { priority: parseWhole(priority, "--priority") }),
  };
  const source = await cli.findGraph(undefined);
  const saver = await cli.saver("make");
  // Loaded before it is declared: what cannot be loaded here would fail at a worker, much later.
  const graph = await cli.openGraph(source, saver);
  if (isStateGraph(graph) && (typeof input !== "object" || Array.isArray(input))) {
    throw new InvalidInputError('--input: expected a JSON object, such as {"topic": "kelp"}.');
  }
  const runtime = await runtimeOn(saver, { [source.name]: graph });
  const schedule = await runtime.schedule(name, cron, source.name, input, said);
  out.one(schedule, () => [`${harmless(schedule.name)}  ${nextOf(schedule)}`]);
  out.note(
    schedule.paused
      ? `It is paused. Let it go on with: ${cli.again("schedules", "resume", name)}`
      : `A worker that has graph "${harmless(source.name)}" fires it.`,
  );
}
