/** `holdfast stuck`: what a person must look at. Compensations that keep failing, and runs that stand still. */

import type { Command } from "commander";
import { stuck, type FoundOut, type StuckCompensation } from "../../effects/stuck.ts";
import { InvalidInputError, NotFoundError } from "../../errors.ts";
import type { Act, Cli } from "../cli.ts";
import { underLease } from "../drive.ts";
import { Exit, EXIT } from "../exit.ts";
import { instant } from "../format.ts";
import { parseMilliseconds, readJson } from "../input.ts";
import { findThreadOfRuns } from "../lookup.ts";
import { SILENT, explain, standstills, type Standstill } from "../standstill.ts";
import type { Column } from "../table.ts";
import { harmless } from "../text.ts";

const COLUMNS: Column<StuckCompensation>[] = [
  { title: "ID", value: ({ id }) => id },
  { title: "EFFECT", value: ({ effect }) => effect, flexible: true },
  { title: "KEY", value: ({ key }) => key ?? "", flexible: true },
  { title: "THREAD", value: ({ threadId }) => threadId, flexible: true },
  { title: "TRIES", value: ({ attempts }) => String(attempts), align: "right" },
  { title: "SINCE", value: ({ since }) => instant(since) },
  { title: "ERROR", value: ({ error }) => error, flexible: true },
];

const RUN_COLUMNS = (cli: Cli): Column<Standstill>[] => [
  { title: "WHAT", value: ({ kind }) => kind },
  { title: "THREAD", value: ({ threadId }) => threadId, flexible: true },
  { title: "RUN", value: ({ runId }) => runId ?? "", flexible: true },
  { title: "GRAPH", value: ({ graph }) => graph ?? "", flexible: true },
  { title: "STEP", value: ({ step }) => step ?? "", flexible: true },
  { title: "SINCE", value: ({ since }) => instant(since) },
  { title: "LEASE", value: ({ lease }) => lease },
  { title: "NOTE", value: (one) => explain(cli, one), flexible: true },
];

interface ListOptions {
  thread?: string;
  silent: string;
}

interface RetryOptions {
  done?: string | boolean;
  notDone?: boolean;
}

export function addStuck(program: Command, act: Act): void {
  const group = program
    .command("stuck")
    .summary("effects that could not be undone, and runs that stand still")
    .description(
      "What a person must look at: compensations that keep failing, which stay listed until somebody ends " +
        "them; and runs that are silent, left by their worker, or taken by none.",
    );
  group
    .command("ls")
    .alias("list")
    .description(
      "Lists compensations that keep failing, and runs that are at work and silent, whose lease ran out, or " +
        "that are due, and no worker takes them for a minute. Latest first.",
    )
    .option("-t, --thread <id>", "only those of this thread")
    .option("--silent <time>", "runs of which nothing was heard for so long", SILENT)
    .addHelpText(
      "after",
      `
Examples:
  holdfast stuck ls --thread order-42
  holdfast stuck ls --silent 1h -o json | jq '.[] | select(.kind == "silent").runId'`,
    )
    .action((options: ListOptions) => act((cli) => list(cli, options)));
  group
    .command("retry")
    .description("Undoes one once more, with all its retries. Loads the graph of its thread.")
    .argument("<id>", "its id, or a unique beginning of it")
    .argument("[graph]", "its graph, where the thread does not remember it")
    .option("--done [json]", "where that was unknown: the effect was performed, with this result")
    .option("--not-done", "where that was unknown: the effect was not performed")
    .addHelpText("after", "\nExample:\n  holdfast stuck retry 4be1")
    .action((id: string, graph: string | undefined, options: RetryOptions) =>
      act((cli) => retry(cli, id, graph, options)),
    );
  group
    .command("dismiss")
    .description("Ends it: somebody has dealt with it otherwise.")
    .argument("<id>", "its id, or a unique beginning of it")
    .requiredOption("--reason <text>", "what was done instead; kept with it")
    .addHelpText(
      "after",
      "\nExample:\n  holdfast stuck dismiss 4be1 --reason 'refunded by hand, ticket 4711'",
    )
    .action((id: string, { reason }: { reason: string }) =>
      act(async (cli) => {
        const found = await findStuck(cli, id);
        await found.dismiss(reason);
        told(cli, found, "dismissed");
      }),
    );
}

async function list(cli: Cli, { thread, silent: asked }: ListOptions): Promise<void> {
  const { out } = cli;
  const silent = parseMilliseconds(asked, "--silent");
  const saver = await cli.saver();
  const threadId = thread === undefined ? undefined : await findThreadOfRuns(saver, thread);
  const undos = await stuck(saver, threadId);
  const runs = await standstills(saver, { silent, threadId });
  if (out.forPeople) {
    await out.list(undos, COLUMNS);
    if (undos.length > 0 && runs.length > 0) out.lines([""]);
    await out.list(runs, RUN_COLUMNS(cli));
  } else {
    const kind = "compensation";
    await out.list([...undos.map((one) => ({ kind, ...stuckJson(one) })), ...runs], []);
  }
  if (undos.length + runs.length === 0) out.note("Nothing is stuck.");
}

async function retry(
  cli: Cli,
  id: string,
  graph: string | undefined,
  options: RetryOptions,
): Promise<void> {
  const { out, io } = cli;
  const outcome = await readOutcome(cli, options);
  const found = await findStuck(cli, id);
  const saver = await cli.saver();
  // Loading it defines its effects: they are found by their names.
  await cli.openGraph(await cli.graphOf(found.threadId, graph, saver), saver);
  const still = await underLease({ saver, io, threadId: found.threadId }, (signal) =>
    found.retry({ signal, ...(outcome === undefined ? {} : { outcome }) }),
  );
  if (still === undefined) {
    told(cli, found, "undone");
    return;
  }
  out.error(`"${still.effect}" could not be undone: ${still.error}`);
  throw new Exit(EXIT.failure);
}

async function readOutcome(
  { io }: Cli,
  { done, notDone }: RetryOptions,
): Promise<FoundOut | undefined> {
  if (done !== undefined && notDone !== undefined) {
    throw new InvalidInputError("--done and --not-done: give one of the two.");
  }
  if (notDone === true) return { done: false };
  if (done === undefined) return undefined;
  if (typeof done === "boolean") return { done: true };
  return { done: true, result: await readJson(done, "--done", io) };
}

async function findStuck(cli: Cli, id: string): Promise<StuckCompensation> {
  if (id === "") throw new InvalidInputError("An id cannot be empty.");
  const all = await stuck(await cli.saver());
  const [found, other] = all.filter((one) => one.id.startsWith(id));
  if (found === undefined) throw new NotFoundError(`Nothing is stuck under the id "${id}".`);
  if (other !== undefined) {
    throw new InvalidInputError(`Several ids begin with "${id}": give more of the id.`);
  }
  return found;
}

/** Its data, without the methods. */
export function stuckJson(one: StuckCompensation): Record<string, unknown> {
  const { id, threadId, effect, key, idempotencyKey, args, result, unknown } = one;
  const { error, since, attempts } = one;
  return {
    ...{ id, threadId, effect, key, idempotencyKey, args, result, unknown },
    ...{ error, since, attempts },
  };
}

function told({ out }: Cli, { id, effect, threadId }: StuckCompensation, became: string): void {
  out.one({ id, effect, threadId, outcome: became }, () => [`${harmless(effect)}  ${became}`]);
}
