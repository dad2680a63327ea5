import type { RunnableConfig } from "@langchain/core/runnables";
import type { CheckpointTuple } from "@langchain/langgraph-checkpoint";
import { InvalidInputError } from "../errors.ts";
import { configFor, requireTuple } from "./address.ts";
import type { Address } from "./address.ts";
import { writersOf } from "./channels.ts";
import { copySubgraph, isTaskNamespace } from "./fork-subgraph.ts";
import { saverOf, subgraphAt } from "./source.ts";
import type { AnySaver, TimeTravelGraph } from "./source.ts";

export interface ForkOptions {
  /** The state to begin from: a full id. `findCheckpoint` completes one typed by a person. */
  checkpointId: string;
  /** The checkpoint's namespace, for a subgraph's; default "", the outermost graph. */
  namespace?: string;
  /** What the branch begins with, as a node would return it: reducers apply. Default: no change. */
  update?: unknown;
  /**
   * The node that the update counts as written by, so that its successors run next. Default: the
   * one that wrote the state, so that what was next stays next. Without an update: as if the node
   * had run and changed nothing.
   */
  asNode?: string;
}

/** The new branch's first checkpoint. */
export interface Fork extends Address {
  /** Where it begins. For a subgraph's checkpoint `namespace` is a new one, so this tells the old. */
  forkedFrom: Address;
  /** `graph.invoke(null, config)` goes on from here, even if other branches were begun since. */
  config: RunnableConfig;
}

/**
 * Begins a new branch at a past state, and leaves all others as they are.
 *
 * The branch is the thread's newest checkpoint, and so its head: a run on the thread alone goes on
 * from there. Without an update it is a copy whose pending tasks all run, those too that had
 * finished after the original. To resume the branch later, after a crash or an interrupt, use the
 * thread's own config rather than `config`: with a checkpoint id LangGraph runs finished tasks again.
 *
 * A subgraph's checkpoint is forked together with the states of the graphs around it, under a new
 * namespace. A subgraph compiled with `checkpointer: true` has one namespace for all branches:
 * there the fork becomes the subgraph's state for all of them.
 *
 * @throws {NotFoundError} there is no such checkpoint
 * @throws {InvalidInputError} LangGraph refused the update (several nodes ran last: name one with
 *   `asNode`), the graph has no saver, or no subgraph in this namespace
 * @example
 * const { config } = await fork(graph, "order-42", { checkpointId, update: { order: corrected } });
 * await graph.invoke(null, config);
 */
export async function fork(
  graph: TimeTravelGraph,
  threadId: string,
  options: ForkOptions,
): Promise<Fork> {
  const saver = saverOf(graph);
  const { namespace = "", checkpointId, update } = options;
  const forkedFrom: Address = { threadId, namespace, checkpointId };
  const tuple = await requireTuple(saver, forkedFrom);
  if ((await subgraphAt(graph, namespace)) === undefined) {
    throw new InvalidInputError(`The graph has no subgraph in namespace "${namespace}".`);
  }
  const isUpdate = update !== undefined || options.asNode !== undefined;
  const asNode = options.asNode ?? (isUpdate ? await writerOf(saver, tuple) : "__copy__");
  if (!isTaskNamespace(namespace)) {
    return forkAt(await updateState(graph, forkedFrom, update, asNode), forkedFrom);
  }
  const { address, outer } = await copySubgraph(graph, saver, tuple);
  if (isUpdate) return forkAt(await updateState(graph, address, update, asNode), forkedFrom);
  const config = configFor(threadId, address.namespace, address.checkpointId);
  const map = { ...outer, [address.namespace]: address.checkpointId };
  return forkAt({ configurable: { ...config.configurable, checkpoint_map: map } }, forkedFrom);
}

/**
 * The only node that wrote a state; undefined leaves it to LangGraph, which takes the last to have
 * run by an edge, and so the one in front of a `Send` rather than its target.
 */
async function writerOf(saver: AnySaver, tuple: CheckpointTuple): Promise<string | undefined> {
  const parent = tuple.parentConfig && (await saver.getTuple(tuple.parentConfig));
  if (tuple.parentConfig !== undefined && parent === undefined) return undefined;
  const [writer, ...others] = new Set(writersOf(parent, tuple));
  return others.length === 0 ? writer : undefined;
}

async function updateState(
  graph: TimeTravelGraph,
  { threadId, namespace, checkpointId }: Address,
  update: unknown,
  asNode: string | undefined,
): Promise<RunnableConfig> {
  const config = configFor(threadId, namespace, checkpointId);
  try {
    return await graph.updateState(config, update ?? null, asNode);
  } catch (cause) {
    if (!(cause instanceof Error && cause.name === "InvalidUpdateError")) throw cause;
    throw new InvalidInputError(`Cannot begin a branch at "${checkpointId}": ${cause.message}`, {
      cause,
    });
  }
}

function forkAt(config: RunnableConfig, forkedFrom: Address): Fork {
  const at = config.configurable as Record<string, string>;
  return {
    threadId: forkedFrom.threadId,
    namespace: at["checkpoint_ns"] ?? "",
    checkpointId: String(at["checkpoint_id"]),
    forkedFrom,
    config,
  };
}
