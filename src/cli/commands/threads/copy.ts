import type { Command } from "commander";
import type { Act, Cli } from "../../cli.ts";
import { findThread } from "../../lookup.ts";
import { harmless } from "../../text.ts";

export function addCopy(threads: Command, act: Act): void {
  threads
    .command("copy")
    .description("Copies a thread with its whole history to a new id.")
    .argument("<from>", "its id, or a unique beginning of it")
    .argument("<to>", "the new id")
    .addHelpText("after", "\nExample:\n  holdfast threads copy order-42 order-42-experiment")
    .action((from: string, to: string) => act((cli) => copy(cli, from, to)));
}

async function copy(cli: Cli, from: string, to: string): Promise<void> {
  const saver = await cli.saver();
  const source = await findThread(saver, from);
  await saver.copyThread(source, to);
  cli.out.one({ from: source, to }, () => [`${harmless(source)} → ${harmless(to)}`]);
}
