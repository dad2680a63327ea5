/** A process that a test starts and talks to: scripts in `children/` send and get messages. */

import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** What goes over the channel: a name, and what belongs to it. */
export interface Message {
  type: string;
  [key: string]: unknown;
}

export interface Child {
  readonly process: ChildProcess;
  /** All that came so far. */
  readonly messages: readonly Message[];
  send(message: Message): void;
  /** The next message of this type that has not been taken yet. */
  next(type: string): Promise<Message>;
  /** Settles when the process has ended. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; stderr: string }>;
  kill(): Promise<void>;
}

/** @param script a file of `children/`; @param args as strings or JSON */
export function startChild(script: string, ...args: unknown[]): Child {
  const child = fork(
    join(import.meta.dirname, "children", script),
    args.map((arg) => (typeof arg === "string" ? arg : JSON.stringify(arg))),
    {
      execArgv: ["--conditions=holdfast-source", "--no-warnings"],
      stdio: ["ignore", "inherit", "pipe", "ipc"],
    },
  );
  let stderr = "";
  child.stderr?.on("data", (data: Buffer) => (stderr += data.toString()));
  const messages: Message[] = [];
  const untaken: Message[] = [];
  const waiting = new Set<() => void>();
  const wake = (): void => {
    for (const look of [...waiting]) look();
  };
  child.on("message", (message: Message) => {
    messages.push(message);
    untaken.push(message);
    wake();
  });
  let hasEnded = false;
  const ended = once(child, "close").then(([code, signal]: unknown[]) => {
    hasEnded = true;
    wake();
    return { code: code as number | null, signal: signal as NodeJS.Signals | null, stderr };
  });
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
  };
  onTestFinished(kill);
  return {
    process: child,
    messages,
    ended,
    kill,
    send: (message) => void child.send(message),
    next: (type) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const at = untaken.findIndex((message) => message.type === type);
          if (at >= 0) {
            waiting.delete(look);
            resolve(untaken.splice(at, 1)[0] as Message);
          } else if (hasEnded) {
            waiting.delete(look);
            reject(new Error(`The child ended without sending "${type}":\n${stderr}`));
          }
        };
        waiting.add(look);
        look();
      }),
  };
}
