/** What every step store promises, as a suite: call it in a test file of its own. */

import { describe } from "vitest";
import { attemptTests } from "./steps/attempts.ts";
import type { NewStepPlace } from "./steps/place.ts";
import { stateTests } from "./steps/states.ts";
import { statusTests } from "./steps/status.ts";
import { usageTests } from "./steps/usage.ts";

export function stepStoreConformance(name: string, newPlace: NewStepPlace): void {
  describe(`a step store in ${name}`, () => {
    describe("states", () => stateTests(newPlace));
    describe("attempts", () => attemptTests(newPlace));
    describe("status", () => statusTests(newPlace));
    describe("usage", () => usageTests(newPlace));
  });
}
