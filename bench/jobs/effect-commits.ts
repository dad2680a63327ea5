/** Runs nodes with no effect, one, and many at once, and counts the database's commits of each. */

import { effect } from "holdfast";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { countCommits } from "../support/commits.ts";
import { withSaver } from "../support/open-saver.ts";
import type { StoredPlace } from "../support/place.ts";

export interface EffectCommits {
  readonly place: StoredPlace;
  /** Effects of the node that has many. */
  readonly parallel: number;
  readonly warmups: number;
  readonly rounds: number;
}

export interface Round {
  readonly commits: number;
  /** Milliseconds of the invocation. */
  readonly time: number;
}

const State = Annotation.Root({ effects: Annotation<number>(), done: Annotation<number>() });

export async function effectCommits(
  job: EffectCommits,
): Promise<Record<"none" | "one" | "many", Round[]>> {
  // Before the driver is used: it is watched from the first statement on.
  const commits = await countCommits(job.place);
  let performed = 0;
  const act = effect({
    name: "act",
    run: ({ at }: { at: number }) => {
      performed += 1;
      return { at };
    },
    onUnknown: "repeat",
  });
  try {
    return await withSaver(job.place, async (checkpointer) => {
      const graph = new StateGraph(State)
        .addNode("act", async ({ effects }) => {
          const calls = Array.from({ length: effects }, (_, at) => act({ at }, { key: `k${at}` }));
          return { done: (await Promise.all(calls)).length };
        })
        .addEdge(START, "act")
        .addEdge("act", END)
        .compile({ checkpointer });

      const invoke = (effects: number, thread_id: string): Promise<unknown> =>
        graph.invoke({ effects, done: 0 }, { configurable: { thread_id }, durability: "sync" });
      const measure = async (effects: number, round: number): Promise<Round> => {
        // What was left to do by the invocation before is done in this one.
        await invoke(0, `before ${effects}-${round}`);
        const before = await commits.count();
        const start = performance.now();
        await invoke(effects, `${effects}-${round}`);
        const time = performance.now() - start;
        return { commits: (await commits.count()) - before, time };
      };
      const rounds: Record<"none" | "one" | "many", Round[]> = { none: [], one: [], many: [] };
      for (let round = 0; round < job.warmups + job.rounds; round++) {
        for (const [kind, effects] of [
          ["none", 0],
          ["one", 1],
          ["many", job.parallel],
        ] as const) {
          const measured = await measure(effects, round);
          if (round >= job.warmups) rounds[kind].push(measured);
        }
      }
      const expected = (1 + job.parallel) * (job.warmups + job.rounds);
      if (performed !== expected) {
        throw new Error(`${performed} effects were performed, and not ${expected}.`);
      }
      return rounds;
    });
  } finally {
    await commits.end();
  }
}
