/** A graph as its runtime's workers have it. */

import { InvalidInputError } from "../errors.ts";
import { fingerprintOf } from "../run/fingerprint.ts";
import type { GraphChangePolicy, HostedGraph } from "../run/graph-change.ts";
import { withSaver, type RunnableGraph } from "../run/graph.ts";
import type { DurableSaver } from "../step-store.ts";
import type { GraphOptions } from "./types.ts";

const POLICIES: readonly unknown[] = ["continue", "pin", "refuse"];

/** @throws {InvalidInputError} it is no graph, or compiled with another saver */
export function hosted(
  name: string,
  given: object | GraphOptions,
  saver: DurableSaver,
  onGraphChange: GraphChangePolicy = "continue",
): HostedGraph {
  const isGraph = typeof (given as Partial<RunnableGraph>).getState === "function";
  const {
    graph,
    version,
    onChange = onGraphChange,
  } = (isGraph ? { graph: given } : given) as Omit<GraphOptions, "graph"> & {
    graph?: RunnableGraph;
  };
  if (typeof graph?.getState !== "function") {
    throw new InvalidInputError(
      `"${name}" is not a compiled graph: give the runtime what \`compile()\` returns, or \`{ graph, version?, onChange? }\`.`,
    );
  }
  const { checkpointer } = graph;
  if (typeof checkpointer === "object" && checkpointer !== saver) {
    throw new InvalidInputError(
      `The graph "${name}" was compiled with another saver than the runtime's. Compile it without one, ` +
        "or with the same.",
    );
  }
  const migrates = typeof (onChange as { migrate?: unknown }).migrate === "function";
  if (!migrates && !POLICIES.includes(onChange)) {
    throw new InvalidInputError(
      `What becomes of runs of a changed graph "${name}" is "continue", "pin", "refuse" or { migrate }, not ${JSON.stringify(onChange)}.`,
    );
  }
  return {
    graph: withSaver(graph, saver),
    fingerprint: fingerprintOf(graph, version),
    onChange,
  };
}
