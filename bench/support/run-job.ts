/** Runs a job in a new Node process and waits for its result: nothing warms up anything else. */

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { JobInput, JobMessage, JobName, JobResult } from "../jobs/index.ts";
import { nameOf } from "./place.ts";
import { say } from "./progress.ts";

const CHILD = fileURLToPath(new URL("../child.ts", import.meta.url));

export interface RunJobOptions {
  /** A folder for a CPU profile of each job. */
  readonly profileDir?: string | undefined;
}

export async function runJob<Name extends JobName>(
  name: Name,
  input: JobInput<Name>,
  options: RunJobOptions = {},
): Promise<JobResult<Name>> {
  const flags = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning"];
  if (name === "listingMemory") flags.push("--expose-gc");
  if (options.profileDir !== undefined) {
    const profile = `${name}-${nameOf(input.place).replace(" ", "-")}-${Date.now()}.cpuprofile`;
    flags.push("--cpu-prof", `--cpu-prof-dir=${options.profileDir}`, `--cpu-prof-name=${profile}`);
  }
  const message: JobMessage<Name> = { name, input };
  const start = performance.now();
  const printed = await run([...flags, CHILD, JSON.stringify(message)]);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const floor = "floor" in input && input.floor ? " (floor)" : "";
  say(`  ${name}, ${nameOf(input.place)}${floor}: ${seconds} s`);
  return JSON.parse(printed) as JobResult<Name>;
}

function run(args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const printed: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => printed.push(chunk));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) resolve(Buffer.concat(printed).toString());
      else reject(new Error(`The measuring process ended with ${signal ?? `code ${code}`}.`));
    });
  });
}
