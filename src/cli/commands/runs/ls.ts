import { Option, type Command } from "commander";
import { isHoldfastError } from "../../../errors.ts";
import type { RunQuery, WorkflowState } from "../../../run-store.ts";
import { infoOf } from "../../../runtime/info.ts";
import type { Act, Cli } from "../../cli.ts";
import { parseCount, parseInstant } from "../../input.ts";
import { findThreadOfRuns } from "../../lookup.ts";
import { RUN_COLUMNS, STATES, queueOf } from "../../runs.ts";
import { watch } from "../../watch.ts";

interface Options {
  status?: WorkflowState;
  thread?: string;
  schedule?: string;
  since?: string;
  limit: string;
  watch?: boolean;
}

export function addLs(runs: Command, act: Act): void {
  runs
    .command("ls")
    .alias("list")
    .description("Lists runs, latest accepted first. --graph GRAPH: only those of this graph.")
    .addOption(new Option("--status <status>", "only those that are so").choices(STATES))
    .option("-t, --thread <id>", "only those of this thread")
    .option("--schedule <name>", "only those that this schedule fired")
    .option("--since <time>", "only those accepted since: 2026-10-01, or 1h for an hour ago")
    .option("-n, --limit <n>", "at most so many", "100")
    .option("-w, --watch", "again every second, until Ctrl-C; not on a terminal: changes, as jsonl")
    .addHelpText(
      "after",
      `
Examples:
  holdfast runs ls --status failed --since 1h
  holdfast runs ls --schedule digest --limit 10
  holdfast runs ls --watch
  holdfast runs ls --watch -o jsonl | jq -r '[.runId, .status] | @tsv'`,
    )
    .action((options: Options) => act((cli) => list(cli, options)));
}

async function list(cli: Cli, options: Options): Promise<void> {
  const { io, out } = cli;
  const { status, thread, schedule, since } = options;
  const saver = await cli.saver();
  const queue = queueOf(saver);
  const query: RunQuery = {
    limit: parseCount(options.limit, "--limit"),
    ...(status === undefined ? {} : { status }),
    ...(thread === undefined ? {} : { threadId: await findThreadOfRuns(saver, thread) }),
    ...(schedule === undefined ? {} : { schedule }),
    ...(since === undefined ? {} : { since: parseInstant(since, "--since", io.now()).getTime() }),
    ...(cli.options.graph === undefined ? {} : { graph: await graphName(cli, cli.options.graph) }),
  };
  const read = async () => (await queue.list(query)).map(infoOf);
  if (options.watch === true) {
    return watch(cli, saver.steps.clock, {
      read,
      idOf: ({ runId }) => runId,
      lines: (rows) => (rows.length === 0 ? ["No runs."] : out.table(rows, RUN_COLUMNS)),
    });
  }
  const count = await out.list(await read(), RUN_COLUMNS);
  if (count === 0) out.note("No runs.");
}

/** As its runs know it; they may be of a graph that is not in this project. */
async function graphName(cli: Cli, asked: string): Promise<string> {
  try {
    return (await cli.findGraph(asked)).name;
  } catch (error) {
    if (isHoldfastError(error, "NOT_FOUND")) return asked;
    throw error;
  }
}
