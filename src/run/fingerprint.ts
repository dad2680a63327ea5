/**
 * Which version of a graph this is: what decides which node runs after which, and under which names its
 * state is kept. The code of its nodes is not part of it; a version that its author gives is.
 */

import { canonicalHash } from "../canonical.ts";
import type { RunnableGraph } from "./graph.ts";

const DIGITS = 16;

/** What LangGraph's compiled graphs show of themselves; a functional graph has no builder. */
interface Compiled {
  channels?: Record<string, object>;
  nodes: Record<string, { triggers?: readonly string[]; subgraphs?: readonly object[] }>;
  builder?: {
    edges?: Iterable<readonly [string, string]>;
    waitingEdges?: Iterable<readonly [readonly string[], string]>;
    branches?: Record<string, Record<string, { ends?: Record<string, string> }>>;
  };
}

/** @returns 16 hex digits */
export function fingerprintOf(graph: RunnableGraph, version?: string): string {
  return canonicalHash({ ...shapeOf(graph), version: version ?? null }, DIGITS);
}

function shapeOf(graph: object): Record<string, unknown> {
  const { nodes, channels = {}, builder = {} } = graph as Compiled;
  return {
    nodes: Object.entries(nodes ?? {})
      .map(([name, { triggers = [], subgraphs = [] }]) => [
        name,
        triggers.toSorted(),
        subgraphs.map(shapeOf),
      ])
      .toSorted(byName),
    channels: Object.entries(channels)
      .map(([name, channel]) => [name, kindOf(channel)])
      .toSorted(byName),
    edges: [...(builder.edges ?? [])].map((edge) => [...edge].join("\n")).toSorted(),
    joins: [...(builder.waitingEdges ?? [])]
      .map(([from, to]) => [...from, to].join("\n"))
      .toSorted(),
    branches: Object.entries(builder.branches ?? {})
      .map(([from, branches]) => [from, Object.values(branches).map(({ ends }) => ends ?? null)])
      .toSorted(byName),
  };
}

function kindOf(channel: object): string {
  const { lc_graph_name: kind } = channel as { lc_graph_name?: unknown };
  return typeof kind === "string" ? kind : channel.constructor.name;
}

function byName([a]: unknown[], [b]: unknown[]): number {
  return String(a) < String(b) ? -1 : 1;
}
