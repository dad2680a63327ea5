import type { Command } from "commander";
import { history } from "../../../history/history.ts";
import type { HistoryPoint } from "../../../history/point.ts";
import type { Act, Cli } from "../../cli.ts";
import { shortIds, when } from "../../format.ts";
import { parseCount } from "../../input.ts";
import { findThread } from "../../lookup.ts";
import { openHistory } from "../../source.ts";
import type { Column } from "../../table.ts";
import { textOf, valueLines } from "../../values.ts";

interface Options {
  values?: boolean;
  namespace?: string;
  limit?: string;
}

type Point = HistoryPoint<unknown>;

export function addHistory(threads: Command, act: Act): void {
  threads
    .command("history")
    .description("Shows a thread's checkpoints, newest first: who wrote each, and what it changed.")
    .argument("<thread>", "its id, or a unique beginning of it")
    .option("--values", "the whole state of each")
    .option("--namespace <ns>", 'a subgraph\'s checkpoint namespace, or "*" for all', "")
    .option("-n, --limit <n>", "at most so many")
    .addHelpText(
      "after",
      `
Examples:
  holdfast threads history order-42 --limit 10
  holdfast threads history order-42 --namespace '*' -o jsonl`,
    )
    .action((thread: string, options: Options) => act((cli) => show(cli, thread, options)));
}

async function show(cli: Cli, thread: string, options: Options): Promise<void> {
  const { out } = cli;
  const limit = options.limit === undefined ? {} : { limit: parseCount(options.limit, "--limit") };
  const saver = await cli.saver();
  const threadId = await findThread(saver, thread);
  const source = await openHistory(cli, threadId, saver);
  const points: AsyncIterable<Point> = history<unknown>(source, threadId, {
    namespace: options.namespace ?? "",
    ...limit,
  });
  if (!out.forPeople) {
    await out.list(points, [], (point) => pointJson(point, options.values === true));
    return;
  }
  const all: Point[] = [];
  // A page of a table needs its widths: keep what is shown, and the values only where asked for.
  for await (const point of points) {
    all.push(options.values === true ? point : { ...point, values: undefined });
  }
  const short = shortIds(all.map((point) => point.checkpointId));
  const columns = columnsOf(short, options.namespace === "*");
  if (options.values !== true) {
    await out.list(all, columns);
    return;
  }
  for (const point of all) {
    await out.list([point], columns);
    out.lines(valueLines(point.values, out.paint).map((line) => `  ${line}`));
    out.lines([""]);
  }
}

function columnsOf(short: (id: string) => string, namespaces: boolean): Column<Point>[] {
  return [
    { title: "CHECKPOINT", value: (point) => short(point.checkpointId) },
    { title: "WHEN", value: (point) => when(point.createdAt) },
    { title: "STEP", value: (point) => String(point.step), align: "right" },
    ...(namespaces
      ? [{ title: "NAMESPACE", value: (point: Point) => point.namespace, flexible: true }]
      : []),
    { title: "NODE", value: (point) => point.node ?? `(${point.source})`, flexible: true },
    { title: "CHANGED", value: (point) => point.changed.join(", "), flexible: true },
    { title: "BRANCH", value: (point) => point.branch, flexible: true },
    { title: "NEXT", value: (point) => (point.next ?? ["?"]).join(", "), flexible: true },
    {
      title: "ASKS",
      value: (point) => point.interrupts.map(({ value }) => textOf(value)).join("; "),
      flexible: true,
    },
  ];
}

function pointJson(point: Point, withValues: boolean): Record<string, unknown> {
  const { tasks, changes: _, values, ...rest } = point;
  const errors = (tasks ?? [])
    .filter((task) => task.error !== undefined)
    .map(({ name, error }) => ({ node: name, error }));
  return {
    ...rest,
    ...(errors.length === 0 ? {} : { errors }),
    ...(withValues ? { values } : {}),
  };
}
