import type { Command } from "commander";
import type { ChannelStats, ThreadStats } from "../../../store.ts";
import type { Act, Cli } from "../../cli.ts";
import { bytes } from "../../format.ts";
import { findThread } from "../../lookup.ts";
import { tableLines } from "../../table.ts";
import type { Column } from "../../table.ts";

const COLUMNS: Column<ChannelStats>[] = [
  { title: "CHANNEL", value: ({ channel }) => channel, flexible: true },
  { title: "VERSIONS", value: ({ versions }) => String(versions), align: "right" },
  { title: "KEYFRAMES", value: ({ keyframes }) => String(keyframes), align: "right" },
  { title: "BYTES", value: ({ bytes: size }) => bytes(size), align: "right" },
];

export function addStats(threads: Command, act: Act): void {
  threads
    .command("stats")
    .description("Shows how much a thread, or the whole database, stores.")
    .argument("[thread]", "its id, or a unique beginning of it")
    .addHelpText(
      "after",
      "\nExamples:\n  holdfast threads stats\n  holdfast threads stats order-42",
    )
    .action((thread: string | undefined) => act((cli) => stats(cli, thread)));
}

async function stats(cli: Cli, thread: string | undefined): Promise<void> {
  const saver = await cli.saver();
  const threadId = thread === undefined ? undefined : await findThread(saver, thread);
  const found = await saver.stats(threadId);
  cli.out.one(threadId === undefined ? found : { threadId, ...found }, () => lines(cli, found));
}

function lines({ out }: Cli, found: ThreadStats): string[] {
  const totals: [string, string][] = [
    ["threads", String(found.threads)],
    ["checkpoints", `${found.checkpoints} (${bytes(found.checkpointBytes)})`],
    ["pending writes", `${found.pendingWrites} (${bytes(found.pendingWriteBytes)})`],
    ["payloads", `${found.payloads.count} (${bytes(found.payloads.bytes)})`],
    ["together", bytes(found.bytes)],
  ];
  const text = totals.map(([name, value]) => `${out.paint.bold(name.padEnd(14))}  ${value}`);
  if (found.channels.length === 0) return text;
  return [...text, "", ...tableLines(found.channels, COLUMNS, out.width, out.paint.bold)];
}
