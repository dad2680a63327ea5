/** The project: langgraph.json, found upward from the current folder, and its environment. */

import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { parseEnv } from "node:util";
import { InvalidInputError, NotFoundError } from "../errors.ts";
import { describeError } from "./exit.ts";
import type { Io } from "./io.ts";

const FILE = "langgraph.json";

export interface Project {
  /** The folder of langgraph.json; the current one where there is none. */
  folder: string;
  /** Path of langgraph.json, where there is one. */
  file: string | undefined;
  /** `path:export` of each graph, by its name. */
  graphs: ReadonlyMap<string, string>;
  /** Variables from the file or table that `env` names; those already set in the shell win. */
  env: Readonly<Record<string, string>>;
}

/**
 * Reads the project.
 * @param config path of langgraph.json, where the user gave one
 */
export async function readProject(io: Io, config: string | undefined): Promise<Project> {
  const file = config === undefined ? await findUpward(io.cwd) : resolve(io.cwd, config);
  if (file === undefined) return { folder: io.cwd, file, graphs: new Map(), env: {} };
  const folder = dirname(file);
  const content = await readConfig(file);
  return {
    folder,
    file,
    graphs: readGraphs(content["graphs"], file),
    env: await readEnvironment(content["env"], folder, file),
  };
}

async function findUpward(from: string): Promise<string | undefined> {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    const file = join(folder, FILE);
    const found = await readFile(file).then(
      () => true,
      () => false,
    );
    if (found) return file;
    if (dirname(folder) === folder) return undefined;
  }
}

async function readConfig(file: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    throw new NotFoundError(`Cannot read ${file}: ${describeError(cause)}.`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new InvalidInputError(`${file} is not valid JSON: ${describeError(cause)}.`, { cause });
  }
  if (!isTable(value)) throw new InvalidInputError(`${file} must hold a JSON object.`);
  return value;
}

/** A graph is `"path:export"` or, in newer files, `{ "path": "path:export", ... }`. */
function readGraphs(value: unknown, file: string): Map<string, string> {
  const graphs = new Map<string, string>();
  if (value === undefined) return graphs;
  if (!isTable(value)) throw new InvalidInputError(`"graphs" in ${file} must be an object.`);
  for (const [name, entry] of Object.entries(value)) {
    const path = isTable(entry) ? entry["path"] : entry;
    if (typeof path !== "string") {
      throw new InvalidInputError(
        `Graph "${name}" in ${file} must be a text such as "./agent.ts:graph".`,
      );
    }
    graphs.set(name, path);
  }
  return graphs;
}

/** `env` is a file of `KEY=value` lines, a table of values, or a list of names to be set outside. */
async function readEnvironment(
  value: unknown,
  folder: string,
  file: string,
): Promise<Record<string, string>> {
  if (value === undefined || Array.isArray(value)) return {};
  if (isTable(value)) {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, String(item)]));
  }
  if (typeof value !== "string") {
    throw new InvalidInputError(`"env" in ${file} must be a path or an object.`);
  }
  try {
    return parseEnv(await readFile(resolve(folder, value), "utf8")) as Record<string, string>;
  } catch (cause) {
    // A fresh clone has .env.example only: what really needs a variable will say so.
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw new InvalidInputError(
      `Cannot read "${value}", named in ${file}: ${describeError(cause)}.`,
      {
        cause,
      },
    );
  }
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
