/** Claims: the time of a turn late in a thread, against the official saver and LangGraph's floor. */

import { atLeast, atMost } from "./support/claim.ts";
import type { Claim, Row } from "./support/claim.ts";
import { ms } from "./support/format.ts";
import { FLOOR } from "./support/place.ts";
import { median } from "./support/stats.ts";

const FLOOR_TARGET = { sqlite: atMost(3, "x"), postgres: atMost(6, "x") };
const OFFICIAL = { sqlite: atLeast(12), postgres: atLeast(25) };

/** Threads built by each saver; in turn with the others, so that a busy moment hits all alike. */
const BUILDS = 3;
const LAST_TURNS = 20;

export const turn: Claim = {
  name: "turn",
  async run(lab, dialect) {
    const floors: number[] = [];
    const ours: number[] = [];
    const fulls: number[] = [];
    for (let build = 0; build < BUILDS; build++) {
      floors.push(lateTurn(await lab.run("buildChat", { place: FLOOR, from: 0, to: lab.turns })));
      const chat = build === 0 ? lab.chat(dialect, "holdfast") : lab.newChat(dialect, "holdfast");
      ours.push(lateTurn((await chat).turnTimes));
      if (dialect === "sqlite") {
        fulls.push(lateTurn((await lab.newChat(dialect, "holdfast-full")).turnTimes));
      }
    }
    const floor = median(floors);
    const our = median(ours);
    const full = fulls.length === 0 ? undefined : median(fulls);
    const fullFigure = full === undefined ? "" : `, with FULL ${ms(full)}`;
    const rows: Row[] = [];
    if (lab.official) {
      const their = lateTurn((await lab.chat(dialect, "official")).turnTimes);
      rows.push({
        claim: `time per turn at turn ${lab.turns}, times faster than official`,
        target: OFFICIAL[dialect],
        measured: their / our,
        ...(full === undefined ? {} : { full: their / full }),
        figures: `holdfast ${ms(our)}${fullFigure}, official ${ms(their)}`,
      });
    }
    rows.push({
      claim: `time per turn at turn ${lab.turns}, against LangGraph's floor`,
      target: FLOOR_TARGET[dialect],
      measured: our / floor,
      ...(full === undefined ? {} : { full: full / floor }),
      figures: `holdfast ${ms(our)}${fullFigure}, floor ${ms(floor)}`,
    });
    return rows;
  },
};

/** Milliseconds of a turn at the end of the thread. */
function lateTurn(turnTimes: readonly number[]): number {
  return median(turnTimes.slice(-LAST_TURNS));
}
