/** Small graphs for tests of the savers. */

import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import {
  emptyCheckpoint,
  uuid6,
  type BaseCheckpointSaver,
  type Checkpoint,
} from "@langchain/langgraph-checkpoint";
import type { RunnableConfig } from "@langchain/core/runnables";

export const onThread = (threadId: string) => ({ configurable: { thread_id: threadId } });

const Log = Annotation.Root({
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});
export type LogState = typeof Log.State;

/**
 * A chain of nodes `n1` to `nN`; each adds its name to `log`.
 * @param body called in each node, before it returns
 */
export function chain(
  saver: BaseCheckpointSaver,
  length: number,
  body: (step: number) => void | Promise<void> = () => undefined,
) {
  const graph = new StateGraph(Log);
  const nodes = graph as unknown as StateGraph<
    (typeof Log)["spec"],
    LogState,
    Partial<LogState>,
    string
  >;
  for (let step = 1; step <= length; step += 1) {
    nodes.addNode(`n${step}`, async () => {
      await body(step);
      return { log: [`n${step}`] };
    });
    nodes.addEdge(step === 1 ? START : `n${step - 1}`, `n${step}`);
  }
  nodes.addEdge(`n${length}`, END);
  return nodes.compile({ checkpointer: saver });
}

/** What `log` holds once a chain of this length is through. */
export function wholeLog(length: number): string[] {
  return Array.from({ length }, (_, i) => `n${i + 1}`);
}

/** As for `invoke`: whatever the length, and each superstep on disk before the next. */
export function syncRun(threadId: string) {
  return { ...onThread(threadId), durability: "sync", recursionLimit: 10_000 } as const;
}

/** A checkpoint by itself, put without a graph; returns its config. */
export function putOne(
  saver: BaseCheckpointSaver,
  threadId: string,
  values: Record<string, unknown> = {},
  parent?: RunnableConfig,
): Promise<RunnableConfig> {
  const version = saver.getNextVersion(undefined);
  const versions = Object.fromEntries(Object.keys(values).map((channel) => [channel, version]));
  const checkpoint: Checkpoint = {
    ...emptyCheckpoint(),
    id: uuid6(0),
    channel_values: values,
    channel_versions: versions,
  };
  return saver.put(
    parent ?? { configurable: { thread_id: threadId, checkpoint_ns: "" } },
    checkpoint,
    { source: "loop", step: 0, parents: {} },
    versions,
  );
}
