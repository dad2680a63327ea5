/** Runs a chain of plain nodes and the same chain of durable ones by turns, in one process. */

import { durable } from "holdfast";
import { withSaver } from "../support/open-saver.ts";
import type { Place } from "../support/place.ts";
import { CHAIN_NODES, chainGraph } from "../workloads/chain.ts";

export interface DurableNodes {
  readonly place: Place;
  /** Threads one after the other, of each kind, in a round. */
  readonly threads: number;
  readonly warmups: number;
  readonly rounds: number;
}

/**
 * Milliseconds of CPU time a step, of each round: what is added is work, which stays the same when the
 * machine is busy with something else.
 */
export interface StepTimes {
  readonly plain: number[];
  readonly durable: number[];
}

export async function durableNodes(job: DurableNodes): Promise<StepTimes> {
  return withSaver(job.place, async (saver) => {
    const graphs = {
      plain: chainGraph(saver),
      durable: chainGraph(saver, (node) => durable(node)),
    };
    const times: { plain: number[]; durable: number[] } = { plain: [], durable: [] };
    const order = ["plain", "durable"] as const;
    for (let round = 0; round < job.warmups + job.rounds; round++) {
      // By turns, and each as often first: what comes second may find the machine warmer.
      for (const kind of round % 2 === 0 ? order : order.toReversed()) {
        const start = process.cpuUsage();
        for (let thread = 0; thread < job.threads; thread++) {
          await graphs[kind].invoke(
            { step: 0, note: "" },
            {
              configurable: { thread_id: `${kind}-${round}-${thread}` },
              durability: "sync",
            },
          );
        }
        const { user, system } = process.cpuUsage(start);
        const time = (user + system) / 1_000 / (job.threads * CHAIN_NODES);
        if (round >= job.warmups) times[kind].push(time);
      }
    }
    return times;
  });
}
