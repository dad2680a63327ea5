/** Everything that can be read of a thread, for comparing it before and after. */

import type { BaseCheckpointSaver, CheckpointTuple } from "@langchain/langgraph-checkpoint";
import type { RunnableConfig } from "@langchain/core/runnables";
import { canonical } from "../fuzz/canonical.ts";
import { onThread } from "./small-graphs.ts";

/** What a graph says of a checkpoint. */
interface Snapshot {
  values: unknown;
  next: unknown;
  tasks: { name: string; path: unknown; interrupts: unknown; error?: unknown; state?: unknown }[];
  metadata?: unknown;
  createdAt?: unknown;
  parentConfig?: RunnableConfig;
}

/** As JSON, with the states of subgraphs, and without the functions that LangGraph's configs carry. */
function facts(snapshot: Snapshot): unknown {
  const { values, next, tasks, metadata, createdAt, parentConfig } = snapshot;
  return canonical({
    values,
    next,
    metadata,
    createdAt,
    parent: parentConfig?.configurable?.["checkpoint_id"] as unknown,
    tasks: tasks.map(({ name, path, interrupts, error, state }) => ({
      name,
      path,
      interrupts,
      error: String(error),
      state:
        typeof state === "object" && state !== null && "values" in state
          ? facts(state as Snapshot)
          : undefined,
    })),
  });
}

interface StatefulGraph {
  getState(config: RunnableConfig, options?: { subgraphs?: boolean }): Promise<object>;
}

export interface ThreadStates {
  /** By namespace and id, as the saver's contract has it. */
  tuples: Map<string, CheckpointTuple>;
  /** Of the outermost graph, by checkpoint id, as `getState` has it. */
  snapshots: Map<string, unknown>;
}

export async function readStates(
  saver: BaseCheckpointSaver,
  graph: StatefulGraph,
  threadId: string,
): Promise<ThreadStates> {
  const tuples = new Map<string, CheckpointTuple>();
  const snapshots = new Map<string, unknown>();
  for await (const listed of saver.list(onThread(threadId))) {
    const { checkpoint_ns: ns, checkpoint_id: id } = listed.config.configurable as Record<
      string,
      string
    >;
    tuples.set(`${ns} ${id}`, listed);
    if (ns !== "") continue;
    const snapshot = await graph.getState(listed.config, { subgraphs: true });
    snapshots.set(id as string, facts(snapshot as Snapshot));
  }
  return { tuples, snapshots };
}

/** Only those of `before` that are in `after`, too. */
export function stillThere(before: ThreadStates, after: ThreadStates): ThreadStates {
  const only = <T>(all: Map<string, T>, some: Map<string, T>): Map<string, T> =>
    new Map([...all].filter(([key]) => some.has(key)));
  return {
    tuples: only(before.tuples, after.tuples),
    snapshots: only(before.snapshots, after.snapshots),
  };
}
