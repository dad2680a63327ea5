/** `holdfast worker`: takes runs that were accepted, and works on them, until it is told to end. */

import type { Command } from "commander";
import { InvalidInputError } from "../../errors.ts";
import type { Act, Cli } from "../cli.ts";
import { describeDatabase } from "../database-url.ts";
import type { Saver } from "../database.ts";
import { EXIT, Exit } from "../exit.ts";
import { count } from "../format.ts";
import { parseCount, parseMilliseconds } from "../input.ts";
import { runtimeOn } from "../runs.ts";
import { harmless } from "../text.ts";
import { WorkerLog } from "../worker-log.ts";

interface Options {
  graphs?: string;
  concurrency?: string;
  lease?: string;
  poll?: string;
  grace?: string;
  stall?: string;
  engine?: string;
}

export function addWorker(program: Command, act: Act): void {
  program
    .command("worker")
    .summary("work on runs that were accepted, until SIGTERM")
    .description(
      "Takes runs that were accepted (`holdfast runs start`, or a runtime of the application) and " +
        "works on them: those of all graphs in langgraph.json, or of the graphs that are named. " +
        "SIGTERM and Ctrl-C drain it: it takes nothing more, and leaves each run to others once its " +
        "superstep is over. A second one breaks off what is still at work.",
    )
    .option("--graphs <names>", "only these graphs, separated by commas")
    .option("--concurrency <n>", "how many runs at a time (default: 10)")
    .option("--lease <ms>", "how long a run stays its own if it dies elsewhere (default: 30s)")
    .option("--poll <ms>", "how often it looks for what others accepted (default: 1s)")
    .option("--engine <name>", "listen, or pg-boss: as the application's runtime has it (Postgres)")
    .option("--grace <ms>", "how long a drain may take before it breaks off (default: 25s)")
    .option("--stall <ms>", "tell of a run of which nothing was heard for so long (default: 10m)")
    .addHelpText(
      "after",
      `
Examples:
  holdfast worker --db postgres://app@db/agents
  holdfast worker --graphs research,refund --concurrency 50 --grace 2m
  holdfast worker -o jsonl | jq -c 'select(.event == "run.failed")'

Durations are milliseconds, or have a unit: 1500, 90s, 10m.

Exit codes: 0 drained, 130 broken off.`,
    )
    .action((options: Options) => act((cli) => work(cli, options)));
}

async function work(cli: Cli, options: Options): Promise<void> {
  const { io, out } = cli;
  const { concurrency, lease, poll, stall, grace } = options;
  const workerOptions = {
    ...(concurrency === undefined ? {} : { concurrency: parseCount(concurrency, "--concurrency") }),
    ...(lease === undefined ? {} : { leaseDuration: parseMilliseconds(lease, "--lease") }),
    ...(poll === undefined ? {} : { pollInterval: parseMilliseconds(poll, "--poll") }),
    ...(stall === undefined ? {} : { stallAfter: parseMilliseconds(stall, "--stall") }),
  };
  const drainOptions =
    grace === undefined ? {} : { gracePeriod: parseMilliseconds(grace, "--grace") };
  const saver = await cli.saver("make");
  const graphs = await openGraphs(cli, saver, options.graphs);
  const runtime = await runtimeOn(saver, graphs, options.engine);
  const worker = runtime.worker(workerOptions);
  const log = new WorkerLog(cli);
  let isBrokenOff = false;
  io.onSecondSignal(() => {
    isBrokenOff = true;
    out.note("Breaks off; a third signal ends the process.");
    void worker.stop();
  });
  try {
    await worker.start();
    const { database } = await cli.database();
    const names = Object.keys(graphs).map(harmless).join(", ");
    out.note(`${out.notePaint.bold("worker")}  ${names}  on ${describeDatabase(database)}`);
    await aborted(io.signal);
    const left = worker.runs.length;
    out.note(
      left === 0
        ? "Drains."
        : `Drains: ${count(left, "run")} to leave; a second signal breaks off.`,
    );
    await worker.drain(drainOptions);
  } finally {
    await runtime.close(drainOptions);
    log.end();
  }
  if (isBrokenOff) throw new Exit(EXIT.interrupted);
  out.note("Drained.");
}

/** By the names that runs know them by. */
async function openGraphs(
  cli: Cli,
  saver: Saver,
  named: string | undefined,
): Promise<Record<string, object>> {
  const { graphs: known } = await cli.project();
  const asked =
    named === undefined
      ? cli.options.graph === undefined && known.size > 0
        ? [...known.keys()]
        : [cli.options.graph]
      : named
          .split(",")
          .map((name) => name.trim())
          .filter((name) => name !== "");
  if (asked.length === 0) throw new InvalidInputError("--graphs: no graph is named.");
  const graphs: Record<string, object> = {};
  for (const name of asked) {
    const source = await cli.findGraph(name);
    graphs[source.name] = await cli.openGraph(source, saver);
  }
  return graphs;
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
