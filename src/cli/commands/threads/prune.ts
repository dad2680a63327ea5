import type { Command } from "commander";
import { InvalidInputError } from "../../../errors.ts";
import type { PrunePolicy } from "../../../store.ts";
import type { Act, Cli } from "../../cli.ts";
import { bytes, count } from "../../format.ts";
import { parseCount, parseDuration } from "../../input.ts";
import { findThread } from "../../lookup.ts";

interface Options {
  all?: boolean;
  keepLast?: string;
  olderThan?: string;
  latestOnly?: boolean;
  dryRun?: boolean;
}

export function addPrune(threads: Command, act: Act): void {
  threads
    .command("prune")
    .description(
      "Removes old checkpoints. The latest of each thread, and what waits for an answer, always " +
        "stays; with several rules a checkpoint stays that any of them keeps.",
    )
    .argument("[threads...]", "their ids, or unique beginnings of them")
    .option("--all", "of all threads")
    .option("--keep-last <n>", "keep the newest N checkpoints")
    .option("--older-than <duration>", "remove only what is older: 30d, 12h")
    .option("--latest-only", "keep nothing but the latest")
    .option("--dry-run", "say what would go, and change nothing")
    .addHelpText(
      "after",
      `
Examples:
  holdfast threads prune order-42 --keep-last 10
  holdfast threads prune --all --older-than 30d --dry-run`,
    )
    .action((ids: string[], options: Options) => act((cli) => prune(cli, ids, options)));
}

async function prune(cli: Cli, ids: string[], options: Options): Promise<void> {
  if ((ids.length === 0) === (options.all !== true)) {
    throw new InvalidInputError("Name the threads to prune, or give --all: one of the two.");
  }
  const policy = readPolicy(options);
  const saver = await cli.saver();
  const found = new Set<string>();
  for (const id of ids) found.add(await findThread(saver, id));
  const result = await saver.prune(options.all === true ? "*" : [...found], policy);
  const { threads, checkpoints, kept, bytes: freed } = result;
  cli.out.one({ ...result, dryRun: options.dryRun === true }, () => [
    `${count(checkpoints, "checkpoint")} of ${count(threads, "thread")} ` +
      `${options.dryRun === true ? "would go" : "removed"} (${bytes(freed)}), ${kept} kept`,
  ]);
}

function readPolicy({ keepLast, olderThan, latestOnly, dryRun }: Options): PrunePolicy {
  const policy: PrunePolicy = { dryRun: dryRun === true };
  if (keepLast !== undefined) policy.keepLast = parseCount(keepLast, "--keep-last");
  if (olderThan !== undefined) {
    const age = parseDuration(olderThan);
    if (age === undefined) {
      throw new InvalidInputError(
        `--older-than: "${olderThan}" is not a duration such as 30d or 12h.`,
      );
    }
    policy.keepSince = age;
  }
  if (latestOnly === true) {
    if (keepLast !== undefined || olderThan !== undefined) {
      throw new InvalidInputError("--latest-only keeps nothing else: give it alone.");
    }
    policy.latestOnly = true;
  }
  if (keepLast === undefined && olderThan === undefined && latestOnly !== true) {
    throw new InvalidInputError(
      "Say what to keep: --keep-last N, --older-than 30d or --latest-only.",
    );
  }
  return policy;
}
