/** Random cases. The weights make forks, interrupts and failures common: that is where bugs live. */

import fc from "fast-check";
import {
  CHANNEL_KINDS,
  isDelta,
  type At,
  type Case,
  type ChannelKind,
  type ChannelSpec,
  type Durability,
  type Fault,
  type GraphSpec,
  type InvokeOp,
  type NodeSpec,
  type Op,
  type RouteSpec,
  type SubgraphOp,
  type UpdateOp,
} from "./case.ts";

/** What a case is about; in-place changes and delta channels each restrict what can be compared. */
const MODES = ["plain", "inPlace", "delta"] as const;
type Mode = (typeof MODES)[number];

/** How deep subgraphs go below the graph. */
const DEPTH = 2;

const place = fc.nat({ max: 59 });
const seed = fc.nat({ max: 0xffffff });

/** True so often out of a hundred times. */
function chance(percent: number): fc.Arbitrary<boolean> {
  return weighted([100 - percent, fc.constant(false)], [percent, fc.constant(true)]);
}

function sometimes<T>(percent: number, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> {
  return weighted<T | null>([100 - percent, fc.constant(null)], [percent, arbitrary]);
}

/** One of these, simplest first: failing cases shrink towards it. */
function weighted<T>(...choices: [weight: number, arbitrary: fc.Arbitrary<T>][]): fc.Arbitrary<T> {
  return fc.oneof(
    { withCrossShrink: true },
    ...choices.map(([weight, arbitrary]) => ({ weight, arbitrary })),
  );
}

function kindsOf(mode: Mode): ChannelKind[] {
  return CHANNEL_KINDS.filter((kind) => {
    if (isDelta(kind)) return mode === "delta";
    return mode === "inPlace" || !kind.endsWith("InPlace");
  });
}

function channel(mode: Mode): fc.Arbitrary<ChannelSpec> {
  const kinds = fc.constantFrom(...kindsOf(mode));
  const deltas = fc.constantFrom(...CHANNEL_KINDS.filter(isDelta));
  return fc.record({
    kind: mode === "delta" ? weighted([1, kinds], [1, deltas]) : kinds,
    shared: fc.boolean(),
    snapshotFrequency: fc.constantFrom(1_000, 1, 2, 3),
  });
}

const route: fc.Arbitrary<RouteSpec> = weighted<RouteSpec>(
  [3, fc.record({ kind: fc.constant("to"), targets: fc.array(place, { maxLength: 2 }) })],
  [
    3,
    fc.record({
      kind: fc.constant("choose"),
      targets: fc.array(place, { minLength: 1, maxLength: 3 }),
    }),
  ],
  [2, fc.record({ kind: fc.constant("send"), target: place, count: fc.nat({ max: 2 }) })],
  [
    2,
    fc.record({
      kind: fc.constant("command"),
      targets: fc.array(place, { minLength: 1, maxLength: 3 }),
      send: fc.boolean(),
    }),
  ],
);

function node(mode: Mode, depth: number): fc.Arbitrary<NodeSpec> {
  const simple: fc.Arbitrary<NodeSpec["body"]> = fc.constant("function");
  const bodies = fc.constantFrom<NodeSpec["body"]>("subgraph", "call");
  const leaf = {
    writes: fc.array(fc.record({ channel: place, seed }), { minLength: 1, maxLength: 4 }),
    alias: chance(10),
    overwrite: chance(6),
    mutates: mode === "inPlace" ? sometimes(25, place) : fc.constant(null),
    interrupts: weighted([75, fc.constant(0)], [18, fc.constant(1)], [7, fc.constant(2)]),
    defer: chance(5),
    route,
    calls: fc.nat({ max: 1 }),
    persistent: chance(25),
  };
  const plain = fc.record({ ...leaf, body: simple, inner: fc.constant(null) });
  if (depth === 0) return plain;
  return weighted<NodeSpec>(
    [70, plain],
    [30, fc.record({ ...leaf, body: bodies, inner: graph(mode, depth - 1) })],
  );
}

function graph(mode: Mode, depth: number): fc.Arbitrary<GraphSpec> {
  const outermost = depth === DEPTH;
  const stops = weighted<number[]>(
    [80, fc.constant([])],
    [20, fc.array(place, { minLength: 1, maxLength: 1 })],
  );
  return fc.record({
    channels: fc.array(channel(mode), { minLength: 1, maxLength: outermost ? 5 : 2 }),
    nodes: fc.array(node(mode, depth), { minLength: 1, maxLength: outermost ? 5 : 3 }),
    starts: fc.array(place, { maxLength: 1 }),
    join: sometimes(20, fc.record({ from: fc.tuple(place, place), to: place })),
    interruptBefore: stops,
    interruptAfter: stops,
  });
}

const durability = fc.constantFrom<Durability>("sync", "sync", "async", "async", "exit");
const at: fc.Arbitrary<At> = sometimes(50, place);
const thread = fc.nat({ max: 1 });
const fault: fc.Arbitrary<Fault> = fc.record({
  node: place,
  where: weighted<Fault["where"]>([70, fc.constant("node")], [30, fc.constant("route")]),
});

function invokeOp(kind: fc.Arbitrary<InvokeOp["do"]>): fc.Arbitrary<InvokeOp> {
  return fc.record({
    do: kind,
    thread,
    at,
    seed,
    durability,
    fault: sometimes(20, fault),
    byId: fc.boolean(),
    goto: sometimes(60, place),
  });
}

const anyInvoke = invokeOp(
  weighted<InvokeOp["do"]>(
    [3, fc.constant("continue")],
    [3, fc.constant("input")],
    [4, fc.constant("resume")],
    [1, fc.constant("command")],
  ),
);

const update: fc.Arbitrary<UpdateOp> = fc.record({
  do: fc.constant("update"),
  thread,
  at,
  seed,
  as: fc.constantFrom(
    "node",
    "node",
    "node",
    "nobody",
    "nobody",
    "empty",
    "clear",
    "input",
    "copy",
    "copyWithUpdates",
    "several",
  ),
  node: place,
});

const subgraph: fc.Arbitrary<SubgraphOp> = fc.record({
  do: fc.constantFrom("subgraphUpdate", "subgraphTravel"),
  thread,
  at: place,
  seed,
  durability,
});

const together = fc.record({
  do: fc.constant("together" as const),
  ops: fc.tuple(anyInvoke, anyInvoke),
});

const op: fc.Arbitrary<Op> = weighted<Op>(
  [10, anyInvoke],
  [5, update],
  [2, subgraph],
  [2, together],
  [1, fc.constant({ do: "reopen" })],
);

function casesOf(mode: Mode): fc.Arbitrary<Case> {
  const first = invokeOp(fc.constant("input"));
  return fc
    .record({
      graph: graph(mode, DEPTH),
      threads: weighted([4, fc.constant(1)], [1, fc.constant(2)]),
      first,
      rest: fc.array(op, { minLength: 1, maxLength: 9 }),
    })
    .map(({ graph: spec, threads, first: opening, rest }) => ({
      graph: spec,
      threads,
      ops: [{ ...opening, thread: 0, at: null }, ...rest],
    }));
}

export const anyCase: fc.Arbitrary<Case> = weighted(
  [5, casesOf("plain")],
  [2, casesOf("inPlace")],
  [3, casesOf("delta")],
);

/** The case that a seed stands for. */
export function caseOfSeed(value: number): Case {
  const [found] = fc.sample(anyCase, { seed: value, numRuns: 1 });
  if (found === undefined) throw new Error("fast-check gave no case.");
  return found;
}
