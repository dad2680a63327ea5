/** Claims: what `durable()` adds to a step that succeeds, in CPU time. */

import { atMost } from "./support/claim.ts";
import type { Claim } from "./support/claim.ts";
import { FLOOR } from "./support/place.ts";
import { median } from "./support/stats.ts";

const TARGET = atMost(5, "%");
const PROCESSES = 3;

export const durable: Claim = {
  name: "durable",
  async run(lab, dialect) {
    const plain: number[] = [];
    const added: number[] = [];
    const floors: number[] = [];
    const addedToFloor: number[] = [];
    for (let round = 0; round < PROCESSES; round++) {
      const job = { threads: 10, warmups: 4, rounds: 16 };
      const own = await lab.run("durableNodes", {
        ...job,
        place: lab.newPlace(dialect, "holdfast"),
      });
      plain.push(...own.plain);
      added.push(...differences(own));
      const floor = await lab.run("durableNodes", { ...job, place: FLOOR });
      floors.push(...floor.plain);
      addedToFloor.push(...differences(floor));
    }
    const step = median(plain);
    const floor = median(floors);
    return [
      {
        claim: "durable() around a node that does nothing, CPU time, of a step",
        target: TARGET,
        measured: (100 * median(added)) / step,
        figures: `${micros(median(added))} added to a step of ${micros(step)}`,
      },
      {
        claim: "durable() around a node that does nothing, CPU time, of LangGraph's own step",
        target: TARGET,
        measured: (100 * median(addedToFloor)) / floor,
        figures: `${micros(median(addedToFloor))} added to a step of ${micros(floor)} on the floor`,
      },
    ];
  },
};

/** Round by round, since a busy moment of the machine hits both of a round alike. */
function differences({ plain, durable }: { plain: number[]; durable: number[] }): number[] {
  return durable.map((time, round) => time - (plain[round] ?? time));
}

function micros(milliseconds: number): string {
  return `${(1_000 * milliseconds).toFixed(1)} µs`;
}
