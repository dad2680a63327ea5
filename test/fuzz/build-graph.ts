/** From a spec to a compiled LangGraph graph. */

import { Annotation, END, Send, START } from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { changesInPlace } from "./case.ts";
import { canBeShared, type Layout, type NodeLayout } from "./layout.ts";
import { channelOf } from "./channels.ts";
import { looseGraph, type LooseCompiled, type State } from "./loose.ts";
import { callBody, functionBody } from "./node-bodies.ts";
import { taskKey } from "./gate.ts";
import { pick } from "./random.ts";
import type { Recorder } from "./recorder.ts";
import { chooseTargets, sendsTo, routeDigest } from "./routes.ts";

/** What is left of several inputs adds up, and each `Send` may send more: hundreds of tasks at once. */
const MAX_BUDGET = 6;

export interface BuildOptions {
  recorder: Recorder;
  /** Delta channels as plain reducers: for the oracle. */
  deltaAsPlain: boolean;
  /** Whether subgraphs may keep their state; not where two branches could meet in it. */
  persistent: boolean;
}

export function buildGraph(
  layout: Layout,
  saver: BaseCheckpointSaver,
  options: BuildOptions,
): LooseCompiled {
  return build(layout, options, saver);
}

function build(
  layout: Layout,
  options: BuildOptions,
  checkpointer: BaseCheckpointSaver | boolean | undefined,
): LooseCompiled {
  const state = stateOf(layout, options.deltaAsPlain);
  const graph = looseGraph(state);
  const names = layout.nodes.map((node) => node.name);
  const reached = new Set<string>();
  const edge = (from: string, to: string): void => {
    graph.addEdge(from, to);
    reached.add(to);
  };

  for (const node of layout.nodes) {
    const { route, defer } = node.spec;
    const ends =
      route.kind === "command" && node.spec.body === "function" ? [...names, END] : undefined;
    const { action, subgraphs } = actionOf(layout, node, options);
    graph.addNode(node.name, action, {
      ...(ends && { ends }),
      ...(defer && { defer }),
      ...(subgraphs && { subgraphs }),
      ...(node.spec.body === "subgraph" && { input: subgraphInput(layout, state) }),
    });
    if (ends) names.forEach((name) => reached.add(name));
  }
  for (const node of layout.nodes) {
    const { route } = node.spec;
    if (route.kind === "to") {
      for (const target of forward(layout, node, route.targets)) edge(node.name, target);
    } else if (route.kind !== "command" || node.spec.body !== "function") {
      graph.addConditionalEdges(node.name, routeOf(layout, node, options), [...names, END]);
      names.forEach((name) => reached.add(name));
    }
  }
  const { join } = layout.spec;
  if (join && layout.nodes.length > 2) {
    const to = pick(names, join.to);
    const from = [...new Set(join.from.map((i) => pick(names, i)))].filter((name) => name !== to);
    if (from.length === 2) {
      graph.addEdge(from, to);
      reached.add(to);
    }
  }
  for (const start of new Set([0, ...layout.spec.starts].map((i) => pick(names, i))))
    edge(START, start);
  for (const name of names) if (!reached.has(name)) edge(START, name);

  return graph.compile({
    ...(checkpointer !== undefined && { checkpointer }),
    interruptBefore: [...new Set(layout.spec.interruptBefore.map((i) => pick(names, i)))],
    interruptAfter: [...new Set(layout.spec.interruptAfter.map((i) => pick(names, i)))],
  });
}

function stateOf(layout: Layout, deltaAsPlain: boolean): Record<string, unknown> {
  const state: Record<string, unknown> = {
    [layout.budget]: Annotation<number>({
      reducer: (a, b) => Math.min(a + b, MAX_BUDGET),
      default: () => (layout.level === 0 ? 0 : 3),
    }),
    [layout.trail]: Annotation<string[]>({
      reducer: (a, b) => a.concat(b).slice(-60),
      default: () => [],
    }),
  };
  for (const { name, spec } of layout.channels) state[name] = channelOf(spec, deltaAsPlain);
  if (layout.level > 0) {
    state["fan"] = Annotation<string>({ reducer: (first) => first });
  }
  return state;
}

/**
 * What a subgraph is given, and stores. Not what the parent's nodes change in place: how much of
 * that it would get to see depends on how fast the saver is.
 */
function subgraphInput(layout: Layout, state: Record<string, unknown>): Record<string, unknown> {
  if (!changesInPlace(layout.spec)) return state;
  const names = [
    layout.budget,
    layout.trail,
    ...layout.channels.filter(canBeShared).map(({ name }) => name),
  ];
  return Object.fromEntries(names.map((name) => [name, state[name]]));
}

function actionOf(
  layout: Layout,
  node: NodeLayout,
  options: BuildOptions,
): {
  action: Parameters<ReturnType<typeof looseGraph>["addNode"]>[1];
  subgraphs?: LooseCompiled[];
} {
  if (!node.inner) return { action: functionBody(layout, node, options.recorder) };
  const persistent =
    options.persistent &&
    node.spec.persistent &&
    node.spec.body === "subgraph" &&
    layout.level === 0 &&
    !isSendTarget(layout, node);
  const inner = build(node.inner, options, persistent ? true : undefined);
  if (node.spec.body === "subgraph") return { action: inner };
  return { action: callBody(layout, node, inner, options.recorder), subgraphs: [inner] };
}

/** Several tasks of such a node may run at once, and would share a persistent state. */
function isSendTarget(layout: Layout, node: NodeLayout): boolean {
  return layout.nodes.some(({ spec: { route } }) =>
    route.kind === "send"
      ? route.target % layout.nodes.length === node.index
      : route.kind === "command" && route.send,
  );
}

function forward(layout: Layout, node: NodeLayout, targets: readonly number[]): string[] {
  const later = layout.nodes.slice(node.index + 1);
  if (later.length === 0 || targets.length === 0) return [END];
  return [...new Set(targets.map((target) => pick(later, target).name))];
}

function routeOf(layout: Layout, node: NodeLayout, { recorder }: BuildOptions) {
  return async (
    state: State,
    config: Parameters<Recorder["gate"]>[0],
  ): Promise<string | (string | Send)[]> => {
    const digest = routeDigest(layout, node, state);
    const gate = recorder.gate(config);
    const key = taskKey(node.name, state, config, digest);
    await gate.node(() => gate.maybeFail("route", node.number, key));
    const { route } = node.spec;
    if (route.kind === "send")
      return sendsTo(layout, node, route.target, route.count, state, digest);
    return chooseTargets(layout, node, route.targets, state, digest);
  };
}
