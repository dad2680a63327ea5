/**
 * Which cases have one right answer.
 *
 * Delta channels are compared with the same graph on plain reducers. LangGraph 1.4 itself departs from
 * that in places that no saver can mend: a subgraph's delta channels read as empty through `getState`,
 * updates of subgraph states are lost, "exit" durability writes steps under made-up task ids, and what
 * two runs on one checkpoint do to each other depends on timing. There, delta cases are left out.
 */

import { isDelta, usesDelta, type Case, type GraphSpec } from "./case.ts";

export function isComparable(value: Case): boolean {
  if (!usesDelta(value.graph)) return true;
  if (value.graph.nodes.some(({ inner }) => inner != null && hasDelta(inner))) return false;
  return !/"together"|"subgraph|"exit"|"as":"input"/.test(JSON.stringify(value.ops));
}

function hasDelta(graph: GraphSpec): boolean {
  return (
    graph.channels.some(({ kind }) => isDelta(kind)) ||
    graph.nodes.some(({ inner }) => inner != null && hasDelta(inner))
  );
}
