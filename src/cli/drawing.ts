/** A graph as lines of text: every node once, in the order a run reaches them, with where it leads. */

import type { Graph as Drawing } from "@langchain/core/runnables/graph";
import type { Graph } from "./graph.ts";
import { harmless, widthOf } from "./text.ts";
import type { Palette } from "./text.ts";

/** Node ids breadth first from the start; unreachable ones at the end. */
export function inOrder(drawing: Drawing): string[] {
  const all = Object.keys(drawing.nodes);
  const starts = all.filter((id) => !drawing.edges.some((edge) => edge.target === id));
  const order = new Set(starts.length > 0 ? starts : all.slice(0, 1));
  // A Set's iteration goes on over what is added meanwhile.
  for (const id of order) {
    for (const edge of drawing.edges) if (edge.source === id) order.add(edge.target);
  }
  // The end is where everything leads: last, however early something leads there.
  const ordered = [...new Set([...order, ...all])];
  return [...ordered.filter((id) => id !== "__end__"), ...ordered.filter((id) => id === "__end__")];
}

/** `→` always leads there, `⇢` on a condition, `⏸` stands at a gate. */
export function drawingLines(drawing: Drawing, graph: Graph, paint: Palette): string[] {
  const label = (id: string): string => {
    const gated = isGated(graph.interruptBefore, id);
    return `${gated ? "⏸ " : ""}${nameOf(id)}${isGated(graph.interruptAfter, id) ? " ⏸" : ""}`;
  };
  const ids = inOrder(drawing).filter((id) => drawing.edges.some((edge) => edge.source === id));
  const width = Math.max(0, ...ids.map((id) => widthOf(label(id))));
  const lines = ids.map((id) => {
    const name = label(id) + " ".repeat(width - widthOf(label(id)));
    return `${paint.bold(name)}  ${targetsOf(drawing, id)}`;
  });
  const legend = [
    drawing.edges.some((edge) => edge.conditional === true) ? "⇢ on a condition" : "",
    isAnyGated(graph) ? "⏸ waits for approval" : "",
  ].filter((text) => text !== "");
  return legend.length === 0 ? lines : [...lines, "", paint.dim(legend.join("   "))];
}

function targetsOf(drawing: Drawing, id: string): string {
  const edges = drawing.edges.filter((edge) => edge.source === id);
  const name = ({ target, data }: (typeof edges)[number]): string =>
    nameOf(target) + (data === undefined || data === target ? "" : ` (${harmless(data)})`);
  const always = edges.filter((edge) => edge.conditional !== true).map(name);
  const sometimes = edges.filter((edge) => edge.conditional === true).map(name);
  return [
    ...(always.length === 0 ? [] : [`→ ${always.join(", ")}`]),
    ...(sometimes.length === 0 ? [] : [`⇢ ${sometimes.join(" | ")}`]),
  ].join("   ");
}

function nameOf(id: string): string {
  if (id === "__start__") return "START";
  return id === "__end__" ? "END" : harmless(id);
}

function isGated(gates: Graph["interruptBefore"], id: string): boolean {
  if (gates === "*") return id !== "__start__" && id !== "__end__";
  return gates?.includes(id) === true;
}

function isAnyGated({ interruptBefore, interruptAfter }: Graph): boolean {
  return (interruptBefore?.length ?? 0) > 0 || (interruptAfter?.length ?? 0) > 0;
}
