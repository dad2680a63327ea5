/** What `run`, `resume` and `threads fork --run` say at the end, and the exit code that goes with it. */

import { canCompensate } from "../effects/saga.ts";
import { configFor } from "../history/address.ts";
import { NEVER, type Parked } from "../steps/wait.ts";
import type { Cli } from "./cli.ts";
import type { Outcome } from "./drive.ts";
import { describeError, EXIT } from "./exit.ts";
import type { ExitCode } from "./exit.ts";
import type { Gate } from "../run/gate.ts";
import type { Graph } from "./graph.ts";
import type { Question } from "../run/tasks.ts";
import { harmless } from "./text.ts";
import { textOf, valueLines } from "./values.ts";

/** Prints the state on stdout, and on stderr what to do next. */
export async function report(
  cli: Cli,
  graph: Graph,
  threadId: string,
  outcome: Outcome,
  runId?: string,
): Promise<ExitCode> {
  const { out } = cli;
  const at = outcome.status === "waiting" ? outcome.at : undefined;
  const state = await graph.getState(configFor(threadId, "", at));
  out.one(
    {
      threadId,
      ...(runId === undefined ? {} : { runId }),
      checkpointId: state.config.configurable?.["checkpoint_id"] as unknown,
      status: outcome.status,
      ...(outcome.status === "waiting"
        ? { gates: outcome.gates, questions: outcome.questions.map(questionJson) }
        : {}),
      ...(outcome.status === "parked" ? { parks: outcome.parks } : {}),
      ...(outcome.status === "failed" ? { error: describeError(outcome.error) } : {}),
      values: state.values as unknown,
    },
    () => valueLines(state.values, out.paint),
  );
  const code = sayWhatNext(cli, threadId, outcome);
  if (outcome.status === "failed" && (await canCompensate(await cli.saver(), threadId))) {
    out.note(`What it did can be undone with: ${cli.again("compensate", threadId)}`);
  }
  return code;
}

export function questionJson({ id, node, value }: Question): Record<string, unknown> {
  return { id, node, value };
}

/** The last lines on stderr. */
function sayWhatNext(cli: Cli, threadId: string, outcome: Outcome): ExitCode {
  const { out } = cli;
  const resume = cli.again("resume", threadId);
  switch (outcome.status) {
    case "done":
      out.note(`${out.notePaint.green("done")}  thread ${harmless(threadId)}`);
      return EXIT.ok;
    case "waiting":
      sayWaiting(cli, threadId, outcome);
      return EXIT.waiting;
    case "parked":
      sayParked(cli, threadId, outcome.parks);
      return EXIT.waiting;
    case "unfinished":
      out.note(`Stopped before ${outcome.nodes.map(harmless).join(", ")}; go on with: ${resume}`);
      return EXIT.failure;
    case "failed":
      out.error(failureLine(outcome));
      out.note(`What finished is kept; try again from there with: ${resume}`);
      return EXIT.failure;
    case "aborted":
      out.note(
        outcome.goesOn === undefined
          ? `Stopped; what finished is kept. Go on with: ${resume}`
          : `A worker goes on with it; wait for it with: ${cli.again("runs", "wait", outcome.goesOn)}`,
      );
      return EXIT.interrupted;
  }
}

/** Says until when the thread waits, and why. */
export function sayParked(cli: Cli, threadId: string, parks: readonly Parked[]): void {
  const { out } = cli;
  for (const { reason, resumeAt } of parks) {
    const until = resumeAt === NEVER ? "for" : `until ${new Date(resumeAt).toISOString()}:`;
    out.note(`${out.notePaint.yellow("parked")}  ${until} ${harmless(reason)}`);
  }
  out.note(`Go on then with: ${cli.again("resume", threadId)}`);
}

/** Says what the thread waits for, and the command that answers. */
export function sayWaiting(
  cli: Cli,
  threadId: string,
  waiting: { gates: readonly Gate[]; questions: readonly Question[]; at?: string },
): void {
  const { out } = cli;
  const { yellow } = out.notePaint;
  const { gates, questions, at } = waiting;
  for (const { when, nodes } of gates) {
    out.note(`${yellow("waiting")}  for approval ${when} ${nodes.map(harmless).join(", ")}`);
  }
  for (const { node, value, id } of questions) {
    const name = questions.length > 1 ? ` (${id ?? "no id"})` : "";
    out.note(`${yellow("waiting")}  ${harmless(node)} asks${name}: ${harmless(textOf(value))}`);
  }
  const words = at === undefined ? [] : ["--checkpoint", at];
  out.note(`Go on with: ${cli.again(...nextWords(threadId, gates, questions), ...words)}`);
}

function nextWords(
  threadId: string,
  gates: readonly Gate[],
  questions: readonly Question[],
): string[] {
  const words = ["resume", threadId];
  if (gates.length > 0) return [...words, "--approve"];
  const [question] = questions;
  if (questions.length > 1 && question?.id !== undefined) words.push("--interrupt", question.id);
  return [...words, "--value", "JSON"];
}

function failureLine({ error, failures }: Extract<Outcome, { status: "failed" }>): string {
  const [failure] = failures;
  if (failure === undefined) return describeError(error);
  const others = failures.length > 1 ? ` (and ${failures.length - 1} more)` : "";
  return `Node "${failure.node}" failed: ${describeError(error)}${others}`;
}
