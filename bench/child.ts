/**
 * One measurement in a process of its own: does the job named on the command line and prints its
 * result as JSON. `node --conditions=holdfast-source --cpu-prof bench/child.ts '<job>'` profiles it.
 */

import { jobs } from "./jobs/index.ts";
import type { JobMessage, JobName, JobResult } from "./jobs/index.ts";

const message = JSON.parse(process.argv[2] ?? "{}") as JobMessage;
// Which job belongs to which input is checked where the message is written, in run-job.ts.
const job = jobs[message.name] as (input: unknown) => Promise<JobResult<JobName>>;
const result = await job(message.input);
process.stdout.write(JSON.stringify(result ?? null));
