/**
 * Cases that once failed, kept as tests in kept.jsonl, a line each, as `npm run fuzz` prints a failing
 * one: as the value itself, so that it stays the same when the generator changes.
 */

import { readFileSync } from "node:fs";
import type { Case } from "./case.ts";

export interface KeptCase {
  /** What was wrong, in a few words. */
  found: string;
  case: Case;
}

export const KEPT: readonly KeptCase[] = readFileSync(
  new URL("./kept.jsonl", import.meta.url),
  "utf8",
)
  .split("\n")
  .filter((line) => line !== "")
  .map((line) => JSON.parse(line) as KeptCase);
