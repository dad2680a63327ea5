/** Runs that are accepted in this process and done in another one, one after the other. */

import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createRuntime } from "holdfast";
import { newEngine, type EngineName } from "../support/engines.ts";
import { withSaver } from "../support/open-saver.ts";
import type { PostgresPlace } from "../support/place.ts";
import { chainGraph } from "../workloads/chain.ts";

export interface Handovers {
  readonly place: PostgresPlace;
  readonly engine: EngineName;
  readonly warmups: number;
  readonly runs: number;
}

const WORKER = fileURLToPath(new URL("../handover-worker.ts", import.meta.url));

/** @returns milliseconds from the call of `start()` until this process hears that the first node was begun */
export async function handovers(job: Handovers): Promise<number[]> {
  return withSaver(job.place, async (saver) => {
    const runtime = createRuntime({
      ...{ saver, graphs: { chain: chainGraph(saver) }, worker: false },
      engine: newEngine(job.engine, job.place),
    });
    const worker = fork(WORKER, [JSON.stringify(job)], {
      execArgv: ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning"],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    await once(worker, "message");
    const times: number[] = [];
    for (let i = 0; i < job.warmups + job.runs; i++) {
      const start = performance.now();
      const begun = once(worker, "message").then(() => performance.now() - start);
      const { runId } = await runtime.start("chain", { step: 0, note: "" });
      const time = await begun;
      if (i >= job.warmups) times.push(time);
      await runtime.result(runId);
      // At any moment between two looks of the worker's own.
      await pause((i * 37) % 100);
    }
    worker.send("end");
    await once(worker, "exit");
    await runtime.close();
    return times;
  });
}
