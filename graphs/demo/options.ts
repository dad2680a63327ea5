/** The demo's options, and its help. */

import { parseArgs } from "node:util";

export interface DemoOptions {
  seed: number;
  topic: string;
  /** A folder of the user's; undefined: README.md and docs/ of this package. */
  docs: string | undefined;
  keep: boolean;
}

const TOPIC = "crashes and recovery";

export const HELP = `
A research agent that is killed in the middle, resumed, reviewed, and forked; and a fleet of workers.

Usage: npm run demo -- [options]

  --topic TEXT   what to research (default "${TOPIC}")
  --docs DIR     a folder of .md and .txt files (default: this package's README.md and docs/)
  --seed N       draws the step at which the process is killed (default: another each time)
  --keep         keep the temporary folder: database, reports, the log of executions
  --help

With OPENAI_API_KEY (and OPENAI_BASE_URL, OPENAI_MODEL) it uses a real model, otherwise a loopback
server that answers from the documents.
`;

/** Something that the user can put right. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** @throws {UsageError} for what it does not know */
export function readOptions(args: string[]): DemoOptions | "help" {
  const { topic, docs, keep, help, seed: given } = parse(args);
  if (help) return "help";
  const seed = given === undefined ? Date.now() % 10_000 : Number(given);
  if (!Number.isSafeInteger(seed))
    throw new UsageError(`--seed takes a whole number, not "${given}".`);
  if (topic.trim() === "") throw new UsageError("--topic is empty.");
  return { seed, topic, docs, keep };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        seed: { type: "string" },
        topic: { type: "string", default: TOPIC },
        docs: { type: "string" },
        keep: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
