import type { Command } from "commander";
import { InvalidInputError } from "../../../errors.ts";
import type { Act, Cli } from "../../cli.ts";
import { Exit, EXIT } from "../../exit.ts";
import { count } from "../../format.ts";
import { findThread } from "../../lookup.ts";
import { harmless } from "../../text.ts";

export function addRm(threads: Command, act: Act): void {
  threads
    .command("rm")
    .description("Deletes threads with all their checkpoints. There is no way back.")
    .argument("<threads...>", "their ids, or unique beginnings of them")
    .option("-y, --yes", "don't ask")
    .addHelpText("after", "\nExample:\n  holdfast threads rm order-42 order-43 --yes")
    .action((ids: string[], options: { yes?: boolean }) => act((cli) => remove(cli, ids, options)));
}

async function remove(cli: Cli, ids: string[], { yes }: { yes?: boolean }): Promise<void> {
  const { io, out } = cli;
  const saver = await cli.saver();
  // All are found before the first one goes.
  const found = new Set<string>();
  for (const id of ids) found.add(await findThread(saver, id));
  if (yes !== true) {
    if (io.ask === undefined)
      throw new InvalidInputError("Deleting needs --yes where nobody can be asked.");
    const names = [...found].map(harmless).join(", ");
    const answer = await io.ask(
      `Delete ${count(found.size, "thread")} for good (${names})? [y/N] `,
    );
    if (!/^y(es)?$/i.test(answer.trim())) {
      out.note("Nothing was deleted.");
      throw new Exit(EXIT.failure);
    }
  }
  for (const id of found) await saver.deleteThread(id);
  out.one({ deleted: [...found] }, () => [...found].map((id) => `deleted ${harmless(id)}`));
}
