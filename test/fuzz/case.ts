/**
 * A case: one random graph and one random script, as plain JSON.
 *
 * Everything that refers to something (a node, a channel, a checkpoint) is a natural number, taken
 * modulo what there is when it is used. So every value of these types is a valid case, and a case
 * that fast-check shrinks stays one.
 */

export const CHANNEL_KINDS = [
  "last",
  "append",
  "appendInPlace",
  "merge",
  "mergeInPlace",
  "sum",
  "nested",
  "nestedInPlace",
  "messages",
  "text",
  "deltaAppend",
  "deltaMerge",
  "deltaMessages",
] as const;

export type ChannelKind = (typeof CHANNEL_KINDS)[number];

export interface ChannelSpec {
  kind: ChannelKind;
  /** Also a channel of subgraphs, which then read and write the parent's value. */
  shared: boolean;
  /** For delta channels: a snapshot after so many updates. */
  snapshotFrequency: number;
}

/** What follows a node. Targets may lie behind it; such edges are taken while the budget lasts. */
export type RouteSpec =
  | { kind: "to"; targets: number[] }
  | { kind: "choose"; targets: number[] }
  | { kind: "send"; target: number; count: number }
  | { kind: "command"; targets: number[]; send: boolean };

export interface NodeSpec {
  /** A function; a compiled subgraph as the node; a function that invokes a subgraph. */
  body: "function" | "subgraph" | "call";
  writes: { channel: number; seed: number }[];
  /** Writes one object to all of its channels, instead of one each. */
  alias: boolean;
  /** Wraps its writes in `Overwrite`. */
  overwrite: boolean;
  /** Changes a value of the state in place, without writing it. */
  mutates: number | null;
  /** Asks a person so many times. */
  interrupts: number;
  defer: boolean;
  route: RouteSpec;
  inner: GraphSpec | null;
  /** How often a "call" node invokes its subgraph. */
  calls: number;
  /** A subgraph that keeps its state from one visit to the next (`checkpointer: true`). */
  persistent: boolean;
}

export interface GraphSpec {
  channels: ChannelSpec[];
  nodes: NodeSpec[];
  /** Nodes that start first; at least the node 0. */
  starts: number[];
  /** A node that waits for two others. */
  join: { from: [number, number]; to: number } | null;
  interruptBefore: number[];
  interruptAfter: number[];
}

export type Durability = "sync" | "async" | "exit";

/** Something that goes wrong during an invocation: a node, or the edge that leaves it, throws. */
export interface Fault {
  node: number;
  where: "node" | "route";
}

/** Which checkpoint: the head, or one of those that the thread has, counted modulo. */
export type At = number | null;

export interface InvokeOp {
  do: "input" | "continue" | "resume" | "command";
  thread: number;
  at: At;
  seed: number;
  durability: Durability;
  fault: Fault | null;
  /** Answers by interrupt id instead of by a bare value, where both are possible. */
  byId: boolean;
  /** Where a command goes; null for an update alone. */
  goto: number | null;
}

export interface UpdateOp {
  do: "update";
  thread: number;
  at: At;
  seed: number;
  as: "node" | "nobody" | "empty" | "clear" | "input" | "copy" | "copyWithUpdates" | "several";
  node: number;
}

/** Updates, or invokes from, a checkpoint of a subgraph. */
export interface SubgraphOp {
  do: "subgraphUpdate" | "subgraphTravel";
  thread: number;
  at: number;
  seed: number;
  durability: Durability;
}

/** Two invocations at once: of two threads, or of two past checkpoints of one. */
export interface TogetherOp {
  do: "together";
  ops: [InvokeOp, InvokeOp];
}

/** Closes the database and opens it again. */
export interface ReopenOp {
  do: "reopen";
}

export type Op = InvokeOp | UpdateOp | SubgraphOp | TogetherOp | ReopenOp;

export interface Case {
  graph: GraphSpec;
  threads: number;
  ops: Op[];
}

export function isDelta(kind: ChannelKind): boolean {
  return kind.startsWith("delta");
}

/** All graph specs of a case: the graph, its subgraphs, and theirs. */
export function allGraphs(graph: GraphSpec): GraphSpec[] {
  return [graph, ...graph.nodes.flatMap((node) => (node.inner ? allGraphs(node.inner) : []))];
}

export function usesDelta(graph: GraphSpec): boolean {
  return allGraphs(graph).some((g) => g.channels.some((channel) => isDelta(channel.kind)));
}

/**
 * True for graphs that change values in place. Under "async" durability LangGraph itself may store
 * a checkpoint after the next node changed it, so that no oracle can say what is right; such
 * graphs run with "sync" instead.
 */
export function changesInPlace(graph: GraphSpec): boolean {
  return allGraphs(graph).some(
    (g) =>
      g.channels.some((channel) => channel.kind.endsWith("InPlace")) ||
      g.nodes.some((node) => node.mutates !== null),
  );
}
