/** `holdfast effects`: the ledger of what was done to the world, and what became of it. */

import type { Command } from "commander";
import { findEffect, listEffects, type LedgerEntry } from "../../effects/look.ts";
import type { Act, Cli } from "../cli.ts";
import { instant } from "../format.ts";
import { parseCount } from "../input.ts";
import { findThread } from "../lookup.ts";
import type { Column } from "../table.ts";
import { harmless } from "../text.ts";
import { valueLines } from "../values.ts";

const COLUMNS: Column<LedgerEntry>[] = [
  { title: "ID", value: ({ idempotencyKey }) => idempotencyKey },
  { title: "EFFECT", value: nameOf, flexible: true },
  { title: "KEY", value: ({ key }) => key ?? "", flexible: true },
  { title: "THREAD", value: ({ threadId }) => threadId, flexible: true },
  { title: "STATE", value: stateOf },
  { title: "TRIES", value: ({ attempts }) => String(attempts), align: "right" },
  { title: "WHEN", value: ({ updatedAt }) => instant(updatedAt) },
];

interface Options {
  thread?: string;
  unknown?: boolean;
  name?: string;
  limit?: string;
}

export function addEffects(program: Command, act: Act): void {
  const group = program
    .command("effects")
    .summary("what was done to the world, and what became of it")
    .description(
      "The ledger of effects: effect() and its undoing, transaction(), idempotent(). An effect's " +
        "id is the idempotency key that was sent along with it.",
    );
  group
    .command("ls")
    .alias("list")
    .description("Lists effects, latest claimed first.")
    .option("-t, --thread <id>", "only those of this thread")
    .option("-u, --unknown", "only those of which nobody knows whether they were performed")
    .option("--name <name>", "only those of this name")
    .option("-n, --limit <n>", "at most so many", "100")
    .addHelpText(
      "after",
      `
Examples:
  holdfast effects ls --thread order-42
  holdfast effects ls --unknown
  holdfast effects ls --name charge-card -o jsonl | jq -r .idempotencyKey`,
    )
    .action((options: Options) => act((cli) => list(cli, options)));
  group
    .command("show")
    .description("Shows one effect with its arguments and its result.")
    .argument("<id>", "its idempotency key, or a unique beginning of it")
    .addHelpText("after", "\nExample:\n  holdfast effects show 4be1")
    .action((id: string) => act((cli) => show(cli, id)));
}

async function list(cli: Cli, { thread, unknown, name, limit }: Options): Promise<void> {
  const saver = await cli.saver();
  const found = await listEffects(saver, {
    limit: parseCount(limit ?? "100", "--limit"),
    unknown: unknown === true,
    ...(name === undefined ? {} : { name }),
    ...(thread === undefined ? {} : { threadId: await findThread(saver, thread) }),
  });
  await cli.out.list(found, COLUMNS);
  if (found.length === 0) cli.out.note(unknown === true ? "Nothing is unknown." : "No effects.");
}

async function show(cli: Cli, id: string): Promise<void> {
  const { out } = cli;
  const found = await findEffect(await cli.saver(), id);
  const { idempotencyKey, key, threadId, node, runId, generation, attempts, error, reason } = found;
  const line = (title: string, text: string): string => `${title.padEnd(10)} ${harmless(text)}`;
  out.one(found, () => [
    `${out.paint.bold(harmless(nameOf(found)))}  ${stateOf(found)}`,
    line("id", idempotencyKey),
    ...(key === undefined ? [] : [line("key", key)]),
    ...(threadId === "" ? [] : [line("thread", threadId)]),
    ...(node === "" ? [] : [line("node", node)]),
    ...(runId === undefined ? [] : [line("run", runId)]),
    line("generation", String(generation)),
    line("tries", String(attempts)),
    line("claimed", instant(found.claimedAt)),
    line("updated", instant(found.updatedAt)),
    ...(error === undefined ? [] : [line("error", error)]),
    ...(reason === undefined ? [] : [line("reason", reason)]),
    "",
    ...valueLines(
      {
        arguments: found.args,
        ...(found.result === undefined ? {} : { result: found.result }),
      },
      out.paint,
    ),
  ]);
}

function nameOf({ kind, name }: LedgerEntry): string {
  return kind === "effect" ? name : kind === "request" ? "request" : `${kind} ${name}`;
}

/** A claim whose process is gone is as unknown as what is called so. */
function stateOf({ state, abandoned }: LedgerEntry): string {
  return abandoned ? "unknown (claimed)" : state;
}
