/** How the command ends: exit codes, and one line for each error. */

import { CommanderError } from "commander";
import { isHoldfastError } from "../errors.ts";

export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  /** The run stopped at a gate or a question, and goes on when a person answers. */
  waiting: 5,
  /** Ctrl-C. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends the command with a code other than 0 after it has said everything there is to say. */
export class Exit extends Error {
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode) {
    super(`exit ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** The exit code of an error, and the line that tells it; no line where it was told already. */
export function explainError(error: unknown): { code: number; line: string | undefined } {
  if (error instanceof Exit) return { code: error.exitCode, line: undefined };
  if (error instanceof CommanderError) {
    // Commander has written its own line; asked-for help and versions end with 0.
    return { code: error.exitCode === 0 ? EXIT.ok : EXIT.usage, line: undefined };
  }
  const line = describeError(error);
  if (isHoldfastError(error, "INVALID_INPUT")) return { code: EXIT.usage, line };
  if (isHoldfastError(error, "NOT_FOUND")) return { code: EXIT.notFound, line };
  return { code: EXIT.failure, line };
}

/** What went wrong, in one line. */
export function describeError(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    // A refused connection to both ::1 and 127.0.0.1 comes as one of these, without a message.
    const parts = new Set(error.errors.map(describeError));
    return [...parts].join("; ");
  }
  const text = error instanceof Error ? error.message || error.name : String(error);
  const line = text.replaceAll(/\s*\n\s*/g, " ").trim();
  return line === "" ? "unknown error" : line;
}
