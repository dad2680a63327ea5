/** Claims: what an effect costs in commits, which are counted, and in time, which is told. */

import type { Round } from "./jobs/effect-commits.ts";
import { atMost } from "./support/claim.ts";
import type { Claim } from "./support/claim.ts";
import { median } from "./support/stats.ts";

const PARALLEL = 200;
const ROUNDS = 24;

/** A claim and a record. */
const ONE = atMost(2);
/** Claims together and records together; 400 if each had its own. */
const MANY = atMost(10);

export const effects: Claim = {
  name: "effects",
  async run(lab, dialect) {
    const place = lab.newPlace(dialect, "holdfast");
    const { none, one, many } = await lab.run("effectCommits", {
      ...{ place, parallel: PARALLEL, warmups: 6, rounds: ROUNDS },
    });
    // Round by round, since a busy moment of the machine hits all of a round alike.
    const added = (to: readonly Round[], what: keyof Round): number =>
      median(to.map((round, at) => round[what] - (none[at]?.[what] ?? 0)));
    const times = (rounds: readonly Round[]): string =>
      median(rounds.map(({ time }) => time)).toFixed(2);
    return [
      {
        claim: "an effect, in commits",
        target: ONE,
        measured: added(one, "commits"),
        figures: `an invocation takes ${times(one)} ms with it, ${times(none)} ms without`,
      },
      {
        claim: `${PARALLEL} effects at once in a node, in commits`,
        target: MANY,
        measured: added(many, "commits"),
        figures: `${((1_000 * added(many, "time")) / PARALLEL).toFixed(0)} µs each, ${added(many, "time").toFixed(0)} ms for all`,
      },
    ];
  },
};
