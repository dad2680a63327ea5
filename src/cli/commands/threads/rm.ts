import type { Command } from "commander";
import type { Act, Cli } from "../../cli.ts";
import { confirm } from "../../confirm.ts";
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
  const { out } = cli;
  const saver = await cli.saver();
  // All are found before the first one goes.
  const found = new Set<string>();
  for (const id of ids) found.add(await findThread(saver, id));
  if (yes !== true) {
    const names = [...found].map(harmless).join(", ");
    await confirm(cli, {
      question: `Delete ${count(found.size, "thread")} for good (${names})?`,
      otherwise: "Nothing was deleted.",
      unasked: "Deleting needs --yes where nobody can be asked.",
    });
  }
  for (const id of found) await saver.deleteThread(id);
  out.one({ deleted: [...found] }, () => [...found].map((id) => `deleted ${harmless(id)}`));
}
