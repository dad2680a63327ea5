/** Worker processes of a fleet that is measured: started, signalled, and ended with the process that measures. */

import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { FleetWorkerJob, WorkerLine } from "../jobs/fleet-worker.ts";

const CHILD = fileURLToPath(new URL("../child.ts", import.meta.url));
const FLAGS = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning"];

/** A clock tick of Linux, in milliseconds. */
const TICK = 10;

export class FleetProcess {
  readonly #child: ChildProcess;

  constructor(input: FleetWorkerJob, onLine: (line: WorkerLine, worker: FleetProcess) => void) {
    const message = JSON.stringify({ name: "fleetWorker", input });
    this.#child = fork(CHILD, [message], {
      execArgv: FLAGS,
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.#child.on("message", (line) => onLine(line as WorkerLine, this));
  }

  signal(signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
    this.#child.kill(signal);
  }

  /** Of the process so far, in milliseconds; by Linux. */
  cpuTime(): number {
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * TICK;
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.signal("SIGCONT");
    this.#child.disconnect();
    await ended;
  }
}

/** Workers, and what they tell. */
export class Fleet {
  readonly workers: FleetProcess[];
  readonly #heard = new Set<(line: WorkerLine, worker: FleetProcess) => void>();

  private constructor(input: FleetWorkerJob, count: number) {
    this.workers = Array.from(
      { length: count },
      () =>
        new FleetProcess(input, (line, worker) => {
          for (const hear of this.#heard) hear(line, worker);
        }),
    );
  }

  /** Settles when all of them wait for runs. */
  static async start(input: FleetWorkerJob, count: number): Promise<Fleet> {
    const fleet = new Fleet(input, count);
    let ready = 0;
    await fleet.until(({ did }) => did === "began" && (ready += 1) === count);
    return fleet;
  }

  /** Settles with the worker that tells what is waited for. */
  until(isIt: (line: WorkerLine, worker: FleetProcess) => boolean): Promise<FleetProcess> {
    return new Promise((resolve) => {
      const hear = (line: WorkerLine, worker: FleetProcess): void => {
        if (!isIt(line, worker)) return;
        this.#heard.delete(hear);
        resolve(worker);
      };
      this.#heard.add(hear);
    });
  }

  async end(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.end()));
  }
}
