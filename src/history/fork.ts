import type { RunnableConfig } from "@langchain/core/runnables";
import type { CheckpointTuple } from "@langchain/langgraph-checkpoint";
import type { EffectStore, ForkEffects } from "../effect-store.ts";
import { InvalidInputError } from "../errors.ts";
import { branchCompensation, type ForkCompensation } from "../forking.ts";
import { isDurableSaver } from "../step-store.ts";
import { addressOf, configFor, requireTuple } from "./address.ts";
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
  /**
   * What becomes of effects with a key that the thread has on record, when the branch calls them:
   *
   * - "reuse" (default): the recorded result is returned. Called with other arguments, a person is asked.
   * - "redo": the branch performs its effects anew, with idempotency keys of their own.
   * - "compensate": what the thread's head did from this state on is undone first (see `compensate`), so
   *   the branch performs it anew. Effects without `undo` are reused.
   * - "ask": a person is asked about each, by an interrupt of kind "effect-forked".
   *
   * Effects without a key belong to one execution of a node: a branch performs them anew in any case.
   */
  effects?: ForkEffects;
}

/** The new branch's first checkpoint. */
export interface Fork extends Address {
  /** Where it begins. For a subgraph's checkpoint `namespace` is a new one, so this tells the old. */
  forkedFrom: Address;
  /** `graph.invoke(null, config)` goes on from here, even if other branches were begun since. */
  config: RunnableConfig;
  /** With `effects: "compensate"`: what was undone before the branch was begun. */
  compensation?: ForkCompensation;
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
 * @throws {InvalidInputError} `effects` where none can be on record, LangGraph refused the update (several nodes ran last: name one with
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
  const { namespace = "", checkpointId, effects = "reuse" } = options;
  const forkedFrom: Address = { threadId, namespace, checkpointId };
  const tuple = await requireTuple(saver, forkedFrom);
  if ((await subgraphAt(graph, namespace)) === undefined) {
    throw new InvalidInputError(`The graph has no subgraph in namespace "${namespace}".`);
  }
  if (effects === "reuse") return (await begin(graph, saver, tuple, options)).fork;
  const { store, compensate } = effectsOf(saver, effects);
  const root = namespace === "" ? checkpointId : (tuple.metadata?.parents[""] ?? checkpointId);
  const compensation = await compensate?.(threadId, root);
  const { fork: begun, rootCheckpointId } = await begin(graph, saver, tuple, options);
  if (effects !== "compensate") {
    await store.mark({ threadId, checkpointId: rootCheckpointId, effects });
  }
  return compensation === undefined ? begun : { ...begun, compensation };
}

async function begin(
  graph: TimeTravelGraph,
  saver: AnySaver,
  tuple: CheckpointTuple,
  options: ForkOptions,
): Promise<{ fork: Fork; rootCheckpointId: string }> {
  const forkedFrom = addressOf(tuple);
  const { threadId, namespace } = forkedFrom;
  const { update } = options;
  const isUpdate = update !== undefined || options.asNode !== undefined;
  const asNode = options.asNode ?? (isUpdate ? await writerOf(saver, tuple) : "__copy__");
  if (!isTaskNamespace(namespace)) {
    const begun = forkAt(await updateState(graph, forkedFrom, update, asNode), forkedFrom);
    return { fork: begun, rootCheckpointId: begun.checkpointId };
  }
  const { address, outer } = await copySubgraph(graph, saver, tuple);
  const rootCheckpointId = outer[""] ?? address.checkpointId;
  if (isUpdate) {
    const updated = await updateState(graph, address, update, asNode);
    return { fork: forkAt(updated, forkedFrom), rootCheckpointId };
  }
  const config = configFor(threadId, address.namespace, address.checkpointId);
  const map = { ...outer, [address.namespace]: address.checkpointId };
  const configurable = { ...config.configurable, checkpoint_map: map };
  return { fork: forkAt({ configurable }, forkedFrom), rootCheckpointId };
}

const POLICIES: readonly ForkEffects[] = ["reuse", "redo", "compensate", "ask"];

/** Where effects are on record, and how they are undone. */
function effectsOf(
  saver: AnySaver,
  effects: ForkEffects,
): {
  store: EffectStore;
  compensate?: (threadId: string, checkpointId: string) => Promise<ForkCompensation>;
} {
  if (!POLICIES.includes(effects)) {
    throw new InvalidInputError(
      `A fork's \`effects\` is one of ${POLICIES.join(", ")}, not ${JSON.stringify(effects)}.`,
    );
  }
  if (!isDurableSaver(saver) || saver.steps.effects === undefined) {
    throw new InvalidInputError(
      `\`effects: "${effects}"\` needs a saver of "holdfast/sqlite" or "holdfast/postgres": no other has ` +
        "effects on record.",
    );
  }
  const store = saver.steps.effects;
  if (effects !== "compensate") return { store };
  const compensate = branchCompensation();
  if (compensate === undefined) {
    throw new InvalidInputError(
      "This process has not loaded any effects, so none can be undone: import the modules that define them.",
    );
  }
  return { store, compensate: (threadId, id) => compensate(saver, threadId, id) };
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
