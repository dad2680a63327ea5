/**
 * `runToEnd`: one line for a script. It takes a lease on the thread, runs the graph in durability "sync",
 * goes on after crashes, waits out what waits for a time, stops where a person is asked, and takes
 * back what was done when the run fails for good.
 *
 * Where a run stands is read from its checkpoints each time, never remembered: a process that was killed
 * anywhere in here is followed by another one that reads the same.
 *
 * Invariants
 *   R1  A gate or a question is passed by an answer to it, and by nothing else.
 *   R2  Compensation is decided durably before the first undo: a crash in the middle goes on undoing.
 *   R3  What is not the run's own failure (a lost lease, a database that is gone) is thrown, and
 *       nothing is compensated.
 */

import type { RunnableConfig } from "@langchain/core/runnables";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { anySignal } from "../abort.ts";
import { systemClock } from "../clock.ts";
import { PARK_AFTER_KEY } from "../context.ts";
import { InvalidInputError, NotFoundError } from "../errors.ts";
import { isDurableSaver } from "../step-store.ts";
import { begin, goOn } from "./drive.ts";
import { finish } from "./finish.ts";
import type { RunnableGraph } from "./graph.ts";
import { configurableOf, holdLease, type HeldLease } from "./lease.ts";
import type { RunOutcome } from "./outcome.ts";
import type { Run, RunToEndOptions } from "./run.ts";
import { isSameInput } from "./same-input.ts";
import { isFinished, readLevel } from "./tasks.ts";
import { failureOnRecord, isTakenBack, takeBack, unfinishedFailure } from "./take-back.ts";

const DEFAULT_LEASE = 30_000;

/** Where parking is on, shorter waits than this stay in the process. */
const PARK_AFTER = 5_000;

/**
 * Runs a thread until it is done, a person is asked, or it has failed for good.
 *
 * @param input a new run's input; the same input again, or null, goes on with the run that is under way
 * @param config with `configurable.thread_id`; its `signal` stops the run in order
 * @throws {ThreadBusyError} another process runs the thread
 * @throws {LeaseLostError} another process took the thread over
 * @throws {DatabaseUnavailableError} the database is gone; call again when it is back
 * @throws {InvalidInputError} another input, while a run is under way
 * @example
 * const outcome = await runToEnd(graph, { order }, { configurable: { thread_id: "order-42" } });
 * if (outcome.status === "interrupted") console.log(outcome.questions, outcome.gates);
 */
export async function runToEnd<Values = Record<string, unknown>>(
  graph: object,
  input: unknown,
  config: RunnableConfig,
  options: RunToEndOptions = {},
): Promise<RunOutcome<Values>> {
  const run = prepare(graph as RunnableGraph, config, options);
  const duration = options.leaseDuration ?? DEFAULT_LEASE;
  const lease =
    run.steps?.leases === undefined
      ? undefined
      : await holdLease(run.steps.leases, run.clock, run.threadId, duration);
  try {
    const outcome = await toEnd(lease === undefined ? run : under(run, lease), input);
    return outcome as RunOutcome<Values>;
  } catch (error) {
    // A stream that was aborted ends with LangGraph's own word for it; ours says why.
    lease?.signal.throwIfAborted();
    throw error;
  } finally {
    await lease?.release();
  }
}

function prepare(graph: RunnableGraph, config: RunnableConfig, options: RunToEndOptions): Run {
  const threadId: unknown = config.configurable?.["thread_id"];
  if (typeof threadId !== "string" || threadId === "") {
    throw new InvalidInputError(
      'runToEnd() needs the thread\'s id: { configurable: { thread_id: "order-42" } }.',
    );
  }
  if (config.configurable !== undefined && "checkpoint_id" in config.configurable) {
    throw new InvalidInputError(
      "runToEnd() goes on at the head of a thread, so its config has no checkpoint_id. " +
        "Use fork() or rewind() to begin at an earlier state.",
    );
  }
  const { checkpointer } = graph;
  if (typeof checkpointer !== "object" || checkpointer === null) {
    throw new InvalidInputError(
      "runToEnd() needs a graph with a saver: compile it with `{ checkpointer: saver }`.",
    );
  }
  const saver = checkpointer as BaseCheckpointSaver;
  const steps = isDurableSaver(saver) ? saver.steps : undefined;
  const parks = options.park === true ? { [PARK_AFTER_KEY]: PARK_AFTER } : {};
  return {
    graph,
    saver,
    steps,
    clock: steps?.clock ?? systemClock,
    threadId,
    config: { ...config, configurable: { ...config.configurable, ...parks } },
    options,
  };
}

function under(run: Run, lease: HeldLease): Run {
  const { config } = run;
  const configurable = { ...config.configurable, ...configurableOf(lease) };
  const signal = anySignal(config.signal, lease.signal) as AbortSignal;
  return { ...run, config: { ...config, configurable, signal } };
}

async function toEnd(run: Run, input: unknown): Promise<RunOutcome> {
  const { graph, saver, threadId, options } = run;
  const level = await readLevel(graph, saver, threadId);
  if (level === undefined) {
    if (input !== null) return begin(run, input, level);
    throw new NotFoundError(`There is no thread "${threadId}" to go on with.`);
  }
  const failure = await unfinishedFailure(run);
  if (failure !== undefined) {
    // Invariant R2: first what another process had begun; another input comes after it.
    const failed = await takeBack(run, failure);
    const isOver = input === null || failed.status === "stopped";
    return isOver || (await isSameInput(run, level, input)) ? failed : begin(run, input, level);
  }
  if (isFinished(level)) {
    return input === null ? finish(run, { status: "completed" }) : begin(run, input, level);
  }
  if (input === null) {
    if (!(await isTakenBack(run))) return goOn(run, level, options);
    // Its process may have died before it could say so; asked again, it says the same.
    const failure = await failureOnRecord(run);
    if (failure !== undefined) return takeBack(run, failure);
    throw new InvalidInputError(
      `What the run of thread "${threadId}" did was undone, so it cannot go on. Begin anew ` +
        "with an input, or fork() from a state before its first effect.",
    );
  }
  if (await isSameInput(run, level, input)) {
    return (await isTakenBack(run)) ? begin(run, input, level) : goOn(run, level, options);
  }
  const over = await failureOnRecord(run);
  if (over !== undefined) {
    // Its process may have died before it took back what it did.
    const failed = await takeBack(run, over);
    return failed.status === "stopped" ? failed : begin(run, input, level);
  }
  throw new InvalidInputError(
    `Thread "${threadId}" has a run under way, with another input. Go on with it (input null), or ` +
      "use another thread id.",
  );
}
