/** Worker processes: started, watched, killed; none outlives the demo. */

import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { JournalLine } from "./journal.ts";
import type { Job } from "./worker.ts";

const WORKER = fileURLToPath(new URL("worker.ts", import.meta.url));
const alive = new Set<ChildProcess>();

export interface Outcome {
  pid: number;
  /** True when it was killed, false when it ended well. */
  killed: boolean;
}

/**
 * Runs a job in a process of its own, to its end or until `shouldDie` says so at a step's begin: then
 * it gets SIGKILL, which no process can catch. Any other end is an error.
 */
export async function runWorker(
  job: Job,
  environment: NodeJS.ProcessEnv,
  onLine: (line: JournalLine) => void,
  shouldDie: (line: JournalLine) => boolean = () => false,
): Promise<Outcome> {
  const launched = launch(WORKER, job, environment);
  const { child } = launched;
  let killed = false;
  child.on("message", (message) => {
    if (killed) return;
    const line = message as JournalLine;
    onLine(line);
    if (shouldDie(line)) killed = child.kill("SIGKILL");
  });
  await launched.ended(() => killed);
  return { pid: child.pid!, killed };
}

export interface Launched {
  child: ChildProcess;
  /**
   * Settles when it has ended.
   * @param mayBeKilled whether SIGKILL is an end that was wanted; any other one than its own is an error
   */
  ended(mayBeKilled: () => boolean): Promise<void>;
}

/** Starts a program of the demo in a process of its own; its argument is given as JSON. */
export function launch(file: string, argument: object, environment: NodeJS.ProcessEnv): Launched {
  const child = fork(file, [JSON.stringify(argument)], { env: environment, silent: true });
  alive.add(child);
  let complaint = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (complaint += text));
  child.stdout?.resume();
  const closed = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  void closed.then(() => alive.delete(child));
  return {
    child,
    async ended(mayBeKilled) {
      const [code, signal] = await closed;
      if (code === 0 || (signal === "SIGKILL" && mayBeKilled())) return;
      throw new Error(
        `The worker ended with ${signal ?? `exit code ${code}`}:\n${complaint.trim()}`,
      );
    },
  };
}

/** For the end of the demo, whatever it was. */
export async function killAll(): Promise<void> {
  await Promise.all(
    [...alive].map(async (child) => {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    }),
  );
}
