/** Claim: `getState` late in a thread, in a cold process. */

import type { ColdResult } from "./jobs/cold.ts";
import { atLeast } from "./support/claim.ts";
import type { Claim, Row } from "./support/claim.ts";
import { ms } from "./support/format.ts";
import type { Lab } from "./support/lab.ts";
import type { StoredPlace } from "./support/place.ts";
import { median } from "./support/stats.ts";

const OFFICIAL = { sqlite: atLeast(6), postgres: atLeast(15) };
const SAMPLES = 7;

export const state: Claim = {
  name: "state",
  async run(lab, dialect) {
    const { place } = await lab.chat(dialect, "holdfast");
    const what = `getState at turn ${lab.turns}, cold`;
    const ours = await sample(lab, place);
    const oursConnected = await sample(lab, place, { connected: true });
    const floor = await sample(lab, place, { floor: true });
    const rows: Row[] = [];
    if (lab.official) {
      const their = (await lab.chat(dialect, "official")).place;
      const theirs = await sample(lab, their);
      const theirsConnected = await sample(lab, their, { connected: true });
      rows.push(
        {
          claim: `${what}, times faster than official`,
          target: OFFICIAL[dialect],
          measured: theirs / ours,
          figures: `holdfast ${ms(ours)}, official ${ms(theirs)}, opening the database included`,
        },
        {
          claim: `${what}, times faster than official, after setup()`,
          measured: theirsConnected / oursConnected,
          figures: `holdfast ${ms(oursConnected)}, official ${ms(theirsConnected)}`,
        },
      );
    }
    rows.push({
      claim: `${what}, against LangGraph's floor`,
      measured: ours / floor,
      figures:
        `holdfast ${ms(ours)}, floor ${ms(floor)}${await connection(lab, place)}; ` +
        `median of ${SAMPLES} processes`,
    });
    return rows;
  },
};

async function sample(
  lab: Lab,
  place: StoredPlace,
  how: { floor?: boolean; connected?: boolean } = {},
): Promise<number> {
  const results: ColdResult[] = [];
  for (let index = 0; index < SAMPLES; index++) {
    results.push(await lab.run("coldState", { place, turns: lab.turns, ...how }));
  }
  return median(results.map((result) => result.ms));
}

/** On Postgres no saver can be faster than a connection that does nothing. */
async function connection(lab: Lab, place: StoredPlace): Promise<string> {
  if (place.dialect !== "postgres") return "";
  const times: number[] = [];
  for (let index = 0; index < SAMPLES; index++) {
    times.push(await lab.run("coldConnection", { place }));
  }
  return `, a new connection and "select 1" ${ms(median(times))}`;
}
