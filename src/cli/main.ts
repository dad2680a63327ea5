/** The command line: what it understands, and how it ends. */

import { Command, Option } from "commander";
import { Cli } from "./cli.ts";
import type { Act, GlobalOptions } from "./cli.ts";
import { addApprovals } from "./commands/approvals.ts";
import { addBreakers } from "./commands/breakers.ts";
import { addBudgets } from "./commands/budgets.ts";
import { addCompensate } from "./commands/compensate.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addEffects } from "./commands/effects.ts";
import { addGraph } from "./commands/graph.ts";
import { addImport } from "./commands/import.ts";
import { addLimits } from "./commands/limits.ts";
import { addMigrate } from "./commands/migrate.ts";
import { addResume } from "./commands/resume.ts";
import { addRun } from "./commands/run.ts";
import { addRuns } from "./commands/runs/index.ts";
import { addEmit } from "./commands/emit.ts";
import { addEvents } from "./commands/events.ts";
import { addSchedules } from "./commands/schedules/index.ts";
import { addStatus } from "./commands/status.ts";
import { addStuck } from "./commands/stuck.ts";
import { addThreads } from "./commands/threads/index.ts";
import { addUsage } from "./commands/usage.ts";
import { addWorker } from "./commands/worker.ts";
import { EXIT, explainError } from "./exit.ts";
import type { Io } from "./io.ts";
import { harmlessLines } from "./text.ts";
import { ownVersion } from "./version.ts";

/**
 * Carries out one call.
 * @param argv the words behind `holdfast`
 * @returns the exit code
 */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  const program = buildProgram(io);
  try {
    await program.parseAsync([...argv], { from: "user" });
    return EXIT.ok;
  } catch (error) {
    const { code, line } = explainError(error);
    // A run that Ctrl-C ended has said so already, or never got to say anything.
    if (io.signal.aborted) return EXIT.interrupted;
    const debug = program.opts<GlobalOptions>().debug === true;
    if (line !== undefined) new Cli(io, {}).out.error(line);
    if (debug && line !== undefined) io.stderr.write(`${stackOf(error)}\n`);
    return code;
  }
}

function buildProgram(io: Io): Command {
  const program = new Command("holdfast")
    .description("Runs, resumes, inspects and forks durable LangGraph.js agents.")
    .version(ownVersion(), "-V, --version")
    .addOption(
      new Option(
        "--db <url>",
        "sqlite:./agents.db or postgres://... (default: $HOLDFAST_DB, else holdfast.db in the project)",
      ),
    )
    .option("--graph <graph>", "a name in langgraph.json, or path:export")
    .option("-c, --config <path>", "the langgraph.json to use (default: found upward from here)")
    .addOption(
      new Option("-o, --output <format>", "how to print data").choices(["text", "json", "jsonl"]),
    )
    .option("--debug", "show the stack of an error")
    .configureHelp({ showGlobalOptions: true })
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      outputError: (text, write) => write(harmlessLines(text.trimEnd()) + "\n"),
      getOutHelpWidth: () => io.stdout.columns ?? 80,
      getErrHelpWidth: () => io.stderr.columns ?? 80,
    })
    .addHelpText(
      "after",
      `
Examples:
  holdfast run research --input '{"topic": "kelp"}'
  holdfast resume 3f2a --approve
  holdfast threads history 3f2a

Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 5 waiting for a person.`,
    );
  const act: Act = async (work) => {
    const cli = new Cli(io, program.opts<GlobalOptions>());
    try {
      await work(cli);
    } finally {
      await cli.close();
    }
  };
  addRun(program, act);
  addResume(program, act);
  addThreads(program, act);
  addRuns(program, act);
  addSchedules(program, act);
  addEmit(program, act);
  addEvents(program, act);
  addWorker(program, act);
  addStatus(program, act);
  addApprovals(program, act);
  addEffects(program, act);
  addCompensate(program, act);
  addStuck(program, act);
  addBreakers(program, act);
  addLimits(program, act);
  addBudgets(program, act);
  addUsage(program, act);
  addGraph(program, act);
  addImport(program, act);
  addMigrate(program, act);
  addDoctor(program, act);
  return program;
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : `\ncaused by ${stackOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
