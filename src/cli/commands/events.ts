/** `holdfast events`: what has been emitted. */

import type { Command } from "commander";
import { InvalidInputError } from "../../errors.ts";
import type { StoredEvent } from "../../event-store.ts";
import type { Act, Cli } from "../cli.ts";
import { instant } from "../format.ts";
import { parseInstant } from "../input.ts";
import type { Column } from "../table.ts";
import { harmless } from "../text.ts";

interface Options {
  name?: string;
  since?: string;
  limit: string;
}

export function addEvents(program: Command, act: Act): void {
  program
    .command("events")
    .summary("what nodes, runs and the world outside have emitted")
    .description("Events that have left, as long as they are kept.")
    .command("ls")
    .alias("list")
    .description("Lists events, latest first (UTC).")
    .option("--name <name>", "only of this name")
    .option("--since <time>", "only since: 2026-10-01, or 12h for twelve hours ago")
    .option("-n, --limit <count>", "at most so many", "50")
    .addHelpText(
      "after",
      `
Examples:
  holdfast events ls --name run.failed --since 12h
  holdfast events ls -o json | jq '.[].payload'`,
    )
    .action((options: Options) => act((cli) => list(cli, options)));
}

async function list(cli: Cli, { name, since, limit }: Options): Promise<void> {
  const { out, io } = cli;
  const count = Number(limit);
  if (!Number.isInteger(count) || count < 1)
    throw new InvalidInputError(`--limit is a number of 1 or more, not "${limit}".`);
  const found = await (
    await cli.saver()
  ).steps.events?.list({
    limit: count,
    ...(name === undefined ? {} : { name }),
    ...(since === undefined ? {} : { since: parseInstant(since, "--since", io.now()).getTime() }),
  });
  const shown = (found ?? []).map(({ id, name, payload, at, threadId, runId, unreadable }) => ({
    ...{ id, name, at, threadId, runId, payload },
    ...(unreadable !== undefined && { unreadable: unreadable.message }),
  }));
  if ((await out.list(shown, COLUMNS)) === 0) out.note("No events.");
}

type Shown = Omit<StoredEvent, "unreadable"> & { unreadable?: string };

const COLUMNS: Column<Shown>[] = [
  { title: "AT", value: ({ at }) => instant(at) },
  { title: "NAME", value: ({ name }) => harmless(name) },
  { title: "ID", value: ({ id }) => harmless(id) },
  { title: "THREAD", value: ({ threadId = "" }) => harmless(threadId) },
  {
    title: "PAYLOAD",
    value: ({ payload, unreadable }) =>
      harmless(
        unreadable === undefined ? (JSON.stringify(payload) ?? "") : `(unreadable: ${unreadable})`,
      ),
    flexible: true,
  },
];
