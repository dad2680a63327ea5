/** What a child process can be asked to do, by name. */

import { buildChat } from "./build-chat.ts";
import { buildDocument } from "./build-document.ts";
import { buildFiles } from "./build-files.ts";
import { coldConnection, coldHistory, coldState } from "./cold.ts";
import { durableNodes } from "./durable-nodes.ts";
import { effectCommits } from "./effect-commits.ts";
import { handovers } from "./handovers.ts";
import { fleetRuns, parkedRuns, takeOvers } from "./fleet-runs.ts";
import { fleetWorker } from "./fleet-worker.ts";
import { listingMemory } from "./listing-memory.ts";
import { modelCalls } from "./model-calls.ts";
import { runtimeRuns } from "./runtime-runs.ts";
import { tenSteps } from "./ten-steps.ts";
import { throughput } from "./throughput.ts";

export const jobs = {
  buildChat,
  buildDocument,
  buildFiles,
  coldConnection,
  coldHistory,
  coldState,
  durableNodes,
  effectCommits,
  handovers,
  fleetRuns,
  fleetWorker,
  listingMemory,
  modelCalls,
  parkedRuns,
  runtimeRuns,
  takeOvers,
  tenSteps,
  throughput,
};

export type Jobs = typeof jobs;
export type JobName = keyof Jobs;
export type JobInput<Name extends JobName> = Parameters<Jobs[Name]>[0];
export type JobResult<Name extends JobName> = Awaited<ReturnType<Jobs[Name]>>;

/** A job on the command line of a child. */
export interface JobMessage<Name extends JobName = JobName> {
  readonly name: Name;
  readonly input: JobInput<Name>;
}
