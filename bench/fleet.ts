/** Claims: durable steps of one process and of several, against LangGraph alone and DBOS; and what waits. */

import { atLeast, atMost } from "./support/claim.ts";
import type { Claim, Row } from "./support/claim.ts";
import type { Lab } from "./support/lab.ts";
import type { Dialect, PostgresPlace } from "./support/place.ts";
import { median } from "./support/stats.ts";

const RUNS = 200;
const AT_ONCE = 40;
const ROUNDS = 2;
/** Processes of each kind, in turn with the others, so that a busy moment hits all alike. */
const PROCESSES = 2;
const WORKERS = [1, 2, 4];
const LEASE = 2_000;
const PARKED = 1_000;

export const fleet: Claim = {
  name: "fleet",
  async run(lab, dialect) {
    return [
      ...(dialect === "postgres" ? await oneProcess(lab) : []),
      ...(await processes(lab, dialect)),
      ...(await takeOver(lab, dialect)),
      ...(await parked(lab, dialect)),
    ];
  },
};

async function oneProcess(lab: Lab): Promise<Row[]> {
  const rates: Record<"runtime" | "plain" | "dbos", number[]> = {
    runtime: [],
    plain: [],
    dbos: [],
  };
  for (let process = 0; process < PROCESSES; process += 1) {
    for (const by of ["runtime", "dbos", ...(lab.official ? (["plain"] as const) : [])] as const) {
      const maker = by === "plain" ? "official" : "holdfast";
      const place = lab.newPlace("postgres", maker) as PostgresPlace;
      const job = { place, by, runs: RUNS, atOnce: AT_ONCE, rounds: ROUNDS };
      rates[by].push(...(await lab.run("tenSteps", job)));
    }
  }
  const ours = median(rates.runtime);
  const against = (name: string, theirs: readonly number[], target: number): Row => ({
    claim: `${AT_ONCE} runs at once of a runtime, 10 steps, steps/s in one process, against ${name}`,
    target: atLeast(target),
    measured: ours / median(theirs),
    figures: `runtime ${ours.toFixed(0)} steps/s, ${name} ${median(theirs).toFixed(0)}`,
  });
  return [
    ...(lab.official ? [against("LangGraph with the official saver", rates.plain, 2)] : []),
    against("DBOS", rates.dbos, 1),
  ];
}

async function processes(lab: Lab, dialect: Dialect): Promise<Row[]> {
  const found: number[] = [];
  for (const workers of WORKERS) {
    const place = lab.newPlace(dialect, "holdfast");
    const job = { place, workers, runs: RUNS, atOnce: AT_ONCE, rounds: ROUNDS };
    found.push(median(await lab.run("fleetRuns", job)));
  }
  const [one = 1, ...more] = found;
  const figures = WORKERS.map((workers, at) => `${workers}: ${found[at]?.toFixed(0)} steps/s`);
  return more.map((rate, at) => ({
    claim: `${WORKERS[at + 1]} worker processes against one, steps/s`,
    measured: rate / one,
    figures: figures.join(", "),
  }));
}

async function takeOver(lab: Lab, dialect: Dialect): Promise<Row[]> {
  const place = lab.newPlace(dialect, "holdfast");
  const { killed, stopped } = await lab.run("takeOvers", { place, leaseDuration: LEASE, times: 4 });
  const row = (what: string, times: readonly number[], target: number): Row => ({
    claim: `another worker has the run of one that ${what}, ms, worst of ${times.length}`,
    target: atMost(target),
    measured: Math.max(...times),
    figures: `median ${median(times).toFixed(0)} ms, with a lease of ${LEASE} ms`,
  });
  return [
    row("was killed, on the same machine", killed, LEASE + 1_000),
    row("stands still", stopped, LEASE + 1_000),
  ];
}

async function parked(lab: Lab, dialect: Dialect): Promise<Row[]> {
  const place = lab.newPlace(dialect, "holdfast");
  const { bytes, cpu, idleCpu } = await lab.run("parkedRuns", { place, runs: PARKED });
  const claim = `${PARKED} parked runs`;
  return [
    { claim: `${claim}, bytes of each`, measured: bytes, figures: "on disk" },
    {
      claim: `${claim}, CPU of a worker beside them, % of a core`,
      measured: cpu,
      figures: `${idleCpu.toFixed(1)} % without them`,
    },
  ];
}
