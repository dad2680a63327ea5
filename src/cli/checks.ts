/** What `holdfast doctor` looks at. */

import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { fail, ok, warn, type Check } from "./check.ts";
import type { Cli } from "./cli.ts";
import { databaseExists } from "./database.ts";
import { describeDatabase } from "./database-url.ts";
import { describeError } from "./exit.ts";
import { loadGraph } from "./graph.ts";
import { inspect } from "./inspect.ts";
import { OFFICIAL_PACKAGES } from "./official.ts";
import { ownManifest } from "./version.ts";

/** The oldest Node that has what we use is checked before anything else is loaded: see bin.ts. */
export async function* checkNode(): AsyncGenerator<Check> {
  yield ok("node", process.versions.node);
}

/** The packages that savers and graphs share, as holdfast and as the project's graphs find them. */
export async function* checkPackages(cli: Cli): AsyncGenerator<Check> {
  const { version, peerDependencies, peerDependenciesMeta } = ownManifest();
  yield ok("holdfast", version);
  const { folder } = await cli.project();
  const here = dirname(fileURLToPath(import.meta.url));
  for (const [name, range] of Object.entries(peerDependencies)) {
    const optional = peerDependenciesMeta[name]?.optional === true;
    const ours = await findPackage(name, here);
    const theirs = await findPackage(name, folder);
    const found = ours ?? theirs;
    if (found === undefined) {
      yield optional
        ? ok(name, "not installed (optional)")
        : fail(name, `not installed: npm install ${name}`);
    } else if (!isWithin(found.version, range)) {
      yield warn(name, `${found.version}, tested with ${range}`);
    } else if (ours !== undefined && theirs !== undefined && ours.version !== theirs.version) {
      yield warn(name, `${ours.version} here, but ${theirs.version} in the project: npm dedupe`);
    } else yield ok(name, found.version);
  }
}

/** Reads `node_modules` upward, as Node does, since a package may not export its package.json. */
async function findPackage(name: string, from: string): Promise<{ version: string } | undefined> {
  for (let folder = from; ; folder = dirname(folder)) {
    const file = join(folder, "node_modules", name, "package.json");
    const text = await readFile(file, "utf8").catch(() => undefined);
    if (text !== undefined) return JSON.parse(text) as { version: string };
    if (dirname(folder) === folder) return undefined;
  }
}

/** For ranges as ours are: `^1.2.3` with a major version above 0. */
function isWithin(version: string, range: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).map(Number);
  const [atMajor = 0, atMinor = 0, atPatch = 0] = range.replace("^", "").split(".").map(Number);
  if (major !== atMajor) return false;
  return minor > atMinor || (minor === atMinor && patch >= atPatch);
}

export async function* checkDatabase(cli: Cli): AsyncGenerator<Check> {
  const { database } = await cli.database();
  const where = describeDatabase(database);
  if (!(await databaseExists(database))) {
    yield warn("database", `${where} does not exist yet; the first run makes it`);
    return;
  }
  try {
    const { version, newest, official, settings } = await inspect(database);
    yield ok("database", where);
    for (const [name, value] of Object.entries(settings)) {
      yield name === "journal_mode" && value !== "wal" && version > 0
        ? warn(name, `${value}; expected wal`)
        : ok(name, value);
    }
    yield checkSchema(version, newest);
    if (official) {
      yield warn(
        "official tables",
        `threads of ${OFFICIAL_PACKAGES[database.kind]} are here too: holdfast import --from brings them over`,
      );
    }
  } catch (error) {
    yield fail("database", `${where}: ${describeError(error)}`);
  }
}

function checkSchema(version: number, newest: number): Check {
  if (version === 0) return warn("schema", "no tables of holdfast yet; the first run makes them");
  if (version > newest) return fail("schema", `version ${version}; this holdfast knows ${newest}`);
  if (version < newest) return warn("schema", `version ${version} of ${newest}: holdfast migrate`);
  return ok("schema", `version ${version}`);
}

export async function* checkGraphs(cli: Cli): AsyncGenerator<Check> {
  const project = await cli.project();
  if (project.file === undefined) {
    yield warn("langgraph.json", "none here or above; --graph path:export works without");
    return;
  }
  yield ok("langgraph.json", project.file);
  for (const name of project.graphs.keys()) {
    try {
      const graph = await loadGraph(await cli.findGraph(name), {});
      const nodes = Object.keys(graph.nodes).filter((node) => node !== "__start__");
      yield ok(`graph ${name}`, nodes.join(", "));
    } catch (error) {
      yield fail(`graph ${name}`, describeError(error));
    }
  }
}
