/** `holdfast limits`: who is let through, and who waits. */

import type { Command } from "commander";
import { listLimits, type LimitInfo } from "../../steps/limits.ts";
import type { Act, Cli } from "../cli.ts";
import { instant } from "../format.ts";
import type { Column } from "../table.ts";

const COLUMNS: Column<LimitInfo>[] = [
  { title: "LIMIT", value: ({ name }) => name, flexible: true },
  { title: "HELD", value: ({ held }) => String(held), align: "right" },
  { title: "WAITING", value: ({ waiting }) => String(waiting), align: "right" },
  { title: "AWAY", value: ({ away }) => String(away), align: "right" },
  {
    title: "WAITING SINCE",
    value: ({ waitingSince }) => (waitingSince === undefined ? "" : instant(waitingSince)),
  },
  { title: "LAST ASKED", value: ({ updatedAt }) => instant(updatedAt) },
];

export function addLimits(program: Command, act: Act): void {
  const group = program
    .command("limits")
    .summary("who is let through, and who waits")
    .description(
      "Concurrency and rate limits, shared by all processes on the database. What each allows is " +
        "said in the code that asks.",
    );
  group
    .command("ls")
    .alias("list")
    .description(
      "Lists limits by name: permits held, callers waiting, and places kept for parked ones.",
    )
    .action(() => act(list));
}

async function list(cli: Cli): Promise<void> {
  const found = await listLimits((await cli.saver()).steps);
  await cli.out.list(found, COLUMNS);
  if (found.length === 0) cli.out.note("No limit has been asked yet.");
}
