/** `holdfast resume`: goes on behind the last finished step, but through a gate only when told to. */

import type { Command } from "commander";
import { InvalidInputError } from "../../errors.ts";
import type { Act, Cli } from "../cli.ts";
import { underLease, type Drive, type Outcome } from "../drive.ts";
import { Exit, EXIT } from "../exit.ts";
import { beginningAt, goOn, goOnFrom, mustRead } from "../go-on.ts";
import type { Answer, Say } from "../go-on.ts";
import type { Graph } from "../graph.ts";
import { acceptedRun, failedRun, giveWay, goOnHere, handOver, mustBeOurs } from "../hand-over.ts";
import { parseCount, readJson, readObject } from "../input.ts";
import { findThreadOfRuns } from "../lookup.ts";
import { report } from "../report.ts";

export interface ResumeOptions {
  approve?: boolean;
  value?: string;
  interrupt?: string;
  checkpoint?: string;
  configurable?: string;
  recursionLimit?: string;
}

export function addResume(program: Command, act: Act): void {
  program
    .command("resume")
    .summary("go on with a thread after a crash, a gate or a question")
    .description(
      "Goes on with a thread behind its last finished step. At a gate (interruptBefore, " +
        "interruptAfter) it stays until --approve, at a question (interrupt()) until --value.",
    )
    .argument("<thread>", "its id, or a unique beginning of it")
    .argument("[graph]", "its graph, where the thread does not remember it")
    .option("--approve", "pass the gate that the thread stands at")
    .option("--value <json>", "the answer: JSON, @file, or - for standard input")
    .option("--interrupt <id>", "which of several open questions --value answers")
    .option("--checkpoint <id>", "go on from this checkpoint, on a new branch")
    .option("--configurable <json>", "values for config.configurable: JSON or @file")
    .option("--recursion-limit <n>", "stop after so many supersteps")
    .addHelpText(
      "after",
      `
Examples:
  holdfast resume order-42                        after a crash; stays at a gate
  holdfast resume order-42 --approve              yes, go on
  holdfast resume order-42 --value '"publish"'    answers an interrupt()
  holdfast resume order-42 --value '{"<interrupt id>": true, "<another>": false}'
  holdfast resume order-42 --checkpoint 1f0a4c2e  from an earlier state, on a new branch

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 5 waiting for a person.`,
    )
    .action((thread: string, graph: string | undefined, options: ResumeOptions) =>
      act((cli) => resume(cli, thread, graph, options)),
    );
}

async function resume(
  cli: Cli,
  thread: string,
  asked: string | undefined,
  options: ResumeOptions,
): Promise<void> {
  const { io, out } = cli;
  const recursionLimit =
    options.recursionLimit === undefined
      ? undefined
      : parseCount(options.recursionLimit, "--recursion-limit");
  const configurable = await readObject(options.configurable ?? "{}", "--configurable", io);
  const say: Say = {
    approved: options.approve === true,
    answer: await readAnswer(cli, options),
  };
  const saver = await cli.saver();
  const threadId = await findThreadOfRuns(saver, thread);
  const source = await cli.graphOf(threadId, asked, saver);
  const open = await acceptedRun(saver, threadId);
  const known = open?.run ?? (await failedRun(saver, threadId));
  const given = { ...known?.details.configurable, ...configurable };
  const graph = await cli.openGraph(source, saver, { configurable: given });
  const place = { graph, saver, threadId };
  if (options.checkpoint !== undefined) await mustBeOurs(cli, saver, threadId);
  const beginning =
    options.checkpoint === undefined
      ? { checkpointId: undefined }
      : await beginningAt(place, options.checkpoint, say);
  if ("outcome" in beginning) return ended(cli, graph, threadId, beginning.outcome);
  const { checkpointId } = beginning;
  if (open !== undefined && !open.isAttended) {
    return handOver(cli, open.run, { graph, level: await mustRead(place), saver }, say);
  }
  // Whoever has the thread is not disturbed.
  await underLease({ saver, threadId, io }, () => Promise.resolve());
  if (checkpointId !== undefined) await giveWay(cli, place);
  const run = checkpointId === undefined ? known : undefined;
  const outcome =
    run === undefined
      ? await underLease({ saver, threadId, io }, async (_, lease) => {
          const level = await mustRead(place);
          const graphName = source.name;
          const at: Drive = {
            ...{ io, out, graph, graphName, saver, threadId },
            ...{ level, configurable, recursionLimit, lease },
          };
          return checkpointId === undefined
            ? goOn(at, level, say)
            : goOnFrom(at, checkpointId, say);
        })
      : await goOnHere(cli, run, place, { say, configurable, stepLimit: recursionLimit });
  return ended(cli, graph, threadId, outcome, run?.runId);
}

async function ended(
  cli: Cli,
  graph: Graph,
  threadId: string,
  outcome: Outcome,
  runId?: string,
): Promise<void> {
  const code = await report(cli, graph, threadId, outcome, runId);
  if (code !== EXIT.ok) throw new Exit(code);
}

async function readAnswer(cli: Cli, options: ResumeOptions): Promise<Answer | undefined> {
  if (options.value === undefined) {
    if (options.interrupt === undefined) return undefined;
    throw new InvalidInputError("--interrupt says which question is answered; --value is missing.");
  }
  const value = await readJson(options.value, "--value", cli.io);
  return { value, interruptId: options.interrupt };
}
