/** Claims: how soon a run that one process accepts is begun by another. */

import { atMost } from "./support/claim.ts";
import type { Claim } from "./support/claim.ts";
import type { EngineName } from "./support/engines.ts";
import type { PostgresPlace } from "./support/place.ts";
import { median } from "./support/stats.ts";

const ENGINES: readonly EngineName[] = ["local", "listening", "pg-boss"];
const WORDS: Record<EngineName, string> = {
  local: "the default engine (looks each second)",
  listening: "localEngine({ listen: true })",
  "pg-boss": "pgBossEngine()",
};
/** A twentieth of what a worker may take to look by itself. */
const LATENCY = atMost(50);

export const handover: Claim = {
  name: "handover",
  async run(lab, dialect) {
    if (dialect === "sqlite") return [];
    const rows = [];
    for (const engine of ENGINES) {
      const place = lab.newPlace(dialect, "holdfast") as PostgresPlace;
      const times = await lab.run("handovers", { place, engine, warmups: 5, runs: 40 });
      const sorted = times.toSorted((a, b) => a - b);
      rows.push({
        claim: `start() to the first node in another process, median ms, ${WORDS[engine]}`,
        ...(engine === "local" ? {} : { target: LATENCY }),
        measured: median(times),
        figures: `p95 ${(sorted[Math.floor(sorted.length * 0.95)] ?? 0).toFixed(1)} ms`,
      });
    }
    return rows;
  },
};
