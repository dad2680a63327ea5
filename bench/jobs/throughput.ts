/** Runs many threads at once, round after round, each thread a new one. */

import { withSaver } from "../support/open-saver.ts";
import type { Place } from "../support/place.ts";
import { CHAIN_NODES, chainGraph } from "../workloads/chain.ts";

export interface Throughput {
  readonly place: Place;
  readonly threads: number;
  /** Rounds that are not counted: compilers warm up, pools fill. */
  readonly warmups: number;
  readonly rounds: number;
}

/** Node executions a second, of each round. */
export async function throughput(job: Throughput): Promise<number[]> {
  return withSaver(job.place, async (saver) => {
    const graph = chainGraph(saver);
    const rates: number[] = [];
    for (let round = 0; round < job.warmups + job.rounds; round++) {
      const start = performance.now();
      const states = await Promise.all(
        Array.from({ length: job.threads }, (_, thread) =>
          graph.invoke(
            { step: 0, note: "" },
            { configurable: { thread_id: `${round}-${thread}` }, durability: "sync" },
          ),
        ),
      );
      const seconds = (performance.now() - start) / 1000;
      if (states.some((state) => state.step !== CHAIN_NODES)) throw new Error("A chain broke.");
      if (round >= job.warmups) rates.push((job.threads * CHAIN_NODES) / seconds);
    }
    return rates;
  });
}
