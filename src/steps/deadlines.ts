/**
 * The deadline of the run that a node is in, as it counts now.
 *
 * A runtime says it of its runs. Else it is in the state of the node's own graph, else in what a durable node around it knows, else in
 * the state of the outermost graph. Time spent waiting for people is added, unless told otherwise.
 *
 * What a wait for a person is: the time from the last sign of life of a thread that stopped with a
 * question, or before a static gate, to the invocation that went on with it. Stopped at a gate looks
 * like this: it had been running, and no attempt of the task that is next had begun. A crash leaves
 * one that had begun; only one within a moment of a node's start may be taken for a gate.
 */

import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { DEADLINE_KEY, currentAttempt, type NodeContext } from "../context.ts";
import { durableFieldsOf, type DurableFields } from "../state.ts";
import type { AttemptsRecord, StepStore } from "../step-store.ts";
import { invocationOf, isResuming } from "./invocation.ts";

type Read = (channel: string) => unknown;

/** Nodes whose graph turned out to have no such fields: asking again would cost an exception. */
const without = new WeakSet<object>();

/**
 * @param owner stands for the node in its graph
 */
export function deadlineOf(
  owner: object,
  input: unknown,
  node: NodeContext,
  steps: StepStore,
  record: AttemptsRecord | undefined,
): number | undefined | Promise<number | undefined> {
  const given: unknown = node.config.configurable?.[DEADLINE_KEY];
  if (typeof given === "number") return given;
  const fields = durableFieldsOf(input) ?? fieldsInGraph(owner, node);
  if (fields === undefined) {
    const outer = currentAttempt();
    if (outer !== undefined) return outer.deadlineAt;
    if (node.task.namespace === "") return undefined;
  }
  return effective(fields, node, steps, record);
}

async function effective(
  fields: DurableFields | undefined,
  node: NodeContext,
  steps: StepStore,
  record: AttemptsRecord | undefined,
): Promise<number | undefined> {
  const found = fields ?? (await fieldsOfRoot(node));
  const deadlineAt = found?.deadlineAt;
  if (typeof deadlineAt !== "number") return undefined;
  if (found?.deadlineIncludesWaits === true) return deadlineAt;
  const invocation = invocationOf(node);
  invocation.waited ??= waitedUntilNow(node, steps, record, found?.startedAt ?? undefined);
  return deadlineAt + (await invocation.waited);
}

/** `Send` and nodes with an input of their own don't get the whole state. */
function fieldsInGraph(owner: object, { config }: NodeContext): DurableFields | undefined {
  if (without.has(owner)) return undefined;
  const read = (config as LangGraphRunnableConfig).configurable?.["__pregel_read"] as
    Read | undefined;
  try {
    const deadlineAt = read?.("deadlineAt");
    if (typeof deadlineAt !== "number") return undefined;
    return {
      deadlineAt,
      startedAt: read?.("startedAt") as number | undefined,
      deadlineIncludesWaits: read?.("deadlineIncludesWaits") as boolean | undefined,
    };
  } catch {
    without.add(owner);
    return undefined;
  }
}

/** For a subgraph below a node that is not durable. One read for each superstep of the outermost. */
function fieldsOfRoot(node: NodeContext): Promise<DurableFields | undefined> {
  const { roots } = invocationOf(node);
  const { saver, task, rootCheckpointId } = node;
  let fields = roots.get(rootCheckpointId);
  if (fields === undefined) {
    const read = saver?.getTuple({
      configurable: {
        thread_id: task.threadId,
        checkpoint_ns: "",
        checkpoint_id: rootCheckpointId,
      },
    });
    fields = Promise.resolve(read).then((tuple) =>
      durableFieldsOf(tuple?.checkpoint.channel_values),
    );
    roots.clear();
    roots.set(rootCheckpointId, fields);
  }
  return fields;
}

/** How long the run has waited for people, the wait that this invocation ends included. */
async function waitedUntilNow(
  node: NodeContext,
  steps: StepStore,
  record: AttemptsRecord | undefined,
  startedAt: number | undefined,
): Promise<number> {
  const { threadId } = node.task;
  const [status, run, now] = await Promise.all([
    steps.status.read(threadId),
    steps.runs.of(threadId, node.rootCheckpointId),
    steps.now(),
  ]);
  const isSameRun = status !== undefined && (status.runId ?? run.runId) === run.runId;
  const before = isSameRun ? status.waited : 0;
  const atGate = status?.status === "running" && record === undefined;
  if (!isSameRun || !isResuming(node) || !(status.status === "interrupted" || atGate)) {
    return before;
  }
  // A deadline that was set during the wait counts from there, and knows of no wait before.
  const isNew = startedAt !== undefined && startedAt > status.lastHeartbeat;
  const waited = isNew ? now - startedAt : before + now - status.lastHeartbeat;
  steps.status.note(threadId, { runId: run.runId, waited: Math.max(0, waited) });
  return Math.max(0, waited);
}
