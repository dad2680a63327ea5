/** `holdfast doctor`: whether everything that holdfast needs is there, one line for each thing. */

import type { Command } from "commander";
import { checkDatabase, checkGraphs, checkNode, checkPackages } from "../checks.ts";
import type { Check } from "../check.ts";
import type { Act, Cli } from "../cli.ts";
import { Exit, EXIT } from "../exit.ts";
import { findThreadOfRuns } from "../lookup.ts";
import { harmless } from "../text.ts";
import { checkThread } from "../thread-checks.ts";

export function addDoctor(program: Command, act: Act): void {
  program
    .command("doctor")
    .summary("check Node, packages, database and graphs; or a thread")
    .description(
      "Checks Node, packages, the database and the project's graphs; or, of a thread, what may be wrong with " +
        "it: who works on it, what it waits for, what failed, effects of which nobody knows, keys that " +
        "are not stable, budgets that are spent. Changes nothing. Ends with 1 if anything fails.",
    )
    .argument("[thread]", "its id, or a unique beginning of it")
    .addHelpText(
      "after",
      "\nExamples:\n  holdfast doctor\n  holdfast doctor order-42\n  holdfast doctor --db postgres://app@db/agents -o json",
    )
    .action((thread: string | undefined) =>
      act((cli) => (thread === undefined ? examine(cli) : examineThread(cli, thread))),
    );
}

async function examine(cli: Cli): Promise<void> {
  await report(cli, [checkNode(), checkPackages(cli), checkDatabase(cli), checkGraphs(cli)]);
}

async function examineThread(cli: Cli, thread: string): Promise<void> {
  const saver = await cli.saver();
  const threadId = await findThreadOfRuns(saver, thread);
  await report(cli, [checkThread(cli, saver, threadId)]);
}

async function report(cli: Cli, parts: readonly AsyncIterable<Check>[]): Promise<void> {
  const { out } = cli;
  const checks: Check[] = [];
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
