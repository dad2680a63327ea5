/** `holdfast usage`: what was spent on models. */

import type { Command } from "commander";
import { Option } from "commander";
import type { UsageTotals } from "../../step-store.ts";
import type { Act, Cli } from "../cli.ts";
import { parseInstant } from "../input.ts";
import { findThread } from "../lookup.ts";
import type { Column } from "../table.ts";

const KINDS = ["thread", "run", "node", "model"] as const;

interface Options {
  by: (typeof KINDS)[number];
  thread?: string;
  since?: string;
}

export function addUsage(program: Command, act: Act): void {
  program
    .command("usage")
    .summary("what was spent on models")
    .description("Adds up calls, tokens and dollars, most expensive first.")
    .addOption(new Option("--by <what>", "what to add up").choices(KINDS).default("model"))
    .option("-t, --thread <id>", "only of this thread")
    .option("--since <time>", "only since: 2026-10-01, or 12h for twelve hours ago")
    .addHelpText(
      "after",
      `
Examples:
  holdfast usage --since 12h
  holdfast usage --by node --thread order-42`,
    )
    .action((options: Options) => act((cli) => usage(cli, options)));
}

async function usage(cli: Cli, { by, thread, since }: Options): Promise<void> {
  const { out, io } = cli;
  const saver = await cli.saver();
  const found = await saver.steps.usage.totals({
    by,
    ...(thread === undefined ? {} : { threadId: await findThread(saver, thread) }),
    ...(since === undefined ? {} : { since: parseInstant(since, "--since", io.now()).getTime() }),
  });
  await out.list(found, columnsOf(by));
  if (found.length === 0) out.note("Nothing was used.");
}

function columnsOf(by: string): Column<UsageTotals>[] {
  return [
    { title: by.toUpperCase(), value: ({ key }) => (key === "" ? "(none)" : key), flexible: true },
    { title: "CALLS", value: ({ calls }) => String(calls), align: "right" },
    { title: "INPUT", value: ({ inputTokens }) => String(inputTokens), align: "right" },
    { title: "OUTPUT", value: ({ outputTokens }) => String(outputTokens), align: "right" },
    { title: "USD", value: ({ usd }) => usd.toFixed(4), align: "right" },
  ];
}
