/**
 * The way of a run from where its thread stands: one LangGraph call after the other, until it is for
 * somebody else to act.
 */

import { Command, isGraphDrained } from "@langchain/langgraph";
import { InvalidInputError, NotFoundError, isHoldfastError } from "../errors.ts";
import { keepAnswers, withoutStaleResume, type Answers } from "./answers.ts";
import { finish } from "./finish.ts";
import { isForeign } from "./foreign.ts";
import { withSaver } from "./graph.ts";
import { nextMove } from "./next-move.ts";
import type { RunOutcome } from "./outcome.ts";
import type { Run } from "./run.ts";
import { failEmpty, failureOf, takeBack } from "./take-back.ts";
import { isFinished, readLevel, type Level } from "./tasks.ts";

/** A new run. */
export async function begin(
  run: Run,
  input: unknown,
  level: Level | undefined,
): Promise<RunOutcome> {
  const stopped = await invoke(run, input, level, {}, { begins: true });
  return stopped ?? goOn(run, await mustRead(run), { ran: true });
}

/** Goes on from where the thread stands, again and again, until it is for somebody else to act. */
export async function goOn(
  run: Run,
  from: Level,
  options: { approve?: boolean; answers?: Answers; ran?: boolean },
): Promise<RunOutcome> {
  const { saver, clock, config } = run;
  let level = from;
  // A word on the spot is for where the thread stands now, and for nothing that comes later.
  let said = {
    approve: options.approve === true,
    answers: options.answers ?? {},
    ran: options.ran === true,
  };
  for (;;) {
    const next = await nextMove(run, level, said);
    said = { approve: false, answers: {}, ran: next.move === "invoke" };
    switch (next.move) {
      case "done":
        return finish(run, { status: "completed" }, { level });
      case "ask":
        return finish(
          run,
          { status: "interrupted", gates: next.gates, questions: next.questions },
          { level },
        );
      case "park": {
        const { resumeAt, reason } = next;
        return finish(run, { status: "parked", resumeAt, reason }, { level });
      }
      case "reject":
        return takeBack(run, next.error);
      case "wait":
        try {
          await clock.sleep(next.until - clock.now(), config.signal);
        } catch (error) {
          if (config.signal?.aborted === true) return finish(run, { status: "stopped" });
          throw error;
        }
        break;
      case "invoke": {
        const { answers } = next;
        const answering = Object.keys(answers).length > 0;
        if (answering) await keepAnswers(level, answers, saver, clock.now(), { leased: config });
        const input = answering ? new Command({ resume: answers }) : null;
        const stopped = await invoke(run, input, level, answers);
        if (stopped !== undefined) return stopped;
        const before = level;
        level = await mustRead(run);
        mustHaveMoved(run, before, level);
        continue;
      }
    }
    level = await mustRead(run);
  }
}

/** One LangGraph call. @returns how the run ended, where it did: by a failure, or stopped */
async function invoke(
  run: Run,
  input: unknown,
  level: Level | undefined,
  answers: Answers,
  { begins = false } = {},
): Promise<RunOutcome | undefined> {
  const { graph, saver, config, options } = run;
  const answering = Object.keys(answers).length > 0;
  await options.onCall?.(begins ? undefined : level);
  const view = level === undefined ? saver : withoutStaleResume(saver, level, answering);
  try {
    const chunks = await withSaver(graph, view).stream(input, {
      ...config,
      // What nobody hears need not be put together.
      streamMode: options.onChunk === undefined ? "custom" : (options.streamMode ?? "updates"),
      subgraphs: options.onChunk !== undefined,
      durability: "sync",
    });
    for await (const chunk of chunks) options.onChunk?.(chunk);
    return undefined;
  } catch (error) {
    if (isHoldfastError(config.signal?.reason, "LEASE_LOST")) throw config.signal?.reason;
    if (config.signal?.aborted === true || isGraphDrained(error)) {
      return finish(run, { status: "stopped" });
    }
    if (isForeign(error)) throw error;
    // What it did not begin to do is not its own: it was an earlier run's.
    if (begins && !(await isStored(run, level))) return failEmpty(run, failureOf(error));
    return takeBack(run, failureOf(error));
  }
}

/** Whether the thread has got any further than it was. */
async function isStored({ saver, threadId }: Run, before: Level | undefined): Promise<boolean> {
  const config = { configurable: { thread_id: threadId, checkpoint_ns: "" } };
  return (await saver.getTuple(config))?.checkpoint.id !== before?.tuple.checkpoint.id;
}

async function mustRead({ graph, saver, threadId, config }: Run): Promise<Level> {
  const level = await readLevel(graph, saver, threadId, { leased: config });
  if (level === undefined) throw new NotFoundError(`Thread "${threadId}" is gone.`);
  return level;
}

function mustHaveMoved({ threadId }: Run, before: Level, after: Level): void {
  const sign = ({ tuple }: Level): string =>
    `${tuple.checkpoint.id} ${tuple.pendingWrites?.length ?? 0}`;
  if (isFinished(after) || sign(before) !== sign(after)) return;
  const open = after.tasks.filter(({ done, question }) => !done && question === undefined);
  if (open.length === 0) return;
  throw new InvalidInputError(
    `Thread "${threadId}" does not get any further: LangGraph returned without running ` +
      `${open.map(({ name }) => name).join(", ")}.`,
  );
}
