/** Runs that one process accepts and others do; and how long a dead worker's run waits for another. */

import { createRuntime, type Runtime } from "holdfast";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { bytesOnDisk } from "../support/bytes.ts";
import { Fleet } from "../support/fleet.ts";
import { withSaver } from "../support/open-saver.ts";
import type { StoredPlace } from "../support/place.ts";
import { chainGraph } from "../workloads/chain.ts";
import { STEPS } from "./ten-steps.ts";

export interface FleetRuns {
  readonly place: StoredPlace;
  readonly workers: number;
  readonly runs: number;
  /** Of all workers together. */
  readonly atOnce: number;
  readonly rounds: number;
}

/** @returns steps a second, of each round after the first, which warms up */
export async function fleetRuns(job: FleetRuns): Promise<number[]> {
  return accepting(job.place, async (runtime) => {
    const { place, workers, runs } = job;
    const concurrency = Math.ceil(job.atOnce / workers);
    const fleet = await Fleet.start({ place, concurrency, leaseDuration: 30_000 }, workers);
    const rates: number[] = [];
    for (let round = 0; round <= job.rounds; round += 1) {
      let left = 0;
      const done = fleet.until(({ did }) => did === "left" && (left += 1) === runs);
      const start = performance.now();
      await Promise.all(
        Array.from({ length: runs }, () => runtime.start("chain", { step: 0, note: "" })),
      );
      await done;
      if (round > 0) rates.push((runs * STEPS * 1_000) / (performance.now() - start));
    }
    await fleet.end();
    return rates;
  });
}

export interface TakeOvers {
  readonly place: StoredPlace;
  readonly leaseDuration: number;
  readonly times: number;
}

export interface TakeOversResult {
  /** Milliseconds from the signal until another worker has the run. */
  readonly killed: number[];
  readonly stopped: number[];
}

export async function takeOvers({
  place,
  leaseDuration,
  times,
}: TakeOvers): Promise<TakeOversResult> {
  return accepting(place, async (runtime) => {
    const result: TakeOversResult = { killed: [], stopped: [] };
    for (let time = 0; time < times; time += 1) {
      for (const signal of ["SIGKILL", "SIGSTOP"] as const) {
        const fleet = await Fleet.start({ place, concurrency: 1, leaseDuration }, 2);
        const taken = fleet.until(({ did }) => did === "took");
        const { runId } = await runtime.start("busy", {});
        const first = await taken;
        const again = fleet.until(({ did }, worker) => did === "took" && worker !== first);
        const start = performance.now();
        first.signal(signal);
        await again;
        result[signal === "SIGKILL" ? "killed" : "stopped"].push(performance.now() - start);
        await runtime.cancel(runId);
        await fleet.end();
      }
    }
    return result;
  });
}

export interface ParkedRuns {
  readonly place: StoredPlace;
  readonly runs: number;
}

export interface ParkedRunsResult {
  /** On disk, of each parked run. */
  readonly bytes: number;
  /** Of a core, in percent: what a worker takes while they are parked, and without them. */
  readonly cpu: number;
  readonly idleCpu: number;
}

const WATCHED = 5_000;

/** What runs cost that wait for an hour. */
export async function parkedRuns({ place, runs }: ParkedRuns): Promise<ParkedRunsResult> {
  return accepting(place, async (runtime) => {
    const fleet = await Fleet.start({ place, concurrency: 40, leaseDuration: 30_000 }, 1);
    const [worker] = fleet.workers;
    const cpu = async (): Promise<number> => {
      const before = worker?.cpuTime() ?? 0;
      const start = performance.now();
      await new Promise((resolve) => setTimeout(resolve, WATCHED));
      return (100 * ((worker?.cpuTime() ?? 0) - before)) / (performance.now() - start);
    };
    const idleCpu = await cpu();
    const before = await bytesOnDisk(place);
    let parked = 0;
    const all = fleet.until((line) => line.did === "left" && (parked += 1) === runs);
    for (let run = 0; run < runs; run += 1) await runtime.start("parked", { note: "" });
    await all;
    const result = {
      bytes: ((await bytesOnDisk(place)) - before) / runs,
      cpu: await cpu(),
      idleCpu,
    };
    await fleet.end();
    return result;
  });
}

/** With a runtime that works on nothing. */
function accepting<T>(place: StoredPlace, work: (runtime: Runtime) => Promise<T>): Promise<T> {
  return withSaver(place, async (saver: BaseCheckpointSaver) => {
    const chain = chainGraph(saver, undefined, STEPS);
    const graphs = { chain, busy: chain, parked: chain };
    const runtime = createRuntime({ saver, graphs, worker: false });
    try {
      return await work(runtime);
    } finally {
      await runtime.close();
    }
  });
}
