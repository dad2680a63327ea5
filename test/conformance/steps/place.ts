/** Where the suite gets its step stores from. */

import type { StepStore } from "../../../src/step-store.ts";
import type { ManualClock } from "../../../src/testing/index.ts";

export interface StepPlace {
  /** That all stores of the place go by. */
  clock: ManualClock;
  /** A store as another process would have it; in memory all are the same. */
  open(): StepStore;
}

/** A place that goes with the test. */
export type NewStepPlace = () => Promise<StepPlace>;

/** Ids that are just ids: NUL, lone surrogates, what looks quoted, what is long, and what begins alike. */
export const HOSTILE_IDS = [
  "nul\0nul",
  "\ud800lone",
  '"quoted"',
  "__proto__",
  "ünï😀",
  "x".repeat(10_000),
  `${"x".repeat(10_000)}y`,
  `${"long\0 ".repeat(2_000)}"`,
];
