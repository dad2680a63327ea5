import type { Command } from "commander";
import { diff } from "../../../history/diff.ts";
import { findCheckpoint } from "../../../history/find.ts";
import { formatDiff } from "../../../history/format-diff.ts";
import type { Act, Cli } from "../../cli.ts";
import { findThread } from "../../lookup.ts";
import { openHistory } from "../../source.ts";
import { harmless } from "../../text.ts";

export function addDiff(threads: Command, act: Act): void {
  threads
    .command("diff")
    .description("Shows what changed from one checkpoint of a thread to another.")
    .argument("<thread>", "its id, or a unique beginning of it")
    .argument("<from>", "a checkpoint's id, or a unique beginning of it")
    .argument("<to>", "another one; they may be on different branches")
    .option("--namespace <ns>", "a subgraph's checkpoint namespace", "")
    .addHelpText(
      "after",
      "\nExample:\n  holdfast threads diff order-42 1f0a4c2e-3b1a-6f2c 1f0a4c2e-4d00-6b11",
    )
    .action((thread: string, from: string, to: string, options: { namespace?: string }) =>
      act((cli) => show(cli, thread, [from, to], options.namespace ?? "")),
    );
}

async function show(
  cli: Cli,
  thread: string,
  checkpoints: [string, string],
  namespace: string,
): Promise<void> {
  const { out } = cli;
  const saver = await cli.saver();
  const threadId = await findThread(saver, thread);
  const [from, to] = [
    await findCheckpoint(saver, threadId, checkpoints[0], { namespace }),
    await findCheckpoint(saver, threadId, checkpoints[1], { namespace }),
  ];
  const source = await openHistory(cli, threadId, saver);
  const changes = await diff(source, threadId, from.checkpointId, to.checkpointId, { namespace });
  if (!out.forPeople) {
    await out.list(changes, []);
    return;
  }
  if (changes.length === 0) out.note("No difference.");
  // Without a terminal nothing is cut.
  const width = out.width === undefined ? 10_000 : Math.max(20, Math.floor(out.width / 2) - 10);
  for (const change of changes) {
    const line = harmless(formatDiff([change], { width }));
    const paint = { added: out.paint.green, removed: out.paint.red, changed: out.paint.yellow };
    out.lines([paint[change.kind](line)]);
  }
}
