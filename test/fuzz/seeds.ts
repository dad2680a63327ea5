/**
 * Cases that once failed, kept as tests. `npm run fuzz` prints a failing case in this form; a case
 * is kept as the value itself, so that it stays the same when the generator changes.
 */

import type { Case } from "./case.ts";

export interface KeptCase {
  /** What was wrong, in a few words. */
  found: string;
  case: Case;
}

export const KEPT: readonly KeptCase[] = [];
