/**
 * `npm run fuzz [-- --cases 10000] [--seed N] [--path P] [--saver sqlite|postgres|oracle]`
 *
 * Random graphs and scripts on a saver and on the oracle, until one of them tells them apart.
 */

import { parseArgs } from "node:util";
import { usesDelta } from "./case.ts";
import { check, explain } from "./check.ts";
import { KEPT } from "./seeds.ts";
import { runCase } from "./run-case.ts";
import { BENCHES } from "./savers.ts";

const { values } = parseArgs({
  options: {
    cases: { type: "string", default: "10000" },
    seed: { type: "string" },
    path: { type: "string" },
    saver: { type: "string", default: "sqlite" },
    only: { type: "string" },
  },
});
const { saver } = values;
const open = BENCHES[saver];
if (open === undefined) {
  process.stderr.write(`--saver is one of ${Object.keys(BENCHES).join(", ")}\n`);
  process.exit(2);
}
const cases = Number(values.cases);
const seed = values.seed === undefined ? Date.now() % 0x7fffffff : Number(values.seed);
// The oracle cannot judge itself on delta channels: it is wrong about their forks.
const only = saver === "oracle" ? "plain" : values.only;

const bench = await open();
const started = performance.now();
let told = 0;
try {
  process.stderr.write(`fuzz: ${cases} cases on ${saver}, seed ${seed}\n`);
  for (const kept of KEPT) await runCase(kept.case, bench.factory);
  const { totals, failure } = await check(bench.factory, {
    cases,
    seed,
    path: values.path,
    ...(only !== undefined && { only: ({ graph }) => usesDelta(graph) === (only === "delta") }),
    onCase: (so) => {
      if (performance.now() - told < 2_000) return;
      told = performance.now();
      process.stderr.write(`fuzz: ${so.cases}/${cases} cases, ${perSecond(so.cases)}\n`);
    },
  });
  process.stderr.write(`fuzz: ${totals.toString()}; ${perSecond(totals.cases)}\n`);
  if (failure) {
    process.stdout.write(`${explain(failure)}\n`);
    process.exitCode = 1;
  } else {
    process.stderr.write(`fuzz: no difference found\n`);
  }
} finally {
  await bench.end();
}

function perSecond(count: number): string {
  return `${((count * 1_000) / (performance.now() - started)).toFixed(1)} cases/s`;
}
