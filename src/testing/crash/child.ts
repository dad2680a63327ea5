/** One process of a crash matrix: started with its orders, watched to its end. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ORDERS_VARIABLE, type Note, type Orders } from "./orders.ts";

/** How a process of the matrix came to its end. */
export interface CrashRun {
  /**
   * `done`: exit code 0. `again`: exit code 75, it wants to be started again. `killed`: at its point.
   * `timed-out`: it took too long, and was killed for that. `failed`: anything else.
   */
  outcome: "done" | "again" | "killed" | "timed-out" | "failed";
  exitCode: number | null;
  stdout: string;
  stderr: string;
  /** What it did durably, in order, and at which of it it was killed, if it was. */
  operations: Note[];
}

export interface Program {
  script: string;
  args: readonly string[];
  env: Readonly<Record<string, string>>;
  execArgv: readonly string[];
  cwd: string;
  /** In milliseconds. */
  timeout: number;
}

/** EX_TEMPFAIL of sysexits.h: a temporary failure, to be tried again. */
const AGAIN = 75;

/** This file's neighbour, as a source or as built. */
const PRELOAD = new URL(
  import.meta.url.endsWith(".ts") ? "./preload.ts" : "./preload.js",
  import.meta.url,
).href;

export async function runChild(program: Program, orders: Orders): Promise<CrashRun> {
  const { script, args, env, execArgv, cwd, timeout } = program;
  const child = spawn(
    process.execPath,
    ["--no-warnings", ...execArgv, "--import", PRELOAD, script, ...args],
    {
      cwd,
      env: { ...process.env, ...env, [ORDERS_VARIABLE]: JSON.stringify(orders) },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const said = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said.stderr += text));
  let isTimedOut = false;
  const timer = setTimeout(() => {
    isTimedOut = true;
    child.kill("SIGKILL");
  }, timeout);
  try {
    const [exitCode] = (await once(child, "close")) as [number | null];
    const operations = readNotes(orders.log);
    const outcome = isTimedOut ? "timed-out" : outcomeOf(exitCode, operations);
    return { outcome, exitCode, ...said, operations };
  } finally {
    clearTimeout(timer);
  }
}

function outcomeOf(exitCode: number | null, operations: readonly Note[]): CrashRun["outcome"] {
  if (operations.some(({ killed }) => killed !== undefined)) return "killed";
  if (exitCode === 0) return "done";
  return exitCode === AGAIN ? "again" : "failed";
}

/** The operations, each once: with its death, where it was the last. */
function readNotes(log: string): Note[] {
  if (!existsSync(log)) return [];
  const notes = readFileSync(log, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Note);
  const byOperation = new Map(notes.map((note) => [note.operation, note]));
  return [...byOperation.values()];
}

/** A path or a `file:` URL, as a path. */
export function pathOf(script: string | URL): string {
  return typeof script === "string" && !script.startsWith("file:") ? script : fileURLToPath(script);
}
