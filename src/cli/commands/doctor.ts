/** `holdfast doctor`: whether everything that holdfast needs is there, one line for each thing. */

import type { Command } from "commander";
import { checkDatabase, checkGraphs, checkNode, checkPackages } from "../checks.ts";
import type { Check } from "../checks.ts";
import type { Act, Cli } from "../cli.ts";
import { Exit, EXIT } from "../exit.ts";
import { harmless } from "../text.ts";

export function addDoctor(program: Command, act: Act): void {
  program
    .command("doctor")
    .summary("check Node, packages, database and graphs")
    .description(
      "Checks Node, packages, the database and the project's graphs, and changes nothing. " +
        "Ends with 1 if anything fails.",
    )
    .addHelpText(
      "after",
      "\nExamples:\n  holdfast doctor\n  holdfast doctor --db postgres://app@db/agents -o json",
    )
    .action(() => act(examine));
}

async function examine(cli: Cli): Promise<void> {
  const { out } = cli;
  const checks: Check[] = [];
  const parts = [checkNode(), checkPackages(cli), checkDatabase(cli), checkGraphs(cli)];
  for (const part of parts) for await (const check of part) checks.push(check);
  if (out.forPeople) {
    const paint = { ok: out.paint.green, warn: out.paint.yellow, fail: out.paint.red };
    const width = Math.max(...checks.map(({ what }) => what.length));
    for (const { status, what, detail } of checks) {
      const line = `${harmless(what).padEnd(width)}  ${harmless(detail)}`;
      out.lines([`${paint[status](status.padEnd(4))}  ${line.trimEnd()}`]);
    }
  } else await out.list(checks, []);
  if (checks.some(({ status }) => status === "fail")) throw new Exit(EXIT.failure);
}
