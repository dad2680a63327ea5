import { Option, type Command } from "commander";
import { InvalidInputError } from "../../../errors.ts";
import type { StreamMode } from "../../../runtime/stream.ts";
import type { MultitaskStrategy } from "../../../run-store.ts";
import type { Act, Cli } from "../../cli.ts";
import { parseBudget } from "../../budget.ts";
import { isStateGraph } from "../../graph.ts";
import { parseMilliseconds, parseMoment, parseWhole, readJson } from "../../input.ts";
import { STRATEGIES, runtimeOn } from "../../runs.ts";
import { harmless } from "../../text.ts";
import { waitFor } from "./wait.ts";

interface Options {
  input: string;
  thread?: string;
  runId?: string;
  deadline?: string;
  budget?: string;
  strategy: MultitaskStrategy;
  priority?: string;
  at?: string;
  stream?: string;
  wait?: boolean;
}

export function addStart(runs: Command, act: Act): void {
  runs
    .command("start")
    .description(
      "Accepts a run durably and prints its id. It is done by a worker (`holdfast worker`), not here.",
    )
    .argument("[graph]", "a name in langgraph.json, or path:export")
    .option("-i, --input <json>", "its input: JSON, @file, or - for standard input", "{}")
    .option("-t, --thread <id>", "its thread (default: a new one, with the run's id)")
    .option("--run-id <id>", "its id: the same one twice is the same run (default: a new one)")
    .option("--deadline <ms>", "how long it may take from now, in milliseconds, or as 10m")
    .option(
      "--budget <limits>",
      "what it may cost: usd=0.5,tokens=200000,calls=100,retries=10; onExhausted=ask to ask for more",
    )
    .addOption(
      new Option("--strategy <strategy>", "what becomes of a run that is active on the thread")
        .choices(STRATEGIES)
        .default("enqueue"),
    )
    .option("--priority <n>", "greater goes first (default: 0)")
    .option("--at <time>", "not before: 2026-10-01T12:00Z, or 10m for in ten minutes")
    .option("--stream <modes>", "keep what it streams, as messages,updates, for `runs tail`")
    .option("--wait", "wait for its result, as `runs wait` does")
    .addHelpText(
      "after",
      `
Examples:
  holdfast runs start research --input '{"topic": "kelp"}' --thread kelp-1
  holdfast runs start refund --input @order.json --run-id refund-42 --deadline 10m --wait
  holdfast runs start research --input @topic.json --stream messages
  holdfast runs start research --input @topic.json --budget usd=0.5,calls=100
  holdfast runs start digest --at 2026-10-01T06:00Z`,
    )
    .action((graph: string | undefined, options: Options) =>
      act((cli) => start(cli, graph, options)),
    );
}

async function start(cli: Cli, asked: string | undefined, options: Options): Promise<void> {
  const { io, out } = cli;
  const { stream, thread, runId, deadline, budget, strategy, priority, at } = options;
  const input = await readJson(options.input, "--input", io);
  // To LangGraph no input means "go on".
  if (input === null) throw new InvalidInputError("--input: null is no input.");
  if (thread === "") throw new InvalidInputError("--thread: an id cannot be empty.");
  const said = {
    multitaskStrategy: strategy,
    // The runtime says which there are.
    ...(stream === undefined ? {} : { streamMode: stream.split(",") as StreamMode[] }),
    ...(thread === undefined ? {} : { threadId: thread }),
    ...(runId === undefined ? {} : { runId }),
    ...(deadline === undefined ? {} : { deadline: parseMilliseconds(deadline, "--deadline") }),
    ...(budget === undefined ? {} : { budget: parseBudget(budget, "--budget") }),
    ...(priority === undefined ? {} : { priority: parseWhole(priority, "--priority") }),
    ...(at === undefined ? {} : { startAt: parseMoment(at, "--at", io.now()) }),
  };
  const source = await cli.findGraph(asked);
  const saver = await cli.saver("make");
  // Loaded before it is accepted: what cannot be loaded here would fail at a worker, much later.
  const graph = await cli.openGraph(source, saver);
  if (isStateGraph(graph) && (typeof input !== "object" || Array.isArray(input))) {
    throw new InvalidInputError('--input: expected a JSON object, such as {"topic": "kelp"}.');
  }
  const run = await (
    await runtimeOn(saver, { [source.name]: graph })
  ).start(source.name, input, said);
  if (options.wait === true) {
    out.note(`${out.notePaint.bold("run")} ${harmless(run.runId)}`);
    return waitFor(cli, run.runId);
  }
  out.one(run, () => [harmless(run.runId)]);
  out.note(`Accepted; a worker does it. Wait for it with: ${cli.again("runs", "wait", run.runId)}`);
}
