/** A worker of a fleet that is measured, until the process that measures is gone. */

import { once } from "node:events";
import { createRuntime, durable, events, sleep } from "holdfast";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { withSaver } from "../support/open-saver.ts";
import type { StoredPlace } from "../support/place.ts";
import { chainGraph } from "../workloads/chain.ts";
import { STEPS } from "./ten-steps.ts";

export interface FleetWorkerJob {
  readonly place: StoredPlace;
  readonly concurrency: number;
  /** In milliseconds. */
  readonly leaseDuration: number;
}

/** What it tells who measures. */
export type WorkerLine =
  | { did: "began" }
  | { did: "took"; runId: string | undefined }
  | { did: "entered"; runId: string }
  | { did: "left"; runId: string | undefined; status: string };

const HOUR = 3_600_000;

export async function fleetWorker(job: FleetWorkerJob): Promise<void> {
  // What it still does when nobody measures any more is nobody's to hear.
  const tell = (line: WorkerLine): void => void (process.connected && process.send?.(line));
  await withSaver(job.place, async (saver) => {
    const chain = chainGraph(
      saver,
      (node) => (state, config) => {
        if (state.step === 0) tell({ did: "entered", runId: String(config.metadata?.["run_id"]) });
        return node(state, config);
      },
      STEPS,
    );
    const runtime = createRuntime({ saver, graphs: { chain, ...waiting() }, worker: false });
    events.on("run.started", ({ runId }) => tell({ did: "took", runId }));
    events.on("run.left", ({ runId, status }) => tell({ did: "left", runId, status }));
    const { concurrency, leaseDuration } = job;
    await runtime.worker({ concurrency, leaseDuration }).start();
    tell({ did: "began" });
    await once(process, "disconnect");
    await runtime.close({ gracePeriod: 1_000 });
  });
}

/** A graph that is busy until it is broken off, and one that parks. */
function waiting() {
  const State = Annotation.Root({ note: Annotation<string>() });
  const one = (
    node: (state: typeof State.State, config: { signal?: AbortSignal }) => Promise<object>,
  ) =>
    new StateGraph(State)
      .addNode("wait", node)
      .addEdge(START, "wait")
      .addEdge("wait", END)
      .compile();
  return {
    busy: one(async (_, { signal }) => {
      await new Promise((resolve) => signal?.addEventListener("abort", resolve));
      throw new Error("broken off");
    }),
    parked: one(
      durable.for(State)(async () => {
        await sleep(HOUR);
        return {};
      }),
    ),
  };
}
