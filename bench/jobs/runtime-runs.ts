/** Runs through a runtime against plain invocations with the same saver, by turns in one process. */

import { createRuntime } from "holdfast";
import { withSaver } from "../support/open-saver.ts";
import type { Place } from "../support/place.ts";
import { CHAIN_NODES, chainGraph } from "../workloads/chain.ts";

export interface RuntimeRuns {
  readonly place: Place;
  /** Runs at once. */
  readonly threads: number;
  readonly warmups: number;
  readonly rounds: number;
  /** Runs one after the other, of which each one's way to its first node is timed. */
  readonly starts: number;
}

export interface RuntimeRunsResult {
  /** Node executions a second, of each round. */
  readonly direct: number[];
  readonly runtime: number[];
  /** Milliseconds until the first node. */
  readonly directStarts: number[];
  readonly runtimeStarts: number[];
}

export async function runtimeRuns(job: RuntimeRuns): Promise<RuntimeRunsResult> {
  return withSaver(job.place, async (saver) => {
    let entered = (): void => undefined;
    const graph = chainGraph(saver, (node) => (state, config) => {
      if (state.step === 0) entered();
      return node(state, config);
    });
    const runtime = createRuntime({
      saver,
      graphs: { chain: graph },
      worker: { concurrency: job.threads },
    });
    const input = { step: 0, note: "" };
    let count = 0;
    const newId = (): string => `thread-${(count += 1)}`;
    const invoke = () =>
      graph.invoke(input, { configurable: { thread_id: newId() }, durability: "sync" });
    const run = async () => {
      const { runId } = await runtime.start("chain", input, { threadId: newId() });
      return (await runtime.result<typeof input>(runId)).values;
    };
    const rate = async (one: () => Promise<{ step: number }>): Promise<number> => {
      const start = performance.now();
      const states = await Promise.all(Array.from({ length: job.threads }, one));
      if (states.some(({ step }) => step !== CHAIN_NODES)) throw new Error("A chain broke.");
      return (job.threads * CHAIN_NODES * 1_000) / (performance.now() - start);
    };
    const wayIn = async (one: () => Promise<unknown>): Promise<number> => {
      const start = performance.now();
      let at = start;
      entered = () => (at = performance.now());
      await one();
      entered = () => undefined;
      return at - start;
    };
    const result: RuntimeRunsResult = {
      ...{ direct: [], runtime: [], directStarts: [], runtimeStarts: [] },
    };
    for (let round = 0; round < job.warmups + job.rounds; round++) {
      const [direct, durable] = [await rate(invoke), await rate(run)];
      if (round < job.warmups) continue;
      result.direct.push(direct);
      result.runtime.push(durable);
    }
    for (let start = 0; start < job.starts; start++) {
      result.directStarts.push(await wayIn(invoke));
      result.runtimeStarts.push(await wayIn(run));
    }
    await runtime.close();
    return result;
  });
}
