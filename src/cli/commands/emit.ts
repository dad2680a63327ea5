/** `holdfast emit`: an event from outside. */

import type { Command } from "commander";
import type { Act, Cli } from "../cli.ts";
import { readJson } from "../input.ts";
import { runtimeOn } from "../runs.ts";
import { harmless } from "../text.ts";

interface Options {
  payload?: string;
  id?: string;
}

export function addEmit(program: Command, act: Act): void {
  program
    .command("emit")
    .summary("tell waiting runs and listeners that something has happened")
    .description(
      "Emits an event: runs that wait for it go on, and listeners begin theirs (`waitForEvent()` and " +
        "`runtime.on()`), by the workers that have their graphs.",
    )
    .argument("<name>", "the event's name")
    .option("--payload <json>", "what it tells: JSON, @file, or - for standard input")
    .option("--id <id>", "at most once: the same id twice is one event")
    .addHelpText(
      "after",
      `
Examples:
  holdfast emit payment --payload '{"orderId": "o1", "by": "ada"}' --id payment-17`,
    )
    .action((name: string, options: Options) => act((cli) => emitEvent(cli, name, options)));
}

async function emitEvent(cli: Cli, name: string, { payload, id }: Options): Promise<void> {
  const runtime = await runtimeOn(await cli.saver());
  const told = payload === undefined ? undefined : await readJson(payload, "--payload", cli.io);
  const emitted = await runtime.emit(name, told, id === undefined ? {} : { id });
  const said = emitted.isNew ? "emitted" : "known: an event with this id was emitted before";
  cli.out.one(emitted, () => [`${harmless(emitted.id)}  ${said}`]);
}
