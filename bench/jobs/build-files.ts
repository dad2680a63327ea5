/** Runs the agent with the `files` map. */

import { withSaver } from "../support/open-saver.ts";
import type { Place } from "../support/place.ts";
import { runFiles } from "../workloads/files.ts";

export interface BuildFiles {
  readonly place: Place;
  readonly steps: number;
}

/** Milliseconds a step, all of them taken together. */
export async function buildFiles({ place, steps }: BuildFiles): Promise<number> {
  return withSaver(place, async (saver) => {
    const start = performance.now();
    await runFiles(saver, steps);
    return (performance.now() - start) / steps;
  });
}
