/** `holdfast approvals`: what people are asked, over all threads, and their answers by id. */

import type { Command } from "commander";
import type { Approval } from "../../approval-store.ts";
import { approvals, type AnswerOptions } from "../../steps/inbox.ts";
import type { Act, Cli } from "../cli.ts";
import { when } from "../format.ts";
import { acceptedRun } from "../hand-over.ts";
import { parseCount, readJson } from "../input.ts";
import { findThread } from "../lookup.ts";
import type { Column } from "../table.ts";
import { harmless } from "../text.ts";
import { textOf, valueLines } from "../values.ts";

const COLUMNS: Column<Approval>[] = [
  { title: "ID", value: ({ id }) => id },
  { title: "THREAD", value: ({ threadId }) => threadId, flexible: true },
  { title: "ASKED", value: ({ createdAt }) => when(new Date(createdAt).toISOString()) },
  { title: "STATUS", value: statusOf },
  { title: "QUESTION", value: ({ title }) => title, flexible: true },
  { title: "ABOUT", value: ({ payload }) => textOf(payload), flexible: true },
];

interface ListOptions {
  thread?: string;
  all?: boolean;
  limit?: string;
}

interface AnswerWords {
  by?: string;
  reason?: string;
}

export function addApprovals(program: Command, act: Act): void {
  const group = program
    .command("approvals")
    .summary("what people are asked, and their answers")
    .description(
      "Questions that wait for a person: approval() in a node, and gates (interruptBefore). Each is " +
        "answered by its id, or a unique beginning of it; the run goes on with `holdfast resume`, or with " +
        "the next worker where a runtime accepted it.",
    );
  group
    .command("ls")
    .alias("list")
    .description("Lists open questions, oldest first.")
    .option("-t, --thread <id>", "only those of this thread")
    .option("-a, --all", "those that were answered, too")
    .option("-n, --limit <n>", "at most so many", "100")
    .action((options: ListOptions) => act((cli) => list(cli, options)));
  group
    .command("show")
    .description("Shows one question with its payload and its answers.")
    .argument("<id>")
    .action((id: string) => act((cli) => show(cli, id)));
  answering(group.command("approve").description("Says yes."), (id, options) =>
    act(async (cli) => {
      const inbox = approvals(await cli.saver());
      await told(cli, await inbox.approve(id, optionsOf(cli, options)));
    }),
  );
  answering(group.command("reject").description("Says no."), (id, options) =>
    act(async (cli) => {
      const inbox = approvals(await cli.saver());
      await told(cli, await inbox.reject(id, optionsOf(cli, options)));
    }),
  );
  answering(
    group
      .command("edit")
      .description("Says yes to something else; at a gate, changes the state before it goes on.")
      .requiredOption("--payload <json>", "what is approved instead: JSON, @file, or -"),
    (id, options) =>
      act(async (cli) => {
        const payload = await readJson(options.payload, "--payload", cli.io);
        const inbox = approvals(await cli.saver());
        await told(cli, await inbox.edit(id, payload, optionsOf(cli, options)));
      }),
  );
  answering(
    group
      .command("respond")
      .description("Answers in words, or with one of the choices.")
      .requiredOption("--value <json>", "the answer: JSON, @file, or -"),
    (id, options) =>
      act(async (cli) => {
        const value = await readJson(options.value, "--value", cli.io);
        const inbox = approvals(await cli.saver());
        await told(cli, await inbox.respond(id, value, optionsOf(cli, options)));
      }),
  );
}

function answering(
  command: Command,
  action: (id: string, options: AnswerWords & { payload: string; value: string }) => Promise<void>,
): void {
  command
    .argument("<id>")
    .option("--by <who>", "who answers (default: $USER)")
    .option("--reason <text>", "why")
    .action(action);
}

async function list(cli: Cli, { thread, all, limit }: ListOptions): Promise<void> {
  const saver = await cli.saver();
  const found = await approvals(saver).list({
    limit: parseCount(limit ?? "100", "--limit"),
    status: all === true ? "all" : "pending",
    ...(thread === undefined ? {} : { threadId: await findThread(saver, thread) }),
  });
  await cli.out.list(found, COLUMNS);
  if (found.length === 0) cli.out.note("Nobody is waited for.");
}

async function show(cli: Cli, id: string): Promise<void> {
  const { out } = cli;
  const found = await approvals(await cli.saver()).read(id);
  out.one(found, () => [
    `${out.paint.bold(harmless(found.title))}  ${statusOf(found)}`,
    `id       ${found.id}`,
    `thread   ${harmless(found.threadId)}`,
    `node     ${harmless(found.node)}`,
    `answers  ${found.verbs.join(", ")}`,
    ...found.answers.map(
      ({ verb, by, reason, at }) =>
        `${new Date(at).toISOString()}  ${verb} by ${harmless(by ?? "somebody")}` +
        (reason === undefined ? "" : `: ${harmless(reason)}`),
    ),
    "",
    ...valueLines(found.payload, out.paint),
  ]);
}

function optionsOf({ io }: Cli, { by, reason }: AnswerWords): AnswerOptions {
  const who = by ?? io.env["USER"];
  return {
    ...(who === undefined || who === "" ? {} : { by: who }),
    ...(reason === undefined ? {} : { reason }),
  };
}

async function told(cli: Cli, approval: Approval): Promise<void> {
  const { out } = cli;
  out.one(approval, () => [`${approval.id}  ${statusOf(approval)}`]);
  if (approval.status === "pending") return;
  const accepted = await acceptedRun(await cli.saver(), approval.threadId);
  out.note(
    accepted === undefined || accepted.isAttended
      ? `Go on with: ${cli.again("resume", approval.threadId)}`
      : `A worker goes on with it; wait for it with: ${cli.again("runs", "wait", accepted.run.runId)}`,
  );
}

function statusOf({ status, approvers, answers, payloadHash }: Approval): string {
  if (status !== "pending" || approvers === 1) return status;
  const yes = answers.filter((answer) => answer.payloadHash === payloadHash).length;
  return `${status} (${yes} of ${approvers})`;
}
