/**
 * Where a node's execution leads. Only the two fixed channels decide, which no task changes in
 * place, so that the decision is the same whichever of two parallel tasks is done first.
 */

import { END, Send } from "@langchain/langgraph";
import { isDelta } from "./case.ts";
import type { Layout, NodeLayout } from "./layout.ts";
import type { State } from "./loose.ts";
import { hash, pick, text } from "./random.ts";

export function routeDigest(layout: Layout, node: NodeLayout, state: State): number {
  return hash(node.name, JSON.stringify([state[layout.budget], state[layout.trail]]));
}

/** One of the targets or the end; nothing that lies behind, once the budget is spent. */
export function chooseTargets(
  layout: Layout,
  node: NodeLayout,
  targets: readonly number[],
  state: State,
  digest: number,
): string {
  const target = pick(
    [...targets.map((t) => t % layout.nodes.length), layout.nodes.length],
    digest,
  );
  return allowed(layout, node, target, state) ? pick(layout.nodes, target).name : END;
}

/** Several tasks of one node, each with an input of its own. */
export function sendsTo(
  layout: Layout,
  node: NodeLayout,
  target: number,
  count: number,
  state: State,
  digest: number,
): (string | Send)[] {
  const index = target % layout.nodes.length;
  if (budgetOf(layout, state) <= 0 || !allowed(layout, node, index, state)) return [END];
  const { name } = pick(layout.nodes, index);
  const most = spends(node) ? 3 : 2;
  return Array.from({ length: 1 + (count % most) }, (_, i) => {
    const fan = `${node.name}.${i}.${digest}`;
    return new Send(name, {
      sent: true,
      fan,
      payload: text(hash(digest, i), i === 0 ? 2_500 : 20),
      ...excerpt(layout, state),
    });
  });
}

function allowed(layout: Layout, node: NodeLayout, target: number, state: State): boolean {
  if (target >= layout.nodes.length) return false;
  return target > node.index || (spends(node) && budgetOf(layout, state) > 0);
}

/** Whether the node takes from its graph's budget; a compiled subgraph writes only what it shares. */
function spends(node: NodeLayout): boolean {
  return node.spec.body !== "subgraph";
}

function budgetOf(layout: Layout, state: State): number {
  return Number(state[layout.budget] ?? 0);
}

/** A copy of one value of the state: `Send` packets often carry some. */
function excerpt(layout: Layout, state: State): State {
  for (const { name, spec } of layout.channels) {
    const plain = spec.kind === "append" || spec.kind === "merge" || spec.kind === "nested";
    if (plain && !isDelta(spec.kind) && state[name] !== undefined) {
      return { [name]: JSON.parse(JSON.stringify(state[name])) as unknown };
    }
  }
  return {};
}
