/** `holdfast run`: a new thread, or the next input of one that has come to its end. */

import type { Command } from "commander";
import { InvalidInputError } from "../../errors.ts";
import type { Act, Cli } from "../cli.ts";
import { attend } from "../attend.ts";
import type { Saver } from "../database.ts";
import { underLease } from "../drive.ts";
import { Exit, EXIT } from "../exit.ts";
import { isStateGraph, type Graph } from "../graph.ts";
import { mustAllBeOurs } from "../hand-over.ts";
import { parseCount, readJson, readObject } from "../input.ts";
import { report, sayWaiting } from "../report.ts";
import { runtimeOn } from "../runs.ts";
import { standing } from "../../run/standing.ts";
import { readLevel } from "../../run/tasks.ts";
import type { StoredRun } from "../../run-store.ts";

export interface RunOptions {
  input?: string;
  thread?: string;
  configurable?: string;
  recursionLimit?: string;
  durability?: string;
  abandon?: boolean;
}

export function addRun(program: Command, act: Act): void {
  program
    .command("run")
    .summary("run a graph on a new or a finished thread")
    .description(
      "Runs a graph until its end, a gate or a question. Every finished node is stored at once: " +
        "after a crash, `holdfast resume` goes on behind the last one.",
    )
    .argument("[graph]", "its name in langgraph.json, or path:export")
    .option("-i, --input <json>", "the input: JSON, @file, or - for standard input", "{}")
    .option("-t, --thread <id>", "the thread to run on (default: a new id)")
    .option("--configurable <json>", "values for config.configurable: JSON or @file")
    .option("--recursion-limit <n>", "stop after so many supersteps")
    .option(
      "--durability <mode>",
      'always "sync": a finished node is stored before the next begins',
    )
    .option("--abandon", "leave the thread's unfinished step behind, and begin with this input")
    .addHelpText(
      "after",
      `
Examples:
  holdfast run research --input '{"topic": "kelp"}'
  holdfast run ./agent.ts:graph --thread order-42 --input @order.json
  echo '{"topic": "kelp"}' | holdfast run research --input - -o json

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 5 waiting for a person.`,
    )
    .action((graph: string | undefined, options: RunOptions) =>
      act((cli) => run(cli, graph, options)),
    );
}

async function run(cli: Cli, asked: string | undefined, options: RunOptions): Promise<void> {
  const { io } = cli;
  if (options.durability !== undefined && options.durability !== "sync") {
    throw new InvalidInputError(
      `--durability: the command line always runs in "sync", so that nothing finished is lost; "${options.durability}" is for your own programs.`,
    );
  }
  const recursionLimit =
    options.recursionLimit === undefined
      ? undefined
      : parseCount(options.recursionLimit, "--recursion-limit");
  const input = await readJson(options.input ?? "{}", "--input", io);
  // To LangGraph no input means "go on", through any gate.
  if (input === null)
    throw new InvalidInputError("--input: null is no input; use `holdfast resume`.");
  const configurable = await readObject(options.configurable ?? "{}", "--configurable", io);
  if (options.thread === "") throw new InvalidInputError("--thread: an id cannot be empty.");
  const threadId = options.thread ?? io.newThreadId();

  const source = await cli.findGraph(asked);
  const saver = await cli.saver("make");
  const graph = await cli.openGraph(source, saver, { configurable });
  if (isStateGraph(graph) && (typeof input !== "object" || Array.isArray(input))) {
    throw new InvalidInputError('--input: expected a JSON object, such as {"topic": "kelp"}.');
  }
  const before = await underLease({ saver, threadId, io }, () =>
    mustBeFree(cli, { graph, saver, threadId }, options),
  );
  // Runs that are to be ended may be of other graphs: no node of theirs begins any more.
  const names = [...before.map((run) => run.graph), source.name];
  const runtime = await runtimeOn(saver, Object.fromEntries(names.map((name) => [name, graph])));
  const { runId } = await runtime.start(source.name, input, {
    ...{ threadId, configurable, attended: true },
    // Whether what it did is taken back is for the person to say who sees it fail.
    compensate: false,
    multitaskStrategy: options.abandon === true ? "interrupt" : "reject",
    ...(recursionLimit === undefined ? {} : { stepLimit: recursionLimit }),
  });
  const outcome = await attend(cli, {
    ...{ saver, graph, runtime, threadId, runId },
    before: before.map((run) => run.runId),
  });
  const code = await report(cli, graph, threadId, outcome, runId);
  if (code !== EXIT.ok) throw new Exit(code);
}

/**
 * @returns runs of the command line that the new one leaves behind
 * @throws {InvalidInputError} the thread has not come to its end, and is not to be left behind
 */
async function mustBeFree(
  cli: Cli,
  { graph, saver, threadId }: { graph: Graph; saver: Saver; threadId: string },
  { abandon }: RunOptions,
): Promise<StoredRun[]> {
  const { out } = cli;
  const open = await mustAllBeOurs(cli, saver, threadId);
  if (abandon === true) return open;
  const level = await readLevel(graph, saver, threadId);
  const stands = level && (await standing(level, saver, threadId));
  if (stands?.status === "waiting") {
    out.error(`Thread "${threadId}" waits for a person; new input would discard that step.`);
    sayWaiting(cli, threadId, stands);
    out.note("Or begin with this input all the same: --abandon");
    throw new Exit(EXIT.waiting);
  }
  const isDone = stands === undefined || stands.status === "done";
  if (isDone && open.length === 0) return [];
  const nodes = isDone ? [] : (level?.tasks ?? []).filter(({ done }) => !done);
  const names = [...new Set(nodes.map(({ name }) => name))];
  const what = names.length > 0 ? names.join(", ") : `run ${open[0]?.runId}`;
  throw new InvalidInputError(
    `Thread "${threadId}" has not finished (${what}): go on with \`${cli.again("resume", threadId)}\`, or discard that step with --abandon.`,
  );
}
