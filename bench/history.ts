/** Claim: reading every state of a thread, in a cold process. */

import type { ColdResult } from "./jobs/cold.ts";
import { atLeast } from "./support/claim.ts";
import type { Claim, Row } from "./support/claim.ts";
import { bytes, ms } from "./support/format.ts";
import type { Lab } from "./support/lab.ts";
import type { StoredPlace } from "./support/place.ts";
import { median } from "./support/stats.ts";
import { CHECKPOINTS_PER_TURN } from "./workloads/chat.ts";

const OFFICIAL = { sqlite: atLeast(60), postgres: atLeast(200) };
const SAMPLES = 5;

export const history: Claim = {
  name: "history",
  async run(lab, dialect) {
    const states = lab.turns * CHECKPOINTS_PER_TURN;
    const { place } = await lab.chat(dialect, "holdfast");
    const ours = await sample(lab, place, SAMPLES);
    const floor = await sample(lab, place, SAMPLES, true);
    const rows: Row[] = [];
    if (lab.official) {
      // Once: it takes seconds on SQLite and more than a minute on Postgres.
      const theirs = await sample(lab, (await lab.chat(dialect, "official")).place, 1);
      rows.push({
        claim: `whole history of ${states} states, cold, times faster than official`,
        target: OFFICIAL[dialect],
        measured: theirs.ms / ours.ms,
        figures:
          `holdfast ${told(ours)}, official ${told(theirs)}; ` +
          "memory is the peak of the process",
      });
    }
    rows.push({
      claim: `whole history of ${states} states, cold, against LangGraph's floor`,
      measured: ours.ms / floor.ms,
      figures: `holdfast ${ms(ours.ms)}, floor ${ms(floor.ms)}; median of ${SAMPLES} processes`,
    });
    return rows;
  },
};

function told(result: ColdResult): string {
  return `${ms(result.ms)} (${bytes(result.peakRss)})`;
}

async function sample(
  lab: Lab,
  place: StoredPlace,
  samples: number,
  floor = false,
): Promise<ColdResult> {
  const results: ColdResult[] = [];
  for (let index = 0; index < samples; index++) {
    results.push(await lab.run("coldHistory", { place, turns: lab.turns, floor }));
  }
  return {
    ms: median(results.map((result) => result.ms)),
    peakRss: median(results.map((result) => result.peakRss)),
  };
}
