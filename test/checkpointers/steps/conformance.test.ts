/** The step stores against their suite: in memory, in SQLite, in Postgres. */

import { memorySteps } from "../../../src/steps/memory.ts";
import { ManualClock } from "../../../src/testing/index.ts";
import { stepStoreConformance } from "../../conformance/step-store.ts";
import { PLACES } from "../../support/places.ts";

stepStoreConformance("memory", () => {
  const clock = new ManualClock();
  const steps = memorySteps({ clock });
  return Promise.resolve({ clock, open: () => steps });
});

for (const [name, newPlace] of PLACES) {
  stepStoreConformance(name, async () => {
    const clock = new ManualClock();
    const place = await newPlace();
    return { clock, open: () => place.open({ clock }).steps };
  });
}
