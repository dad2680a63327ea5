/**
 * Gates: `interruptBefore` and `interruptAfter`. A gate is passed by an approval, and by nothing
 * else; LangGraph's own `invoke(null)` walks through one, so we look before we go on.
 *
 * A thread stands at a gate from the moment the checkpoint in front of it is stored, whether the
 * process then stopped properly or was killed first: in both cases nobody has said yes.
 *
 * Invariants
 *   G1  A gate holds until it is approved, or its node has begun, which LangGraph allows only after.
 *   G2  An approval is for one gate at one checkpoint; it is stored there before the run goes on,
 *       so that a crash right after it does not ask the person again.
 *   G3  A fork, an edited state or a rewind is another checkpoint, and asks anew.
 */

import type { RunnableConfig } from "@langchain/core/runnables";
import type {
  BaseCheckpointSaver,
  Checkpoint,
  CheckpointTuple,
} from "@langchain/langgraph-checkpoint";
import { withLeaseOf } from "../step-store.ts";
import type { RunnableGraph } from "./graph.ts";
import { allLevels } from "./tasks.ts";
import type { Level } from "./tasks.ts";

export interface Gate {
  when: "before" | "after";
  nodes: string[];
  namespace: string;
  checkpointId: string;
}

const CHANNEL = "__holdfast_approved__";

/**
 * The gates that hold this thread now, in the graph and in its running subgraphs.
 * @param count `too` includes those approved; `again` those of an earlier checkpoint, of the graph
 *   itself, as if it had just been reached (invariant G3)
 */
export async function gatesOf(
  root: Level,
  saver: BaseCheckpointSaver,
  threadId: string,
  count: { approved?: "too" | "again" } = {},
): Promise<Gate[]> {
  if (count.approved === "again") {
    const tasks = root.tasks.map((task) => ({ ...task, began: false, levels: [] }));
    const gate = await gateOf({ ...root, tasks }, saver, threadId);
    return gate === undefined ? [] : [gate];
  }
  const gates: Gate[] = [];
  for (const level of allLevels(root)) {
    if (!changedSinceInterrupt(level.tuple.checkpoint)) continue;
    const gate = await gateOf(level, saver, threadId);
    if (gate === undefined) continue;
    if (count.approved === "too" || !isApproved(root, gate)) gates.push(gate);
  }
  return gates;
}

async function gateOf(
  level: Level,
  saver: BaseCheckpointSaver,
  threadId: string,
): Promise<Gate | undefined> {
  return gateBefore(level) ?? (await gateAfter(level, saver, threadId));
}

/**
 * Keeps the approvals beside the checkpoint, as LangGraph keeps answers (invariant G2).
 * @param leased the config of the run that it is done in; none where nobody runs the thread
 */
export async function approve(
  root: Level,
  gates: readonly Gate[],
  saver: BaseCheckpointSaver,
  leased: RunnableConfig = {},
): Promise<void> {
  const config = withLeaseOf(root.tuple.config, leased);
  for (const gate of gates) {
    // A task id that no task has: LangGraph passes over writes of tasks it does not know.
    await saver.putWrites(config, [[CHANNEL, keyOf(gate)]], `approval:${keyOf(gate)}`);
  }
}

function isApproved(root: Level, gate: Gate): boolean {
  return (root.tuple.pendingWrites ?? []).some(
    ([, channel, value]) => channel === CHANNEL && value === keyOf(gate),
  );
}

function keyOf({ when, namespace, checkpointId }: Gate): string {
  return JSON.stringify([when, namespace, checkpointId]);
}

function gateBefore({ graph, tuple, tasks, namespace }: Level): Gate | undefined {
  const held = tasks.filter(
    (task) => !task.began && names(graph.interruptBefore, task.name, graph),
  );
  return gate("before", held, namespace, tuple);
}

/** Stops between the end of a node and the beginning of the next ones. */
async function gateAfter(
  { graph, tuple, tasks, namespace }: Level,
  saver: BaseCheckpointSaver,
  threadId: string,
): Promise<Gate | undefined> {
  if (graph.interruptAfter === undefined || graph.interruptAfter.length === 0) return undefined;
  if (tasks.length === 0 || tasks.some((task) => task.began)) return undefined;
  const finished = await tasksBefore(graph, saver, threadId, namespace, tuple);
  return gate(
    "after",
    finished.filter((task) => names(graph.interruptAfter, task.name, graph)),
    namespace,
    tuple,
  );
}

/** The tasks whose end made this checkpoint; those of an edited state are those of the original. */
async function tasksBefore(
  graph: RunnableGraph,
  saver: BaseCheckpointSaver,
  threadId: string,
  namespace: string,
  tuple: CheckpointTuple,
): Promise<readonly { name: string }[]> {
  for (let child = tuple; ;) {
    const parentId = child.parentConfig?.configurable?.["checkpoint_id"] as string | undefined;
    if (parentId === undefined) return [];
    const config = {
      configurable: {
        thread_id: threadId,
        checkpoint_ns: namespace,
        checkpoint_id: parentId,
        ...(namespace === "" ? {} : { __pregel_checkpointer: saver }),
      },
    };
    const { checkpoint, metadata } = child;
    // Input begins anew: what was pending before it did not finish but was left behind.
    if (metadata?.source === "input") return [];
    // A replay's first checkpoint is its parent's child, a copy is its original's sibling.
    const isReplay = metadata?.source === "fork" && !changedSinceInterrupt(checkpoint);
    if (metadata?.source !== "update" && !isReplay) return (await graph.getState(config)).tasks;
    const parent = await saver.getTuple(config);
    if (parent === undefined) return [];
    child = parent;
  }
}

function gate(
  when: Gate["when"],
  tasks: readonly { name: string }[],
  namespace: string,
  tuple: CheckpointTuple,
): Gate | undefined {
  if (tasks.length === 0) return undefined;
  const nodes = [...new Set(tasks.map((task) => task.name))];
  return { when, nodes, namespace, checkpointId: tuple.checkpoint.id };
}

function names(
  gated: RunnableGraph["interruptBefore"],
  node: string,
  graph: RunnableGraph,
): boolean {
  if (gated === "*") return graph.nodes[node]?.tags?.includes("langsmith:hidden") !== true;
  return gated?.includes(node) === true;
}

/**
 * LangGraph's own rule (`shouldInterrupt`): a gate counts once for each change of the state. A
 * checkpoint whose every version was seen by an interrupt was stored by a run that had been let on.
 */
function changedSinceInterrupt({ channel_versions, versions_seen }: Checkpoint): boolean {
  const seen = versions_seen["__interrupt__"] ?? {};
  return Object.entries(channel_versions).some(([channel, version]) => {
    const last = seen[channel];
    return last === undefined || version > last;
  });
}
