/** The names and numbers that a graph spec stands for, at each level of nesting. */

import { isDelta, type ChannelSpec, type GraphSpec, type NodeSpec } from "./case.ts";

export interface Channel {
  name: string;
  spec: ChannelSpec;
  /** Its place among the graph's channels: says which node may write a `last` channel. */
  index: number;
}

export interface NodeLayout {
  name: string;
  index: number;
  /** Its number among all nodes of the case, inner ones included. */
  number: number;
  spec: NodeSpec;
  /** How often it asks a person. */
  interrupts: number;
  inner: Layout | null;
}

export interface Layout {
  level: number;
  spec: GraphSpec;
  /** The graph's own channels, and those it shares with its parent. */
  channels: Channel[];
  nodes: NodeLayout[];
  /** Two channels that each graph has: what is left to do, and who ran. */
  budget: string;
  trail: string;
}

/** What a subgraph may share: values that it and its siblings can write without a conflict. */
export function canBeShared({ spec }: Channel): boolean {
  return (
    spec.shared && spec.kind !== "last" && !spec.kind.endsWith("InPlace") && !isDelta(spec.kind)
  );
}

interface Place {
  level: number;
  prefix: string;
  /** The parent's channels that the graph has, too. */
  shared: Channel[];
  /** Whether its nodes may ask a person. */
  mayAsk: boolean;
}

export function layoutOf(spec: GraphSpec): Layout {
  let numbers = 0;
  const lay = (graph: GraphSpec, { level, prefix, shared, mayAsk }: Place): Layout => {
    const suffix = level === 0 ? "" : `${level}_`;
    const own = graph.channels.map((channel, index): Channel => ({
      name: `c${suffix}${index}`,
      spec: channel,
      index,
    }));
    const channels = [...own, ...shared];
    const below = {
      level: level + 1,
      shared: channels.filter(canBeShared),
      // Of two subgraphs that ask at once within a subgraph, LangGraph keeps the question that came
      // last: chance.
      mayAsk: level === 0 || !mayRunTwoSubgraphs(graph),
    };
    const nodes = graph.nodes.map((node, index): NodeLayout => {
      const number = numbers;
      numbers += 1;
      const name = `${prefix}n${index}`;
      const inner =
        node.inner && node.body !== "function" ? lay(node.inner, { ...below, prefix: name }) : null;
      return { name, index, number, spec: node, interrupts: mayAsk ? node.interrupts : 0, inner };
    });
    return {
      level,
      spec: graph,
      channels,
      nodes,
      budget: `budget${level || ""}`,
      trail: `trail${level || ""}`,
    };
  };
  return lay(spec, { level: 0, prefix: "", shared: [], mayAsk: true });
}

/** Whether two tasks of the graph that are subgraphs may run at once. */
export function mayRunTwoSubgraphs({ nodes }: GraphSpec): boolean {
  const nested = nodes.filter((node) => node.inner !== null && node.body !== "function");
  const sends = nodes.some(({ route }) => route.kind === "send" || "send" in route);
  return nested.length > 1 || (nested.length === 1 && sends);
}

/** All nodes, inner ones included, in the order of their numbers. */
export function allNodes(layout: Layout): NodeLayout[] {
  return layout.nodes.flatMap((node) => [node, ...(node.inner ? allNodes(node.inner) : [])]);
}

/** The graph whose namespace it is; undefined for a node that is none. */
export function innerLayout(layout: Layout, ns: string): Layout | undefined {
  let found: Layout | undefined = layout;
  for (const segment of ns.split("|")) {
    const name = segment.split(":")[0];
    if (/^\d+$/.test(name ?? "")) continue;
    found = found?.nodes.find((node) => node.name === name)?.inner ?? undefined;
  }
  return found;
}
