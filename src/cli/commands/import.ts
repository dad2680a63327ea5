/** `holdfast import`: threads of another saver or another database, with their whole history. */

import type { Command } from "commander";
import { InvalidInputError, NotFoundError, isHoldfastError } from "../../errors.ts";
import { importThreads } from "../../history/import.ts";
import type { ImportProgress, ImportResult } from "../../history/import.ts";
import type { AnySaver } from "../../history/source.ts";
import type { Act, Cli } from "../cli.ts";
import { databaseExists, openSaver } from "../database.ts";
import { describeDatabase, parseDatabaseUrl } from "../database-url.ts";
import type { DatabaseUrl } from "../database-url.ts";
import { describeError, Exit, EXIT } from "../exit.ts";
import { count } from "../format.ts";
import { inspect } from "../inspect.ts";
import { openOfficial } from "../official.ts";
import { harmless } from "../text.ts";

interface Options {
  from: string;
  to?: string;
  thread?: string[];
}

export function addImport(program: Command, act: Act): void {
  program
    .command("import")
    .summary("bring threads over from another saver or database")
    .description(
      "Copies threads with all checkpoints, writes and ids from a database of LangGraph's own " +
        "savers, or of holdfast. Repeating it changes nothing. Stop the runs on these threads first.",
    )
    .requiredOption(
      "--from <url>",
      "the database to read: sqlite:old.db or postgres://...?schema=name",
    )
    .option("--to <url>", "the database to write (default: that of --db)")
    .option("-t, --thread <id...>", "only these threads (default: all)")
    .addHelpText(
      "after",
      `
Examples:
  holdfast import --from sqlite:old.db
  holdfast import --from postgres://app@db/agents --to sqlite:./agents.db --thread order-42`,
    )
    .action((options: Options) => act((cli) => bring(cli, options)));
}

async function bring(cli: Cli, options: Options): Promise<void> {
  const { io } = cli;
  const from = parseDatabaseUrl(options.from, "--from", io.cwd);
  if (options.to !== undefined) {
    if (cli.options.db !== undefined) throw new InvalidInputError("--to or --db: one of the two.");
    cli.options.db = options.to;
  }
  if (!(await databaseExists(from))) {
    throw new NotFoundError(`There is no database ${describeDatabase(from)} to import from.`);
  }
  const to = (await cli.database()).database;
  const same = describeDatabase(from) === describeDatabase(to);
  const found = await inspect(from);
  const kinds = [
    ...(found.official ? ["official" as const] : []),
    ...(found.version > 0 && !same ? ["holdfast" as const] : []),
  ];
  if (kinds.length === 0) {
    throw new NotFoundError(
      same && found.version > 0
        ? "There is nothing to import: --from and the target are the same database."
        : `${describeDatabase(from)} holds no tables of LangGraph's savers or of holdfast.`,
    );
  }
  const target = await cli.saver("make");
  const total: ImportResult = { threads: 0, checkpoints: 0, writes: 0, skipped: 0, failed: [] };
  for (const kind of kinds) {
    const source = await openSource(kind, from, (await cli.project()).folder);
    const show = progressShower(cli);
    try {
      const result = await importThreads(source.saver, target, {
        signal: io.signal,
        onProgress: (progress) => show.update(progress),
        ...(options.thread === undefined ? {} : { threadIds: options.thread }),
      });
      add(total, result);
    } finally {
      show.end();
      await source.close();
    }
  }
  report(cli, total);
}

async function openSource(
  kind: "official" | "holdfast",
  from: DatabaseUrl,
  folder: string,
): Promise<{ saver: AnySaver; close(): Promise<void> }> {
  if (kind === "official") return openOfficial(from, folder);
  const saver = await openSaver(from, () => {});
  return { saver, close: () => saver.end() };
}

function add(total: ImportResult, result: ImportResult): void {
  total.threads += result.threads;
  total.checkpoints += result.checkpoints;
  total.writes += result.writes;
  total.skipped += result.skipped;
  total.failed.push(...result.failed);
}

/** On a terminal one line that changes; elsewhere a line now and then. */
function progressShower({ io }: Cli): { update(progress: ImportProgress): void; end(): void } {
  const inPlace = io.stderr.isTTY === true;
  const pause = inPlace ? 100 : 2000;
  let last = io.now();
  let shown = false;
  return {
    update: ({ done, total, checkpoints }) => {
      if (io.now() - last < pause) return;
      last = io.now();
      shown = true;
      const line = `${done} of ${count(total, "thread")}, ${count(checkpoints, "checkpoint")}`;
      io.stderr.write(inPlace ? `\r\u001b[K${line}` : `${line}\n`);
    },
    end: () => {
      if (shown && inPlace) io.stderr.write("\r\u001b[K");
    },
  };
}

function report({ out }: Cli, result: ImportResult): void {
  const failed = result.failed.map(({ threadId, error }) => ({
    threadId,
    error: describeError(error),
  }));
  out.one({ ...result, failed }, () => [
    `${count(result.threads, "thread")} brought over with ${count(result.checkpoints, "checkpoint")} ` +
      `and ${count(result.writes, "pending write")}; ${count(result.skipped, "checkpoint")} had been there already`,
  ]);
  for (const { threadId, error } of failed) out.error(`Thread ${harmless(threadId)}: ${error}`);
  if (failed.length === 0) return;
  const allMissing = result.failed.every(({ error }) => isHoldfastError(error, "NOT_FOUND"));
  throw new Exit(allMissing ? EXIT.notFound : EXIT.failure);
}
