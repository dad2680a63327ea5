/**
 * Claims: what `durableModel()` adds to a call, against the bare client on a local server: in commits,
 * which are counted, in CPU time, which stays the same when the machine is busy, and in time, which is told.
 */

import type { ModelRound } from "./jobs/model-calls.ts";
import { atMost } from "./support/claim.ts";
import type { Claim } from "./support/claim.ts";
import { median } from "./support/stats.ts";

const CALLS = 20;
const ROUNDS = 24;

/** What it used, and the answer. */
const COMMITS = atMost(2);
/** The same, what it may cost, and what it did. */
const WITH_BUDGET = atMost(4);
/** Milliseconds of CPU time; providers take hundreds. */
const CPU = { sqlite: atMost(2), postgres: atMost(3) };

export const model: Claim = {
  name: "model",
  async run(lab, dialect) {
    const place = lab.newPlace(dialect, "holdfast");
    const { bare, durable, budget } = await lab.run("modelCalls", {
      ...{ place, calls: CALLS, warmups: 6, rounds: ROUNDS },
    });
    // Round by round, since a busy moment of the machine hits all of a round alike.
    const added = (to: readonly ModelRound[], what: keyof ModelRound): number =>
      median(to.map((round, at) => (round[what] - (bare[at]?.[what] ?? 0)) / CALLS));
    const each = (rounds: readonly ModelRound[], what: "time" | "cpu" = "time"): string =>
      `${(median(rounds.map((round) => round[what])) / CALLS).toFixed(2)} ms`;
    return [
      {
        claim: "durableModel(), milliseconds of CPU time added to a call",
        target: CPU[dialect],
        measured: added(durable, "cpu"),
        figures: `a call takes ${each(durable, "cpu")}, by the bare client ${each(bare, "cpu")}`,
      },
      {
        claim: "durableModel(), milliseconds added to a call",
        measured: added(durable, "time"),
        figures: `a call takes ${each(durable)}, by the bare client ${each(bare)}`,
      },
      {
        claim: "durableModel(), in commits of a call",
        target: COMMITS,
        measured: added(durable, "commits"),
        figures: "what it used, and its answer",
      },
      {
        claim: "durableModel() under a budget, in commits of a call",
        target: WITH_BUDGET,
        measured: added(budget, "commits"),
        figures: `a call takes ${each(budget)}; what it may cost and what it did are the other two`,
      },
    ];
  },
};
