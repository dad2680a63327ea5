/** Small graphs for tests of the savers. */

import { Annotation, DeltaChannel, END, START, StateGraph } from "@langchain/langgraph";
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

/** The same, as a delta channel; by default never snapshot, so that its value is all of its writes. */
const deltaLog = (snapshotFrequency: number) =>
  Annotation.Root({
    log: () =>
      new DeltaChannel<string[], string[]>((state, writes) => state.concat(writes.flat()), {
        initialValueFactory: () => [],
        snapshotFrequency,
      }),
  });
export const DeltaLog = deltaLog(100_000);

/** Called in each node, before it returns. */
type Body = (step: number) => void | Promise<void>;

/** A chain of nodes `n1` to `nN`; each adds its name to `log`. */
export function chain(saver: BaseCheckpointSaver, length: number, body?: Body) {
  return addChain(new StateGraph(Log) as unknown as AnyGraph, length, body).compile({
    checkpointer: saver,
  });
}

/** A chain whose `log` is a delta channel. */
export function deltaChain(
  saver: BaseCheckpointSaver,
  length: number,
  body?: Body,
  { snapshotFrequency = 100_000 } = {},
) {
  const graph = new StateGraph(deltaLog(snapshotFrequency)) as unknown as AnyGraph;
  return addChain(graph, length, body).compile({ checkpointer: saver });
}

/** Its nodes have names that are only known at run time. */
type AnyGraph = StateGraph<
  (typeof Log)["spec"],
  typeof Log.State,
  Partial<typeof Log.State>,
  string
>;

function addChain(graph: AnyGraph, length: number, body: Body = () => undefined): AnyGraph {
  for (let step = 1; step <= length; step += 1) {
    graph.addNode(`n${step}`, async () => {
      await body(step);
      return { log: [`n${step}`] };
    });
    graph.addEdge(step === 1 ? START : `n${step - 1}`, `n${step}`);
  }
  return graph.addEdge(`n${length}`, END);
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
