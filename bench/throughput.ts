/** Claims: 40 threads at once, against LangGraph's floor and the official saver. */

import { atLeast } from "./support/claim.ts";
import type { Claim, Row } from "./support/claim.ts";
import type { Lab } from "./support/lab.ts";
import { FLOOR } from "./support/place.ts";
import type { Place } from "./support/place.ts";
import { median } from "./support/stats.ts";
import { CHAIN_NODES } from "./workloads/chain.ts";

const FLOOR_TARGET = { sqlite: atLeast(70, "%"), postgres: atLeast(65, "%") };
const OFFICIAL = { sqlite: atLeast(1.15), postgres: atLeast(2.2) };
const THREADS = 40;

/** Processes of each saver, in turn with the others, so that a busy moment hits all alike. */
const PROCESSES = 3;

export const throughput: Claim = {
  name: "throughput",
  async run(lab, dialect) {
    const floors: number[] = [];
    const ours: number[] = [];
    const fulls: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < PROCESSES; round++) {
      floors.push(...(await rates(lab, FLOOR)));
      ours.push(...(await rates(lab, lab.newPlace(dialect, "holdfast"))));
      if (dialect === "sqlite") {
        fulls.push(...(await rates(lab, lab.newPlace(dialect, "holdfast-full"))));
      }
      if (lab.official) theirs.push(...(await rates(lab, lab.newPlace(dialect, "official"))));
    }
    const our = median(ours);
    const floor = median(floors);
    const full = fulls.length === 0 ? undefined : median(fulls);
    const fullFigure = full === undefined ? "" : `, with FULL ${full.toFixed(0)}`;
    const what = `${THREADS} threads at once, ${CHAIN_NODES}-node chain, steps/s`;
    const rows: Row[] = [
      {
        claim: `${what}, of LangGraph's floor`,
        target: FLOOR_TARGET[dialect],
        measured: (100 * our) / floor,
        ...(full === undefined ? {} : { full: (100 * full) / floor }),
        figures: `holdfast ${our.toFixed(0)} steps/s${fullFigure}, floor ${floor.toFixed(0)}`,
      },
    ];
    if (lab.official) {
      const their = median(theirs);
      rows.push({
        claim: `${what}, against official`,
        target: OFFICIAL[dialect],
        measured: our / their,
        ...(full === undefined ? {} : { full: full / their }),
        figures: `holdfast ${our.toFixed(0)} steps/s${fullFigure}, official ${their.toFixed(0)}`,
      });
    }
    return rows;
  },
};

function rates(lab: Lab, place: Place): Promise<number[]> {
  return lab.run("throughput", { place, threads: THREADS, warmups: 2, rounds: 6 });
}
