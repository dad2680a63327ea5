import type { Command } from "commander";
import type { ThreadInfo } from "../../../store.ts";
import type { Act, Cli } from "../../cli.ts";
import { databaseExists } from "../../database.ts";
import { describeDatabase } from "../../database-url.ts";
import { when } from "../../format.ts";
import { parseCount, parseInstant, parsePairs } from "../../input.ts";
import type { Column } from "../../table.ts";

interface Options {
  metadata?: string[];
  since?: string;
  until?: string;
  limit?: string;
  cursor?: string;
}

const COLUMNS: Column<ThreadInfo>[] = [
  { title: "THREAD", value: (thread) => thread.threadId, flexible: true },
  { title: "UPDATED", value: (thread) => when(thread.updatedAt) },
  { title: "CHECKPOINTS", value: (thread) => String(thread.checkpoints), align: "right" },
  { title: "METADATA", value: (thread) => metadataText(thread.metadata), flexible: true },
];

export function addLs(threads: Command, act: Act): void {
  threads
    .command("ls")
    .alias("list")
    .description("Lists threads, latest updated first.")
    .argument("[prefix]", "only ids that begin so")
    .option("-m, --metadata <key=value...>", "only threads whose runs had this metadata")
    .option("--since <time>", "only updated since: 2026-10-01, or 12h for twelve hours ago")
    .option("--until <time>", "only updated before")
    .option("-n, --limit <n>", "at most so many", "100")
    .option("--cursor <cursor>", "go on where an earlier call ended")
    .addHelpText(
      "after",
      `
Examples:
  holdfast threads ls --since 12h
  holdfast threads ls --metadata graph_id=research customer=42
  holdfast threads ls -o jsonl | jq -r .threadId`,
    )
    .action((prefix: string | undefined, options: Options) =>
      act((cli) => list(cli, prefix, options)),
    );
}

async function list(cli: Cli, prefix: string | undefined, options: Options): Promise<void> {
  const { out, io } = cli;
  const { metadata, since, until, limit, cursor } = options;
  const query = {
    limit: parseCount(limit ?? "100", "--limit"),
    ...(metadata === undefined ? {} : { metadata: parsePairs(metadata, "--metadata") }),
    ...(since === undefined ? {} : { updatedAfter: parseInstant(since, "--since", io.now()) }),
    ...(until === undefined ? {} : { updatedBefore: parseInstant(until, "--until", io.now()) }),
    ...(prefix === undefined ? {} : { prefix }),
    ...(cursor === undefined ? {} : { cursor }),
  };
  const { database, chosen } = await cli.database();
  if (!chosen && !(await databaseExists(database))) {
    // A project in which nothing has run yet: no threads, and no error.
    if (!out.forPeople) await out.list([], COLUMNS);
    out.note(`No threads: there is no database ${describeDatabase(database)} yet.`);
    return;
  }
  const page = await (await cli.saver()).listThreads(query);
  await out.list(page.threads, COLUMNS);
  if (page.threads.length === 0) out.note("No threads.");
  if (page.cursor !== undefined) out.note(`There are more: --cursor ${page.cursor}`);
}

function metadataText(metadata: Record<string, unknown>): string {
  return Object.entries(metadata)
    .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
}
