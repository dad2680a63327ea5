/** Builds the thread whose state stays the same size. */

import { withSaver } from "../support/open-saver.ts";
import type { Place } from "../support/place.ts";
import { progress } from "../support/progress.ts";
import { DOCUMENT_THREAD, documentGraph } from "../workloads/document.ts";

export interface BuildDocument {
  readonly place: Place;
  readonly turns: number;
}

export async function buildDocument({ place, turns }: BuildDocument): Promise<void> {
  await withSaver(place, async (saver) => {
    const graph = documentGraph(saver);
    for (let turn = 0; turn < turns; turn++) {
      await graph.invoke({ revision: turn }, { ...DOCUMENT_THREAD, durability: "sync" });
      progress(`turn ${turn + 1} of ${turns}`);
    }
  });
}
