/** `holdfast budgets`: what is spent and reserved. */

import type { Command } from "commander";
import type { Amounts } from "../../policy/budget.ts";
import { listBudgets, type BudgetInfo } from "../../steps/budgets.ts";
import type { Act, Cli } from "../cli.ts";
import { instant } from "../format.ts";
import { findThread } from "../lookup.ts";
import type { Column } from "../table.ts";

const COLUMNS: Column<BudgetInfo>[] = [
  { title: "BUDGET", value: ({ name }) => name, flexible: true },
  { title: "OF", value: ownerOf, flexible: true },
  { title: "THREAD", value: ({ threadId }) => threadId ?? "", flexible: true },
  { title: "SPENT", value: ({ spent }) => amountsText(spent) },
  { title: "RESERVED", value: ({ reserved }) => amountsText(reserved) },
  { title: "REFUSED AT", value: ({ exceeded }) => amountsText(exceeded) },
  { title: "RAISED TO", value: ({ raisedTo }) => amountsText(raisedTo) },
  { title: "UPDATED", value: ({ updatedAt }) => instant(updatedAt) },
];

export function addBudgets(program: Command, act: Act): void {
  const group = program
    .command("budgets")
    .summary("what is spent and reserved")
    .description(
      "Budgets of runs, threads, nodes and keys, shared by all processes on the database.",
    );
  group
    .command("ls")
    .alias("list")
    .description("Lists budgets that anything was reserved from.")
    .option("-t, --thread <id>", "only those of this thread")
    .addHelpText("after", "\nExample:\n  holdfast budgets ls --thread order-42")
    .action((options: { thread?: string }) => act((cli) => list(cli, options)));
}

async function list(cli: Cli, { thread }: { thread?: string }): Promise<void> {
  const saver = await cli.saver();
  const found = await listBudgets(
    saver.steps,
    thread === undefined ? {} : { threadId: await findThread(saver, thread) },
  );
  await cli.out.list(found, COLUMNS);
  if (found.length === 0) cli.out.note("Nothing was reserved from a budget yet.");
}

function ownerOf({ per, runId, node, key }: BudgetInfo): string {
  if (per === "node") return `node ${node ?? ""} of run ${runId ?? ""}`;
  const id = per === "run" ? runId : per === "key" ? key : undefined;
  return id === undefined ? per : `${per} ${id}`;
}

function amountsText(amounts: Amounts): string {
  return Object.entries(amounts)
    .map(([unit, amount]) => (unit === "usd" ? `$${amount}` : `${amount} ${unit}`))
    .join(", ");
}
