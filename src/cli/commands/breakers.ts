/** `holdfast breakers`: which upstreams are left alone, for all processes on the database. */

import type { Command } from "commander";
import {
  isolateBreaker,
  listBreakers,
  resetBreaker,
  type BreakerInfo,
} from "../../steps/breakers.ts";
import { NotFoundError } from "../../errors.ts";
import type { Act, Cli } from "../cli.ts";
import { instant } from "../format.ts";
import type { Column } from "../table.ts";
import { harmless } from "../text.ts";

const COLUMNS: Column<BreakerInfo>[] = [
  { title: "BREAKER", value: ({ name }) => name, flexible: true },
  { title: "STATE", value: ({ state }) => state },
  { title: "FAILURES", value: ({ failures }) => String(failures), align: "right" },
  { title: "SINCE", value: ({ since }) => (since === undefined ? "" : instant(since)) },
  { title: "NEXT TRIAL", value: ({ retryAt }) => (retryAt === undefined ? "" : instant(retryAt)) },
  { title: "REASON", value: ({ reason }) => reason ?? "", flexible: true },
];

export function addBreakers(program: Command, act: Act): void {
  const group = program
    .command("breakers")
    .summary("which upstreams are left alone")
    .description(
      "Circuit breakers, shared by all processes on the database. A name is listed from its first " +
        "failure on.",
    );
  group
    .command("ls")
    .alias("list")
    .description("Lists breakers by name.")
    .action(() => act(list));
  group
    .command("isolate")
    .description("Opens a breaker by hand: nothing is called through it until it is reset.")
    .argument("<name>")
    .option("--reason <text>", "why; shown to who is turned away and in the list")
    .addHelpText(
      "after",
      "\nExample:\n  holdfast breakers isolate openai:gpt-4o --reason 'provider incident 4711'",
    )
    .action((name: string, { reason }: { reason?: string }) =>
      act(async (cli) => {
        await isolateBreaker((await cli.saver()).steps, name, reason);
        told(cli, name, "isolated");
      }),
    );
  group
    .command("reset")
    .description("Closes a breaker, whatever its state.")
    .argument("<name>")
    .addHelpText("after", "\nExample:\n  holdfast breakers reset openai:gpt-4o")
    .action((name: string) => act((cli) => reset(cli, name)));
}

async function list(cli: Cli): Promise<void> {
  const found = await listBreakers((await cli.saver()).steps);
  await cli.out.list(found, COLUMNS);
  if (found.length === 0) cli.out.note("No breaker has had a failure.");
}

/** A name that nobody has used is a mistyped one; any may be isolated beforehand. */
async function reset(cli: Cli, name: string): Promise<void> {
  const { steps } = await cli.saver();
  const known = await listBreakers(steps);
  if (!known.some((breaker) => breaker.name === name)) {
    throw new NotFoundError(`There is no breaker "${name}" that has had a failure.`);
  }
  await resetBreaker(steps, name);
  told(cli, name, "closed");
}

function told({ out }: Cli, name: string, state: string): void {
  out.one({ name, state }, () => [`${harmless(name)}  ${state}`]);
}
