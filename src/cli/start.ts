/** The process around {@link main}: signals, warnings and closed pipes. */

import { EXIT } from "./exit.ts";
import { processIo } from "./io.ts";
import type { Io } from "./io.ts";
import { main } from "./main.ts";

export async function start(): Promise<void> {
  hideExperimentalWarnings();
  keepLogsOutOfData();
  endQuietlyOnClosedPipe();
  const code = await main(process.argv.slice(2), processIo(heedSignals()));
  await flushed();
  // Not only `exitCode`: a node that ignores the abort would keep the process alive.
  process.exit(code);
}

/** The first Ctrl-C ends the run in order; the second ends the process, unless the command has a use for it. */
function heedSignals(): Pick<Io, "signal" | "onSecondSignal"> {
  const abort = new AbortController();
  let second: (() => void) | undefined;
  const interrupt = (): void => {
    if (!abort.signal.aborted) {
      abort.abort(new Error("interrupted"));
      return;
    }
    const handler = second ?? (() => process.exit(EXIT.interrupted));
    second = undefined;
    handler();
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  return {
    signal: abort.signal,
    onSecondSignal: (handler) => {
      second = handler;
    },
  };
}

/** Node's built-in SQLite and type stripping work; that they may change is not the user's concern. */
function hideExperimentalWarnings(): void {
  const emit = process.emitWarning.bind(process) as (...args: unknown[]) => void;
  process.emitWarning = (...args: unknown[]): void => {
    const [warning, kind] = args;
    const type =
      typeof kind === "object" && kind !== null ? (kind as { type?: unknown }).type : kind;
    if (type === "ExperimentalWarning" && /SQLite|Type Stripping/i.test(String(warning))) return;
    emit(...args);
  };
}

/** A graph's own `console.log` is for a person; what a script reads is ours alone. */
function keepLogsOutOfData(): void {
  const toStderr = console.error.bind(console);
  console.log = toStderr;
  console.info = toStderr;
  console.debug = toStderr;
}

/** `holdfast threads ls | head -1` is not an error. A run goes on without its listener. */
function endQuietlyOnClosedPipe(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(EXIT.ok);
    throw error;
  });
  process.stderr.on("error", () => {});
}

/** A pipe takes its data later than a file or a terminal; `process.exit` would cut it off. */
async function flushed(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.writableLength > 0) await new Promise((done) => stream.write("", done));
  }
}
