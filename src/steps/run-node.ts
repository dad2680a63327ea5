/**
 * One call of a durable node by LangGraph: what is known before its body may run.
 *
 * Invariant
 *   R1  What gave up once in an execution gives up again at once, so that LangGraph's own retry
 *       multiplies nothing.
 */

import { GraphInterrupt } from "@langchain/langgraph";
import { currentAttempt, nodeOf, type AttemptContext, type NodeContext } from "../context.ts";
import { InvalidInputError } from "../errors.ts";
import { events } from "../events.ts";
import { isBubbleUp } from "../policy/classify.ts";
import { runAttempts } from "./attempt-loop.ts";
import type { Send } from "./attempt-timeout.ts";
import { deadlineOf } from "./deadlines.ts";
import type { Call, Execution } from "./execution.ts";
import { isResuming } from "./invocation.ts";
import { leftBehind } from "./left-behind.ts";
import { noteStop, stepName } from "./status.ts";
import { memoryFor, stepsOf } from "./steps-of.ts";
import { TaskRecord, sleepsOf } from "./task-record.ts";
import { park, parkingOf, waitIn } from "./wait.ts";

/** What executions gave up on, by LangGraph's scratchpad, which its own retries share. */
const gaveUp = new WeakMap<object, { error: unknown }>();

export async function runNode(call: Call): Promise<unknown> {
  const { policy, config } = call;
  const node = nodeOf(config);
  if (node === undefined) {
    throw new InvalidInputError(
      `The durable node "${policy.name}" was called outside of a graph. Add it to one with addNode(); ` +
        "for a function that is no node there is retry(fn, policy).",
    );
  }
  const outer = currentAttempt();
  if (outer?.node.execution === node.execution) return runWithin(call, node, outer);
  const before = gaveUp.get(node.execution);
  if (before !== undefined) {
    events.notice(
      `holdfast: the node "${stepName(node)}" has both durable() and LangGraph's retryPolicy. durable() ` +
        "has made its attempts, so LangGraph's have no effect but to wait: take retryPolicy away.",
    );
    throw before.error;
  }
  try {
    const steps = stepsOf(node);
    if (node.durable !== undefined && node.durability !== "sync") adviseSync(node);
    const record = await steps.attempts.read(node.task);
    const found = deadlineOf(policy, call.input, node, steps, record);
    const deadlineAt = typeof found === "object" ? await found : found;
    const task = new TaskRecord(steps.attempts, node.task, record);
    const execution = executionOf(call, node, steps, deadlineAt, task);
    if (isResuming(node)) await resume(execution);
    // Other savers would have to be asked each time.
    const run = await node.durable?.steps.runs.of(node.task.threadId, node.rootCheckpointId);
    return await runAttempts(execution, run);
  } catch (error) {
    if (!isBubbleUp(error)) gaveUp.set(node.execution, { error });
    throw error;
  }
}

/** What an earlier invocation left may keep the body from running. */
async function resume(execution: Execution): Promise<void> {
  const { node, kind } = execution;
  const left = await leftBehind(node);
  // A graph's question is that of a node within, and for that node to ask again.
  if (left?.question !== undefined && kind === "function") {
    noteStop(execution, "asked");
    throw new GraphInterrupt(left.question);
  }
  if (left?.parked === undefined) return;
  const { resumeAt, reason, waits } = left.parked;
  if (waits === undefined) await waitIn(execution, resumeAt, reason);
  else await parkAgain(execution, resumeAt, reason, waits);
}

/** What waits for events waits in its body, unless it is parked as long as nothing is new for it. */
async function parkAgain(
  execution: Execution,
  resumeAt: number,
  reason: string,
  waits: readonly string[],
): Promise<void> {
  const { node, steps, parks, parkAfter } = execution;
  if (!parks || resumeAt - (await steps.now()) <= parkAfter) return;
  if ((await steps.events?.heard(waits)) !== false) return;
  noteStop(execution, "parked");
  throw park(node, reason, resumeAt, undefined, waits);
}

/** A durable node in another one's body, whose task it shares: a policy of its own, kept in memory. */
function runWithin(call: Call, node: NodeContext, outer: AttemptContext): Promise<unknown> {
  const steps = stepsOf(node);
  const own = new TaskRecord(memoryFor(node.execution), node.task, undefined);
  const execution = executionOf(call, node, steps, outer.deadlineAt, own);
  return runAttempts({ ...execution, sleeps: sleepsOf(outer) ?? execution.sleeps }, undefined);
}

function executionOf(
  call: Call,
  node: NodeContext,
  steps: Execution["steps"],
  deadlineAt: number | undefined,
  record: TaskRecord,
): Execution {
  const { configurable } = node.config;
  return {
    ...call,
    node,
    send: configurable?.["__pregel_send"] as Send | undefined,
    steps,
    record,
    sleeps: { record, count: 0 },
    deadlineAt,
    ...parkingOf(node, call.policy.parkAfter),
  };
}

function adviseSync(node: NodeContext): void {
  events.notice(
    `holdfast: this graph runs with durability "${node.durability ?? "async"}": a crash may lose finished ` +
      'nodes, which then run again. Pass { durability: "sync" } to invoke() or stream().',
  );
}
