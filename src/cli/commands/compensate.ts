/** `holdfast compensate`: takes back what the latest run of a thread did. */

import type { Command } from "commander";
import { compensate } from "../../effects/saga.ts";
import { confirm } from "../confirm.ts";
import type { Act, Cli } from "../cli.ts";
import { underLease } from "../drive.ts";
import { Exit, EXIT } from "../exit.ts";
import { count } from "../format.ts";
import { findThread } from "../lookup.ts";
import { harmless } from "../text.ts";
import { stuckJson } from "./stuck.ts";

interface Options {
  yes?: boolean;
}

export function addCompensate(program: Command, act: Act): void {
  program
    .command("compensate")
    .summary("take back what a thread's latest run did")
    .description(
      "Undoes the effects of a thread's latest run that have an undo, newest first. What cannot be " +
        "undone is listed by `holdfast stuck ls`. Safe to call again.",
    )
    .argument("<thread>", "its id, or a unique beginning of it")
    .argument("[graph]", "its graph, where the thread does not remember it")
    .option("-y, --yes", "don't ask")
    .addHelpText(
      "after",
      `
Examples:
  holdfast compensate order-42
  holdfast compensate order-42 ./agent.ts:graph --yes

Exit codes: 0 all undone, 1 something is stuck, 2 usage, 3 not found.`,
    )
    .action((thread: string, graph: string | undefined, options: Options) =>
      act((cli) => takeBack(cli, thread, graph, options)),
    );
}

async function takeBack(
  cli: Cli,
  thread: string,
  asked: string | undefined,
  { yes }: Options,
): Promise<void> {
  const { io, out } = cli;
  const saver = await cli.saver();
  const threadId = await findThread(saver, thread);
  // Loading it defines its effects: they are found by their names.
  const graph = await cli.openGraph(await cli.graphOf(threadId, asked, saver), saver);
  if (yes !== true) {
    await confirm(cli, {
      question: `Undo what the latest run of thread ${harmless(threadId)} did?`,
      otherwise: "Nothing was undone.",
      unasked: "Undoing needs --yes where nobody can be asked.",
    });
  }
  const { undone, stuck } = await underLease({ saver, threadId, io }, (signal) =>
    compensate(graph, threadId, { signal }),
  );
  out.one({ threadId, undone, stuck: stuck.map(stuckJson) }, () =>
    undone.map(
      ({ effect, key }) =>
        `undone ${harmless(effect)}${key === undefined ? "" : `  ${harmless(key)}`}`,
    ),
  );
  if (undone.length + stuck.length === 0) out.note("There was nothing to undo.");
  if (stuck.length === 0) return;
  for (const { effect, error } of stuck) out.error(`"${effect}" could not be undone: ${error}`);
  out.note(
    `${count(stuck.length, "effect")} stuck: ${cli.again("stuck", "ls", "--thread", threadId)}`,
  );
  throw new Exit(EXIT.failure);
}
