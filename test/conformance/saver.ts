/**
 * What a holdfast saver promises beyond LangGraph's own validation suite (which the tests of each
 * saver run, too), as a suite that any database must pass: call it in a test file of its own.
 */

import { describe } from "vitest";
import { customSerdeTests } from "./saver/custom-serde.ts";
import { hostileIdTests } from "./saver/hostile-ids.ts";
import { listingTests } from "./saver/listing.ts";
import { pendingWriteTests } from "./saver/pending-writes.ts";
import type { NewPlace } from "./saver/place.ts";
import { readTests } from "./saver/reads.ts";
import { refusalTests } from "./saver/refusals.ts";
import { roundTripTests } from "./saver/round-trips.ts";
import { storedValueTests } from "./saver/stored-values.ts";
import { typesTests } from "./saver/types.ts";

export function saverConformance(name: string, newPlace: NewPlace): void {
  describe(name, () => {
    describe("gives back", () => roundTripTests(newPlace));
    describe("refuses", () => refusalTests(newPlace));
    describe("the types option", () => typesTests(newPlace));
    describe("hostile ids", () => hostileIdTests(newPlace));
    describe("pending writes", () => pendingWriteTests(newPlace));
    describe("stored values", () => storedValueTests(newPlace));
    describe("reads", () => readTests(newPlace));
    describe("list", () => listingTests(newPlace));
    describe("a custom serde", () => customSerdeTests(newPlace));
  });
}
