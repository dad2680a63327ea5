/** Draws cases, runs them, and shrinks the first that fails to a small one. */

import fc from "fast-check";
import type { Case } from "./case.ts";
import { anyCase } from "./generate.ts";
import { runCase } from "./run-case.ts";
import type { SubjectFactory } from "./run.ts";
import { Totals } from "./stats.ts";

export interface CheckOptions {
  cases: number;
  seed?: number | undefined;
  /** Of an earlier failure: goes straight to its shrunk case. */
  path?: string | undefined;
  /** How long shrinking may take, in milliseconds. */
  shrinkTime?: number;
  /** Told after each case. */
  onCase?: (totals: Totals) => void;
  /** Only some of the cases. */
  only?: (value: Case) => boolean;
}

export interface Failure {
  seed: number;
  path: string;
  value: Case;
  error: unknown;
}

/** One case must not stop the others for ever, whatever it does. */
const CASE_TIMEOUT = 60_000;

const DEFAULT_SHRINK_TIME = 60_000;

export async function check(
  factory: SubjectFactory,
  options: CheckOptions,
): Promise<{ totals: Totals; failure?: Failure }> {
  const totals = new Totals();
  let failed = false;
  let shrinkUntil = Infinity;
  const { only } = options;
  const cases = only === undefined ? anyCase : anyCase.filter(only);
  const property = fc.asyncProperty(cases, async (value) => {
    // Enough of shrinking: every further candidate passes, and fast-check stops.
    if (performance.now() > shrinkUntil) return;
    try {
      const features = await inTime(runCase(value, factory));
      if (!failed) totals.add(features);
    } catch (error) {
      if (!failed) shrinkUntil = performance.now() + (options.shrinkTime ?? DEFAULT_SHRINK_TIME);
      failed = true;
      throw error;
    } finally {
      if (!failed) options.onCase?.(totals);
    }
  });
  const result = await fc.check(property, {
    numRuns: options.cases,
    ...(options.seed !== undefined && { seed: options.seed }),
    ...(options.path !== undefined && { path: options.path }),
  });
  if (!result.failed) return { totals };
  const [value] = result.counterexample ?? [];
  if (value === undefined) throw new Error("fast-check failed without a counterexample.");
  return {
    totals,
    failure: {
      seed: result.seed,
      path: result.counterexamplePath ?? "",
      value,
      error: result.errorInstance,
    },
  };
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end after ${CASE_TIMEOUT} ms`)), CASE_TIMEOUT);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A failure as a person needs it: what is wrong, how to see it again, what to keep. */
export function explain({ seed, path, value, error }: Failure): string {
  const kept = JSON.stringify({ found: "…", case: value });
  return [
    error instanceof Error ? `${error.name}: ${error.message}` : String(error),
    "",
    `Again: npm run fuzz -- --seed ${seed} --path "${path}" (and the same --saver)`,
    "To keep it, once it is understood, add to test/fuzz/kept.jsonl:",
    kept,
  ].join("\n");
}
