/** A claim of the project: what is measured, what it must reach, and what came out. */

import type { Lab } from "./lab.ts";
import type { Dialect } from "./place.ts";

export interface Target {
  readonly bound: "at most" | "at least";
  readonly value: number;
  /** Printed behind the number: `x`, `%`, or nothing for a plain quotient. */
  readonly unit: "" | "x" | "%";
}

export interface Row {
  /** One line of the table; the rows of both dialects with the same words share it. */
  readonly claim: string;
  /** Absent for a figure that is only told. */
  readonly target?: Target;
  readonly measured: number;
  /** The same with `synchronous=FULL` (SQLite only). */
  readonly full?: number;
  /** What the quotient was made of. */
  readonly figures: string;
}

export interface Claim {
  /** As `--only` knows it. */
  readonly name: string;
  run(lab: Lab, dialect: Dialect): Promise<Row[]>;
}

export function meets(target: Target, measured: number): boolean {
  return target.bound === "at most" ? measured <= target.value : measured >= target.value;
}

export function atMost(value: number, unit: Target["unit"] = ""): Target {
  return { bound: "at most", value, unit };
}

export function atLeast(value: number, unit: Target["unit"] = "x"): Target {
  return { bound: "at least", value, unit };
}
