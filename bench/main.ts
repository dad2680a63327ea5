/**
 * `npm run bench`: measures every claim against the official savers and LangGraph's floor, in the
 * same run on the same machine, prints the table and writes it to bench/results.md.
 */

import { rmSync } from "node:fs";
import { chmod, mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { durable } from "./durable.ts";
import { effects } from "./effects.ts";
import { files } from "./files.ts";
import { fleet } from "./fleet.ts";
import { growth } from "./growth.ts";
import { handover } from "./handover.ts";
import { history } from "./history.ts";
import { memory } from "./memory.ts";
import { model } from "./model.ts";
import { runtime } from "./runtime.ts";
import { state } from "./state.ts";
import { storage } from "./storage.ts";
import { meets } from "./support/claim.ts";
import type { Claim, Row } from "./support/claim.ts";
import { Lab } from "./support/lab.ts";
import { describeMachine } from "./support/machine.ts";
import type { Dialect } from "./support/place.ts";
import { startPostgres } from "./support/postgres.ts";
import { say } from "./support/progress.ts";
import { markdown } from "./support/report.ts";
import { throughput } from "./throughput.ts";
import { turn } from "./turn.ts";

const CLAIMS: readonly Claim[] = [
  storage,
  turn,
  state,
  history,
  throughput,
  growth,
  files,
  memory,
  durable,
  effects,
  model,
  runtime,
  handover,
  fleet,
];
const DIALECTS: readonly Dialect[] = ["sqlite", "postgres"];

const USAGE = `npm run bench -- [options]
  --only NAMES      claims, by comma: ${CLAIMS.map((claim) => claim.name).join(", ")}
  --dialect NAMES   by comma: ${DIALECTS.join(", ")}
  --turns N         turns of the chat thread (400, an even number)
  --quick           100 turns and 50 file steps: a first impression; the targets are for 400
  --no-official     leave the official savers out, which take most of the time
  --profile DIR     write a CPU profile of every process that measures holdfast
  --out FILE        where the table goes (bench/results.md; a partial run is only printed)`;

const { values: options } = parseArgs({
  allowNegative: true,
  options: {
    only: { type: "string" },
    dialect: { type: "string" },
    turns: { type: "string" },
    quick: { type: "boolean", default: false },
    official: { type: "boolean", default: true },
    profile: { type: "string" },
    out: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (options.help) {
  process.stdout.write(`${USAGE}\n`);
  process.exit(0);
}

const claims = chosen(options.only, CLAIMS, (claim) => claim.name);
const dialects = chosen(options.dialect, DIALECTS, (dialect) => dialect);
const turns = Number(options.turns ?? (options.quick ? 100 : 400));
if (!Number.isInteger(turns) || turns < 40 || turns % 2 !== 0) {
  throw new Error("--turns must be an even number of at least 40.");
}
const fileSteps = options.quick ? 50 : 200;
const whole =
  claims.length === CLAIMS.length &&
  dialects.length === DIALECTS.length &&
  options.official &&
  turns === 400 &&
  fileSteps === 200;
const out = options.out ?? (whole ? fileURLToPath(new URL("results.md", import.meta.url)) : null);
const profileDir = options.profile === undefined ? undefined : resolve(options.profile);
if (profileDir !== undefined) await mkdir(profileDir, { recursive: true });

const start = performance.now();
const folder = await mkdtemp(join(tmpdir(), "holdfast-bench-"));
// The server of a run as root is another user, who must be able to reach its folder.
await chmod(folder, 0o755);
// A gigabyte of databases must not stay behind, after an interrupt neither.
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const postgres = dialects.includes("postgres") ? await startPostgres(folder) : undefined;
const rows: Record<Dialect, Row[]> = { sqlite: [], postgres: [] };
const failures: string[] = [];
let machine: string[];
try {
  machine = await describeMachine(dialects, folder, postgres?.url);
  const lab = new Lab({
    turns,
    fileSteps,
    folder,
    postgresUrl: postgres?.url,
    official: options.official,
    profileDir,
  });
  for (const claim of claims) {
    for (const dialect of dialects) {
      say(`${claim.name}, ${dialect}`);
      try {
        rows[dialect].push(...(await claim.run(lab, dialect)));
      } catch (error) {
        // One claim that cannot be measured must not cost the minutes spent on the others.
        const reason = error instanceof Error ? error.message : String(error);
        failures.push(`${claim.name}, ${dialect}: ${reason}`);
        say(`  FAILED: ${reason}`);
      }
    }
  }
} finally {
  await postgres?.stop();
}

const minutes = ((performance.now() - start) / 60_000).toFixed(1);
const heading = [
  `Measured ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC in ${minutes} minutes by ` +
    `\`npm run bench${process.argv.length > 2 ? ` -- ${process.argv.slice(2).join(" ")}` : ""}\`.`,
  "",
  "A chat thread: each turn is one human and one AI message of 1,000 random characters, durability " +
    `"sync", ${turns} turns. *Official* is LangGraph's own saver for the same database under the same ` +
    "settings, in the same run. The *floor* is a saver that only keeps references in memory: what is " +
    "left is LangGraph itself. *Cold* is the one call that a new process makes, opening the database " +
    "included.",
];
if (turns !== 400 || fileSteps !== 200) {
  heading.push("", "This was a shortened run; the targets are for 400 turns and 200 file steps.");
}
const report = markdown({ heading, machine, rows, failures });
process.stdout.write(`${report}\n`);
if (out !== null) await writeFile(out, report);

const short = [...rows.sqlite, ...rows.postgres].filter(
  ({ target, measured }) => target !== undefined && !meets(target, measured),
);
say(`${short.length} short of their target, ${failures.length} not measured.`);
if (failures.length > 0) process.exitCode = 1;

function chosen<T>(names: string | undefined, all: readonly T[], nameOf: (item: T) => string): T[] {
  if (names === undefined) return [...all];
  return names.split(",").map((name) => {
    const found = all.find((item) => nameOf(item) === name.trim());
    if (found === undefined) throw new Error(`No "${name}" here.\n${USAGE}`);
    return found;
  });
}
