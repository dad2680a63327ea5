/** How much of a crash matrix a test run does: a sample in `npm test`, all in `npm run crash`. */

import process from "node:process";
import type { CrashMatrixOptions, CrashMatrixResult, CrashSetup } from "../../src/testing/index.ts";
import { crashMatrix } from "../../src/testing/index.ts";

const isWhole = process.env["CRASH_POINTS"] === "all";

/** For a test with a matrix, in milliseconds: many processes, on a machine that may be busy. */
export const TIMEOUT = isWhole ? 3_600_000 : 300_000;

/** The same sample at each run, so that a suite says the same of the same code; the whole is for news. */
const seed = Number(process.env["CRASH_SEED"] ?? 1);

/**
 * Runs it on as many points as this test run does, and says what it did.
 * @throws a point failed; with the summary, which names it
 */
export async function matrix<Setup extends CrashSetup>(
  options: Omit<CrashMatrixOptions<Setup>, "execArgv" | "points"> & {
    name: string;
    sample: number;
  },
): Promise<CrashMatrixResult> {
  const { name, sample, ...rest } = options;
  const result = await crashMatrix<Setup>({
    ...rest,
    execArgv: ["--conditions=holdfast-source"],
    points: { sample: isWhole ? Infinity : sample, seed },
  });
  const said = `${name}: ${result.summary}`;
  if (result.failures.length > 0) throw new Error(said);
  console.log(said);
  return result;
}
