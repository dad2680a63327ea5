/**
 * Forks a subgraph's checkpoint together with the graphs around it.
 *
 * A subgraph's namespace ends in the id of the task that runs it, and that id comes from the outer
 * checkpoint. So the outer checkpoint is copied, which gives the task a new id, and the subgraph's
 * line of checkpoints is copied to the namespace of that task. LangGraph alone would put the fork
 * into the old namespace, where the old branch finds it, and a copied outer graph does not.
 */

import { emptyCheckpoint } from "@langchain/langgraph-checkpoint";
import type {
  Checkpoint,
  CheckpointMetadata,
  CheckpointTuple,
} from "@langchain/langgraph-checkpoint";
import { InvalidInputError, NotFoundError } from "../errors.ts";
import { addressOf, configFor, parentIdOf, requireTuple } from "./address.ts";
import type { Address } from "./address.ts";
import { deltaWritesOf } from "./delta-writes.ts";
import type { AnySaver, TimeTravelGraph } from "./source.ts";
import { beginLoop, putCheckpoint } from "./transfer.ts";

/** A checkpoint's id in each namespace around it, as LangGraph's metadata and configs name them. */
export type OuterCheckpoints = Record<string, string>;

export interface CopiedSubgraph {
  address: Address;
  outer: OuterCheckpoints;
}

/** True for namespaces that belong to one task of one checkpoint. */
export function isTaskNamespace(namespace: string): boolean {
  return namespace.includes(":");
}

export async function copySubgraph(
  graph: TimeTravelGraph,
  saver: AnySaver,
  tuple: CheckpointTuple,
): Promise<CopiedSubgraph> {
  const { threadId, namespace: from } = addressOf(tuple);
  const outer: OuterCheckpoints = {};
  let oldNamespace = "";
  let namespace = "";
  for (const segment of segmentsOf(from)) {
    const old = outerAddress(tuple, threadId, oldNamespace);
    const copy =
      oldNamespace === ""
        ? await copyOutermost(graph, old)
        : await copyLine(saver, await requireTuple(saver, old), namespace, outer);
    outer[namespace] = copy.checkpointId;
    const task = await taskOfCopy(graph, old, copy, segment);
    oldNamespace = join(oldNamespace, segment);
    namespace = join(namespace, task);
  }
  return { address: await copyLine(saver, tuple, namespace, outer), outer };
}

/** "plan:9f3c|search:77aa" into its tasks. */
function segmentsOf(namespace: string): string[] {
  const segments = namespace.split("|");
  const odd = segments.find((segment) => !segment.includes(":"));
  if (odd === undefined) return segments;
  throw new InvalidInputError(
    `Cannot fork in namespace "${namespace}": "${odd}" is one of several runs of a subgraph in one ` +
      "task, or keeps its state across tasks. Fork a checkpoint of the graph around it.",
  );
}

function outerAddress(tuple: CheckpointTuple, threadId: string, namespace: string): Address {
  const checkpointId = tuple.metadata?.parents[namespace];
  if (checkpointId !== undefined) return { threadId, namespace, checkpointId };
  throw new NotFoundError(
    `Checkpoint "${tuple.checkpoint.id}" does not tell which checkpoint of the graph around it ` +
      `(namespace "${namespace}") it belongs to.`,
  );
}

async function copyOutermost(graph: TimeTravelGraph, old: Address): Promise<Address> {
  const { threadId, namespace, checkpointId } = old;
  const config = configFor(threadId, namespace, checkpointId);
  const copied = await graph.updateState(config, null, "__copy__");
  return { ...old, checkpointId: String(copied.configurable?.["checkpoint_id"]) };
}

/** The task of the copy that is what `segment` was of the original: "name:new-id". */
async function taskOfCopy(
  graph: TimeTravelGraph,
  original: Address,
  copy: Address,
  segment: string,
): Promise<string> {
  const tasksAt = async ({ threadId, namespace, checkpointId }: Address) =>
    (await graph.getState(configFor(threadId, namespace, checkpointId))).tasks;
  // The same state gives the same tasks in the same order.
  const index = (await tasksAt(original)).findIndex(({ name, id }) => `${name}:${id}` === segment);
  const task = (await tasksAt(copy))[index];
  if (task !== undefined) return `${task.name}:${task.id}`;
  throw new InvalidInputError(
    `Checkpoint "${original.checkpointId}" no longer runs "${segment}": the graph was changed since.`,
  );
}

/**
 * Copies a checkpoint, as a fork, and all its ancestors to another namespace: these hold what the
 * values of `DeltaChannel`s are made of. What was pending at the checkpoint itself stays behind.
 */
async function copyLine(
  saver: AnySaver,
  tuple: CheckpointTuple,
  namespace: string,
  outer: OuterCheckpoints,
): Promise<Address> {
  const { threadId } = addressOf(tuple);
  const parents = { ...outer };
  const put = async (
    parent: CheckpointTuple | undefined,
    checkpoint: Checkpoint,
    original: CheckpointTuple,
    metadata: CheckpointMetadata,
  ): Promise<void> => {
    const parentId = parentIdOf(original);
    const writes = parent && (await deltaWritesOf(saver, parent, original));
    const at = { threadId, namespace, checkpointId: parentId ?? "" };
    const loop = writes && { ...(await beginLoop(saver, at)), writes };
    await putCheckpoint(saver, { threadId, namespace, parentId }, checkpoint, metadata, loop);
  };
  let parent: CheckpointTuple | undefined;
  for (const address of await ancestorsOf(saver, tuple)) {
    const ancestor = await requireTuple(saver, address);
    const { source = "loop", step = -1, ...metadata } = ancestor.metadata ?? {};
    await put(parent, ancestor.checkpoint, ancestor, { ...metadata, source, step, parents });
    parent = ancestor;
  }
  const { id, ts } = emptyCheckpoint();
  const counters = tuple.metadata?.counters_since_delta_snapshot;
  await put(parent, { ...tuple.checkpoint, id, ts }, tuple, {
    source: "fork",
    step: (tuple.metadata?.step ?? -1) + 1,
    parents,
    ...(counters === undefined ? {} : { counters_since_delta_snapshot: counters }),
  });
  return { threadId, namespace, checkpointId: id };
}

/** From the root to the parent; only ids are held. */
async function ancestorsOf(saver: AnySaver, tuple: CheckpointTuple): Promise<Address[]> {
  const { threadId, namespace } = addressOf(tuple);
  const ancestors: Address[] = [];
  for (let checkpointId = parentIdOf(tuple); checkpointId !== undefined;) {
    const ancestor = await saver.getTuple(configFor(threadId, namespace, checkpointId));
    if (ancestor === undefined) break;
    ancestors.push({ threadId, namespace, checkpointId });
    checkpointId = parentIdOf(ancestor);
  }
  return ancestors.toReversed();
}

function join(outer: string, segment: string): string {
  return outer === "" ? segment : `${outer}|${segment}`;
}
