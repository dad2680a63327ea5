/** Claims: what a runtime adds to plain invocations with the same saver. */

import { atLeast, atMost } from "./support/claim.ts";
import type { Claim } from "./support/claim.ts";
import { median } from "./support/stats.ts";

const THREADS = 40;
/** In all, at most 15 % more time. */
const SHARE = atLeast(87, "%");
const LATENCY = atMost(20);

export const runtime: Claim = {
  name: "runtime",
  async run(lab, dialect) {
    const place = lab.newPlace(dialect, "holdfast");
    const {
      direct,
      runtime: runs,
      directStarts,
      runtimeStarts,
    } = await lab.run("runtimeRuns", {
      ...{ place, threads: THREADS, warmups: 3, rounds: 9, starts: 100 },
    });
    const added = median(runtimeStarts) - median(directStarts);
    const late = (times: readonly number[]): number =>
      times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? 0;
    return [
      {
        claim: `${THREADS} runs at once of a runtime, 20-node chain, steps/s, of plain invoke`,
        target: SHARE,
        measured: median(runs.map((rate, at) => (100 * rate) / (direct[at] ?? rate))),
        figures: `runtime ${median(runs).toFixed(0)} steps/s, plain invoke ${median(direct).toFixed(0)}`,
      },
      {
        claim: "start() to the first node, median, ms above a direct call",
        target: LATENCY,
        measured: added,
        figures: `${median(runtimeStarts).toFixed(2)} ms (p99 ${late(runtimeStarts).toFixed(2)}), direct ${median(directStarts).toFixed(2)} ms (p99 ${late(directStarts).toFixed(2)})`,
      },
    ];
  },
};
