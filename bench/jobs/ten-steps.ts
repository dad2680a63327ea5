/** Many durable runs of ten steps in one process: through a runtime, by LangGraph alone, or by DBOS. */

import { createRuntime } from "holdfast";
import { withSaver } from "../support/open-saver.ts";
import type { PostgresPlace } from "../support/place.ts";
import { chainGraph } from "../workloads/chain.ts";

export const STEPS = 10;

export interface TenSteps {
  readonly place: PostgresPlace;
  readonly by: "runtime" | "plain" | "dbos";
  readonly runs: number;
  /** Runs at once. */
  readonly atOnce: number;
  readonly rounds: number;
}

/** @returns steps a second, of each round after the first, which warms up */
export async function tenSteps(job: TenSteps): Promise<number[]> {
  const within = { runtime: withRuntime, plain: withPlain, dbos: withDbos }[job.by];
  return within(job, async (run) => {
    const rates: number[] = [];
    for (let round = 0; round <= job.rounds; round += 1) {
      const start = performance.now();
      let next = 0;
      const one = async (): Promise<void> => {
        while (next < job.runs) {
          const steps = await run(`run-${round}-${(next += 1)}`);
          if (steps !== STEPS) throw new Error(`A run ended after ${steps} steps.`);
        }
      };
      await Promise.all(Array.from({ length: job.atOnce }, one));
      if (round > 0) rates.push((job.runs * STEPS * 1_000) / (performance.now() - start));
    }
    return rates;
  });
}

/** Does a run, from its acceptance to its end. @returns how many steps it had */
type Run = (id: string) => Promise<number>;
type Within = (job: TenSteps, measure: (run: Run) => Promise<number[]>) => Promise<number[]>;

const withRuntime: Within = (job, measure) =>
  withSaver(job.place, async (saver) => {
    const graphs = { chain: chainGraph(saver, undefined, STEPS) };
    const runtime = createRuntime({ saver, graphs, worker: { concurrency: job.atOnce } });
    try {
      return await measure(async (threadId) => {
        const { runId } = await runtime.start("chain", { step: 0, note: "" }, { threadId });
        return (await runtime.result<{ step: number }>(runId)).values.step;
      });
    } finally {
      await runtime.close();
    }
  });

const withPlain: Within = (job, measure) =>
  withSaver(job.place, (saver) => {
    const graph = chainGraph(saver, undefined, STEPS);
    return measure(async (threadId) => {
      const config = { configurable: { thread_id: threadId }, durability: "sync" as const };
      return (await graph.invoke({ step: 0, note: "" }, config)).step;
    });
  });

const withDbos: Within = async ({ place }, measure) => {
  const { DBOS } = await import("@dbos-inc/dbos-sdk");
  const url = new URL(place.url);
  url.pathname = `/${place.schema}`;
  DBOS.setConfig({ name: "bench", systemDatabaseUrl: url.href, logLevel: "error" });
  const work = DBOS.registerWorkflow(
    async () => {
      let state = { step: 0, note: "" };
      for (let at = 0; at < STEPS; at += 1) {
        const { step } = state;
        const node = (): Promise<typeof state> =>
          Promise.resolve({ step: step + 1, note: `passed node ${at}` });
        state = await DBOS.runStep(node, { name: `node${at}` });
      }
      return state.step;
    },
    { name: "chain" },
  );
  await DBOS.launch();
  try {
    return await measure(async (workflowID) => {
      const handle = await DBOS.startWorkflow(work, { workflowID })();
      return handle.getResult();
    });
  } finally {
    await DBOS.shutdown();
  }
};
