/** `runs cancel`, `runs retry` and `runs revive`: they move a run's row, and need no graph for it. */

import type { Command } from "commander";
import type { Runtime } from "../../../runtime/runtime.ts";
import type { RunInfo } from "../../../runtime/types.ts";
import type { Act, Cli } from "../../cli.ts";
import { findRun } from "../../lookup.ts";
import { queueOf, runtimeOn, statusOf } from "../../runs.ts";
import { harmless } from "../../text.ts";

export function addChanges(runs: Command, act: Act): void {
  runs
    .command("cancel")
    .description(
      "Ends a run. Its worker stops it and takes back what it did; one that no worker has taken " +
        "yet ends at once.",
    )
    .argument("<run>", "its id, or a unique beginning of it")
    .option("--rollback", "remove its checkpoints, too; the ledger of its effects stays")
    .addHelpText("after", "\nExample:\n  holdfast runs cancel 4be1")
    .action((run: string, { rollback = false }: { rollback?: boolean }) =>
      act((cli) => change(cli, run, (runtime, id) => runtime.cancel(id, { rollback }))),
    );
  runs
    .command("retry")
    .description(
      "Lets a run go on that failed, was cancelled or is dead: from its last checkpoint, or, where " +
        "what it did was taken back, from its input.",
    )
    .argument("<run>", "its id, or a unique beginning of it")
    .addHelpText("after", "\nExample:\n  holdfast runs retry 4be1")
    .action((run: string) => act((cli) => change(cli, run, (runtime, id) => runtime.retry(id))));
  runs
    .command("revive")
    .description(
      "Lets a dead run go on: one that was given up because its workers died again and again. See " +
        "first to why they did.",
    )
    .argument("<run>", "its id, or a unique beginning of it")
    .addHelpText(
      "after",
      "\nExample:\n  holdfast runs ls --status dead\n  holdfast runs revive 4be1",
    )
    .action((run: string) => act((cli) => change(cli, run, (runtime, id) => runtime.revive(id))));
}

async function change(
  cli: Cli,
  asked: string,
  how: (runtime: Runtime, runId: string) => Promise<RunInfo>,
): Promise<void> {
  const { out } = cli;
  const saver = await cli.saver();
  const runId = await findRun(queueOf(saver), asked);
  const run = await how(await runtimeOn(saver), runId);
  out.one(run, () => [`${harmless(run.runId)}  ${statusOf(run)}`]);
  if (run.stopping) out.note("A worker stops it, and takes back what it did.");
  if (run.status === "queued" && !run.stopping) out.note("The next worker goes on with it.");
}
