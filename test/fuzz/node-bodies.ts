/** What nodes do: deterministic functions of the state they see. */

import { Command, interrupt, Overwrite } from "@langchain/langgraph";
import type { RunnableConfig } from "@langchain/core/runnables";
import type { BaseMessage } from "@langchain/core/messages";
import { canonical } from "./canonical.ts";
import { isDelta } from "./case.ts";
import { unordered, type Items } from "./channels.ts";
import type { Channel, Layout, NodeLayout } from "./layout.ts";
import type { LooseCompiled, State } from "./loose.ts";
import { taskKey } from "./gate.ts";
import { hash, pick } from "./random.ts";
import type { Recorder } from "./recorder.ts";
import { chooseTargets, routeDigest, sendsTo } from "./routes.ts";
import { valueFor, type Writer } from "./values.ts";

type Body = (state: State, config: RunnableConfig) => Promise<unknown>;

export function functionBody(layout: Layout, node: NodeLayout, recorder: Recorder): Body {
  return (state, config) => {
    const gate = recorder.gate(config);
    return gate.node(async () => {
      const digest = digestOf(layout, node, state);
      if (node.spec.mutates !== null && state["sent"] !== true)
        changeInPlace(pick(layout.channels, node.spec.mutates), state, digest);
      await gate.maybeFail("node", node.number, taskKey(node.name, state, config, digest));
      const answers = ask(node, digest);
      const update = updateOf(layout, node, state, digest, answers);
      return node.spec.route.kind === "command" ? commandOf(layout, node, state, update) : update;
    });
  };
}

/** A node that invokes a subgraph as a function would, with an input of its own making. */
export function callBody(
  layout: Layout,
  node: NodeLayout,
  inner: LooseCompiled,
  recorder: Recorder,
): Body {
  return (state, config) => {
    const gate = recorder.gate(config);
    return gate.node(async () => {
      const digest = digestOf(layout, node, state);
      const results: string[] = [];
      for (let call = 0; call <= node.spec.calls % 2; call += 1) {
        const input: State = { fan: `${String(state["fan"] ?? "")}${node.name}.${call}` };
        for (const { name, spec } of layout.channels) {
          if (spec.shared && spec.kind === "append" && state[name] !== undefined)
            input[name] = state[name];
        }
        const output = (await gate.inner(() => inner.invoke(input, config))) as State | undefined;
        results.push(
          `${call}=${hash(JSON.stringify(canonical(output?.[`trail${layout.level + 1}`] ?? null)))}`,
        );
      }
      await gate.maybeFail("node", node.number, taskKey(node.name, state, config, digest));
      return updateOf(layout, node, state, digest, results);
    });
  };
}

function ask(node: NodeLayout, digest: number): string[] {
  return Array.from({ length: node.interrupts }, (_, i) => {
    const answer: unknown = interrupt({ ask: node.name, question: i, of: digest % 1_000 });
    return `answer${i}=${JSON.stringify(answer)}`;
  });
}

function commandOf(layout: Layout, node: NodeLayout, state: State, update: State): Command {
  const { route } = node.spec;
  if (route.kind !== "command") throw new Error("Not a node that returns commands.");
  const digest = routeDigest(layout, node, state);
  const goto = route.send
    ? sendsTo(layout, node, route.targets[0] ?? 0, route.targets.length, state, digest)
    : [chooseTargets(layout, node, route.targets, state, digest)];
  return new Command({ update, goto });
}

/** What the node writes. */
export function updateOf(
  layout: Layout,
  node: NodeLayout,
  state: State,
  digest: number,
  notes: readonly string[],
): State {
  const fan = String(state["fan"] ?? "");
  const sent = state["sent"] === true;
  const update: State = {
    [layout.budget]: -1,
    [layout.trail]: [`${node.name}${fan && "@"}${fan}:${digest % 1_000}`, ...notes],
  };
  const writer = writerOf(layout, node, fan, sent);
  const shared: Items = [{ aliased: node.name, digest: digest % 1_000, list: [1, { two: 2 }] }];
  for (const { channel, seed } of node.spec.writes) {
    const target = pick(layout.channels, channel);
    const { kind } = target.spec;
    // Two writers of one superstep are an error for a channel without a reducer.
    if (
      (kind === "last" || node.spec.overwrite) &&
      (sent || target.index % layout.nodes.length !== node.index)
    )
      continue;
    // Done at a time that depends on the saver, since a subgraph ran: not beside others in place.
    if (node.inner && kind.endsWith("InPlace")) continue;
    const value =
      node.spec.alias && (kind === "append" || kind === "appendInPlace")
        ? shared
        : valueFor(kind, hash(seed, digest), state[target.name], writer);
    const wrap = node.spec.overwrite && kind !== "last" && !kind.toLowerCase().includes("messages");
    update[target.name] = wrap ? new Overwrite(value) : value;
  }
  return update;
}

function writerOf(layout: Layout, node: NodeLayout, fan: string, sent: boolean): Writer {
  return {
    name: `${node.name}${fan && "@"}${fan}`,
    owns: (id) => !sent && hash(id) % layout.nodes.length === node.index,
  };
}

/** A number that depends on all that the node sees. */
function digestOf(layout: Layout, node: NodeLayout, state: State): number {
  const delta = new Set(
    layout.channels.filter(({ spec }) => isDelta(spec.kind)).map(({ name }) => name),
  );
  const view = Object.entries(state).map(([key, value]) => [
    key,
    canonical(delta.has(key) ? unordered(value) : value),
  ]);
  return hash(node.name, JSON.stringify(view));
}

/** Changes a value that the node only read, as careless nodes do. */
function changeInPlace({ name, spec }: Channel, state: State, digest: number): void {
  if (spec.shared || isDelta(spec.kind)) return;
  const value = state[name];
  if (spec.kind === "messages") {
    const last = (value as BaseMessage[] | undefined)?.at(-1);
    if (last) last.content = `changed in place ${digest % 100}`;
  } else if (Array.isArray(value)) {
    const last: unknown = value.at(-1);
    if (typeof last === "object" && last !== null && !Array.isArray(last))
      Object.assign(last, { inPlace: digest % 100 });
    else value.push({ pushed: digest % 100 });
  } else if (typeof value === "object" && value !== null) {
    const [inner] = Object.values(value as State).filter(
      (item) => typeof item === "object" && item !== null,
    );
    if (Array.isArray(inner)) inner.push(digest % 100);
    else Object.assign(inner ?? value, { inPlace: digest % 100 });
  }
}
