/** One attempt of a durable node: its context, its limits, and what must be over before it ends. */

import { Runnable } from "@langchain/core/runnables";
import { AsyncLocalStorageProviderSingleton } from "@langchain/core/singletons";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { anySignal } from "../abort.ts";
import { withAttempt } from "../context.ts";
import { DeadlineExceededError } from "../errors.ts";
import { events } from "../events.ts";
import { workTill } from "../policy/deadline.ts";
import { Progress, keepWrites, walled, withinLimits } from "./attempt-timeout.ts";
import { checkLeaves } from "./emit.ts";
import type { Execution } from "./execution.ts";
import { stepName } from "./status.ts";
import type { SleepingAttempt } from "./task-record.ts";
import { parkedBy } from "./wait.ts";

type Config = LangGraphRunnableConfig & { configurable: Record<string, unknown> };

const never = new AbortController().signal;

/**
 * @param number of the attempt in its series
 * @param round counts the attempts of this execution
 */
export async function runAttempt(
  execution: Execution,
  number: number,
  round: number,
): Promise<unknown> {
  const { policy, config, node, steps, deadlineAt } = execution;
  const { timeout, reserve } = policy;
  const isLimited = timeout !== undefined || deadlineAt !== undefined;
  const over = isLimited ? new AbortController() : undefined;
  const progress = isLimited ? new Progress(steps.clock) : undefined;
  const attempt: SleepingAttempt = {
    node,
    attempt: number,
    signal: anySignal(node.signal, over?.signal) ?? never,
    deadlineAt,
    parks: execution.parks,
    parkAfter: execution.parkAfter,
    heartbeat: () => {
      progress?.touch();
      config.heartbeat?.();
      steps.status.note(node.task.threadId, {});
    },
    inFlight: new Set(),
    parked: undefined,
    active: true,
    sleeps: execution.sleeps,
  };
  if (execution.sleeps.record === execution.record) execution.sleeps.count = 0;
  const touch = timeout?.refreshOn === "heartbeat" || !progress ? nothing : progress.touch;
  const again = round === 1 ? config : fromTheStart(config);
  const own = isLimited ? walled(again, attempt, touch) : ofOneAttempt(execution, again);
  const passWrites = keepWrites(own.configurable, execution.send, attempt, touch);
  const isOwn = own !== config;
  const work = (): Promise<unknown> => withAttempt(attempt, () => callBody(execution, own, isOwn));
  try {
    const value =
      over === undefined || progress === undefined
        ? await work()
        : await withinLimits(
            `Attempt ${number} of "${stepName(node)}"`,
            { ...timeout, until: deadline(execution, reserve) },
            { clock: steps.clock, attempt, progress, over },
            work,
          );
    if (attempt.parked === undefined) {
      passWrites((writes) => checkLeaves(writes, value, node));
      return value;
    }
    tellPassed(attempt);
  } catch (error) {
    if (attempt.parked === undefined) throw error;
  } finally {
    if (attempt.parked !== undefined) await Promise.allSettled(attempt.inFlight);
    attempt.active = false;
  }
  throw attempt.parked;
}

/** A result that a park undoes: the node waits anew, perhaps for what never comes. */
function tellPassed({ node, parked }: SleepingAttempt): void {
  const reason = parkedBy(parked)?.reason;
  if (reason === undefined) return;
  events.notice(
    `Node "${node.node}" went on although it had been parked in a wait (${reason}), so what it returned does not ` +
      "count, and it waits on. Waits must not be raced (Promise.race, Promise.any), and what they " +
      "throw must not be caught: wait for all of them, or for one event that several may emit.",
  );
}

function nothing(): void {}

/**
 * A function node's config is its alone, and a copy would need a context of its own, so its first
 * attempt takes it as it is. A runnable's is shared with what LangGraph runs after it.
 */
function ofOneAttempt({ kind }: Execution, config: LangGraphRunnableConfig): Config {
  if (kind === "function" && config.configurable !== undefined) return config as Config;
  return { ...config, configurable: { ...config.configurable } };
}

/**
 * LangGraph runs a function within its config's context; another config needs its own. A runnable that
 * a function returns is run in its stead, as LangGraph does it.
 */
async function callBody(
  execution: Execution,
  config: LangGraphRunnableConfig,
  isOwn: boolean,
): Promise<unknown> {
  const { kind, input, body } = execution;
  if (kind === "runnable") return body(input, config);
  if (isOwn) {
    return AsyncLocalStorageProviderSingleton.runWithConfig(config, () =>
      callBody(execution, config, false),
    );
  }
  const value = await body(input, config);
  return Runnable.isRunnable(value) ? value.invoke(input, config) : value;
}

function deadline({ node, deadlineAt }: Execution, reserve: number) {
  if (deadlineAt === undefined) return undefined;
  const error = (): Error =>
    new DeadlineExceededError(deadlineAt, `"${stepName(node)}" was not done in time`);
  return { at: workTill(deadlineAt, reserve), error };
}

interface Scratchpad {
  subgraphCounter: number;
  interruptCounter: number;
  callCounter: number;
}

/**
 * The config of a further attempt in one execution. LangGraph counts in its scratchpad which subgraph,
 * question and child call is which; from the start again, they are the same ones, and a subgraph goes
 * on where it stopped.
 */
function fromTheStart(config: LangGraphRunnableConfig): Config {
  const scratchpad = config.configurable?.["__pregel_scratchpad"] as Scratchpad | undefined;
  if (scratchpad !== undefined) {
    scratchpad.subgraphCounter = 0;
    scratchpad.interruptCounter = -1;
    scratchpad.callCounter = 0;
  }
  return { ...config, configurable: { ...config.configurable, __pregel_resuming: true } };
}
