/** The command line's doors to the outside: streams, environment, folder, time and new ids. */

import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline/promises";

/** Where text goes; the part of a `tty.WriteStream` that is used. */
export interface Sink {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

export interface Io {
  /** Data: what a script would read. */
  stdout: Sink;
  /** Everything said to a person: progress, notes, errors. */
  stderr: Sink;
  /** All of standard input, as text. */
  readInput(): Promise<string>;
  /** Asks on the terminal; undefined where nobody can answer. */
  ask: ((question: string) => Promise<string>) | undefined;
  env: Record<string, string | undefined>;
  cwd: string;
  /** Aborted by Ctrl-C, or SIGTERM. */
  signal: AbortSignal;
  /** What the second such signal does; without it, that ends the process, and with it, the third one does. */
  onSecondSignal: (handler: () => void) => void;
  now(): number;
  newThreadId(): string;
}

/** The real ones. */
export function processIo({ signal, onSecondSignal }: Pick<Io, "signal" | "onSecondSignal">): Io {
  const { stdin, stdout, stderr } = process;
  return {
    stdout,
    stderr,
    readInput: async () => {
      let text = "";
      stdin.setEncoding("utf8");
      for await (const chunk of stdin as AsyncIterable<string>) text += chunk;
      return text;
    },
    ask:
      stdin.isTTY && stderr.isTTY
        ? async (question) => {
            const terminal = createInterface({ input: stdin, output: stderr });
            try {
              return await terminal.question(question, { signal });
            } finally {
              terminal.close();
            }
          }
        : undefined,
    env: process.env,
    cwd: process.cwd(),
    signal,
    onSecondSignal,
    now: () => Date.now(),
    newThreadId: () => randomUUID(),
  };
}
