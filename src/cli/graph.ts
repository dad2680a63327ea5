/** A user's graph as the command line needs it: found by name, loaded, and given our saver. */

import type { RunnableConfig } from "@langchain/core/runnables";
import type { Graph as Drawing } from "@langchain/core/runnables/graph";
import { isAbsolute, relative, resolve, sep } from "node:path";
import { InvalidInputError, NotFoundError } from "../errors.ts";
import type { RunnableGraph } from "../run/graph.ts";
import { describeError } from "./exit.ts";
import { loadModule } from "./load.ts";
import type { Project } from "./project.ts";

/** A graph of the user's, which can be drawn as well as run. */
export interface Graph extends RunnableGraph {
  getSubgraphsAsync(namespace?: string, recurse?: boolean): AsyncGenerator<[string, Graph]>;
  getGraphAsync(config?: { xray?: boolean | number }): Promise<Drawing>;
}

/** Where a graph is: its name as threads remember it, and the export that holds it. */
export interface GraphSource {
  /** A name of langgraph.json, or `path:export` relative to the project. */
  name: string;
  file: string;
  exported: string;
}

const SOURCE_FILE = /\.[cm]?[jt]sx?$/;

/** Finds a graph by its name in langgraph.json, or as `path:export`. */
export function findGraph(project: Project, cwd: string, asked: string | undefined): GraphSource {
  if (asked === undefined) return onlyGraph(project);
  const known = project.graphs.get(asked);
  if (known !== undefined) return { name: asked, ...splitSpec(known, project.folder) };
  const spec = splitSpec(asked, cwd);
  if (!SOURCE_FILE.test(spec.file)) throw unknownGraph(project, asked);
  // Relative to the project, so that the thread finds its graph again from any folder.
  const path = relative(project.folder, spec.file).split(sep).join("/");
  const name = isAbsolute(path) || path.startsWith("..") ? spec.file : `./${path}`;
  return { name: `${name}:${spec.exported}`, ...spec };
}

function onlyGraph(project: Project): GraphSource {
  const [only, ...others] = [...project.graphs.keys()];
  if (only !== undefined && others.length === 0) {
    return { name: only, ...splitSpec(project.graphs.get(only) ?? "", project.folder) };
  }
  throw new InvalidInputError(
    only === undefined
      ? "Which graph? There is no langgraph.json with graphs here; give --graph path:export, such as ./agent.ts:graph."
      : `Which graph? ${project.file} has ${listNames(project)}.`,
  );
}

function unknownGraph(project: Project, asked: string): NotFoundError {
  const known =
    project.file === undefined
      ? "There is no langgraph.json here; give path:export, such as ./agent.ts:graph."
      : `${project.file} has ${listNames(project)}.`;
  return new NotFoundError(`There is no graph "${asked}". ${known}`);
}

function listNames(project: Project): string {
  return [...project.graphs.keys()].join(", ") || "no graphs";
}

/** The last colon splits, as a Windows path has one of its own. */
function splitSpec(spec: string, folder: string): { file: string; exported: string } {
  const at = spec.lastIndexOf(":");
  const hasExport = at > 1 && !/[\\/]/.test(spec.slice(at));
  const path = hasExport ? spec.slice(0, at) : spec;
  return { file: resolve(folder, path), exported: hasExport ? spec.slice(at + 1) : "default" };
}

/**
 * Loads a graph: compiled, a builder to compile, or a function that returns either.
 * @param config what a function is called with
 */
export async function loadGraph(source: GraphSource, config: RunnableConfig): Promise<Graph> {
  const label = `Graph "${source.name}"`;
  let module: Record<string, unknown>;
  try {
    module = await loadModule(source.file);
  } catch (cause) {
    throw wrap(cause, `${label} could not be loaded`);
  }
  const exported = pick(module, source.exported);
  if (exported === undefined) {
    const names = Object.keys(module).join(", ") || "nothing";
    throw new NotFoundError(
      `${label}: ${source.file} has no export "${source.exported}"; it exports ${names}.`,
    );
  }
  try {
    return compile(await valueOf(exported, config), label);
  } catch (cause) {
    throw wrap(cause, `${label} could not be built`);
  }
}

/** Our own errors already say what is wrong. */
function wrap(cause: unknown, what: string): unknown {
  if (cause instanceof NotFoundError || cause instanceof InvalidInputError) return cause;
  return new Error(`${what}: ${describeError(cause)}`, { cause });
}

/** Also looks into the default export: there a CommonJS module has its own exports. */
function pick(module: Record<string, unknown>, name: string): unknown {
  if (name in module) return module[name];
  const inner = module["default"];
  return typeof inner === "object" && inner !== null
    ? (inner as Record<string, unknown>)[name]
    : undefined;
}

/** What a function makes, or a promise comes to; anything else is itself. */
async function valueOf(exported: unknown, config: RunnableConfig): Promise<unknown> {
  if (typeof exported !== "function") return exported;
  return (exported as (config: RunnableConfig) => unknown)(config);
}

function compile(value: unknown, label: string): Graph {
  if (isCompiled(value)) return value;
  if (typeof value === "object" && value !== null) {
    // LangChain's agents keep their graph inside.
    if ("graph" in value && isCompiled(value.graph)) return value.graph;
    if ("compile" in value && typeof value.compile === "function") {
      const compiled: unknown = (value as { compile(): unknown }).compile();
      if (isCompiled(compiled)) return compiled;
    }
  }
  throw new InvalidInputError(
    `${label}: the export is not a graph but ${value === null ? "null" : typeof value}; ` +
      "expected a StateGraph, a compiled graph, or a function that returns one.",
  );
}

/** Its input is a state; that of a function made with `entrypoint()` may be anything. */
export function isStateGraph(graph: Graph): boolean {
  return "builder" in graph;
}

function isCompiled(value: unknown): value is Graph {
  return (
    typeof value === "object" &&
    value !== null &&
    "lg_is_pregel" in value &&
    value.lg_is_pregel === true
  );
}
