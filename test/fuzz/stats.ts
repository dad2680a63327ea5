/** What cases exercise, counted from what really happened: a generator can be busy and do nothing. */

import { allGraphs, changesInPlace, usesDelta, type Case } from "./case.ts";
import type { Json } from "./dump.ts";

export const FEATURES = [
  "forks",
  "concurrent forks",
  "interrupts",
  "sends",
  "subgraphs",
  "nested subgraphs",
  "failures",
  "delta",
  "in place",
  "messages",
  "large strings",
  "updates",
  "reopened",
] as const;

export type Feature = (typeof FEATURES)[number];

export interface Features {
  has: ReadonlySet<Feature>;
  checkpoints: number;
  operations: number;
}

/** @param dump what the oracle holds after the case */
export function countFeatures(value: Case, dump: Json): Features {
  const has = new Set<Feature>();
  let checkpoints = 0;
  for (const [key, thread] of Object.entries(dump)) {
    if (!key.startsWith("thread ")) continue;
    const { checkpoints: labels, ...states } = thread as Json & { checkpoints: string[] };
    checkpoints += labels.length;
    const text = JSON.stringify(states);
    if (hasFork(states)) has.add("forks");
    if (labels.some((label) => label.startsWith("<") && /^<\d+b\./.test(label)))
      has.add("concurrent forks");
    if (/"interrupts":\[\{/.test(text)) has.add("interrupts");
    if (text.includes('"__pregel_push"')) has.add("sends");
    if (labels.some((label) => !label.startsWith("<"))) has.add("subgraphs");
    if (labels.some((label) => label.includes("|n"))) has.add("nested subgraphs");
    if (text.includes("planned failure of")) has.add("failures");
    if (/"~":"(human|ai|tool|system)"/.test(text)) has.add("messages");
    if (/"(?:[^"\\]|\\.){2048}/.test(text)) has.add("large strings");
  }
  if (usesDelta(value.graph)) has.add("delta");
  if (changesInPlace(value.graph)) has.add("in place");
  if (value.ops.some(({ do: kind }) => kind === "reopen")) has.add("reopened");
  const updated = value.ops.some(
    ({ do: kind }, i) => kind.endsWith("pdate") && dump[`operation ${i} (${kind})`] === "updated",
  );
  if (updated) has.add("updates");
  return { has, checkpoints, operations: value.ops.length };
}

/** True if two checkpoints of one namespace have the same parent. */
function hasFork(thread: Json): boolean {
  return Object.entries(thread).some(([key, states]) => {
    if (!key.startsWith("states of ")) return false;
    const parents = Object.values(states as Record<string, { parent: string | null }>)
      .map(({ parent }) => parent)
      .filter((parent) => parent !== null);
    return new Set(parents).size < parents.length;
  });
}

/** Sums over many cases. */
export class Totals {
  cases = 0;
  checkpoints = 0;
  operations = 0;
  readonly #counts = new Map<Feature, number>();

  add({ has, checkpoints, operations }: Features): void {
    this.cases += 1;
    this.checkpoints += checkpoints;
    this.operations += operations;
    for (const feature of has) this.#counts.set(feature, (this.#counts.get(feature) ?? 0) + 1);
  }

  share(feature: Feature): number {
    return this.cases === 0 ? 0 : (this.#counts.get(feature) ?? 0) / this.cases;
  }

  toString(): string {
    const shares = FEATURES.map(
      (feature) => `${feature} ${Math.round(this.share(feature) * 100)} %`,
    );
    const mean = (sum: number): string => (sum / Math.max(1, this.cases)).toFixed(1);
    return (
      `${this.cases} cases, ${mean(this.operations)} operations and ${mean(this.checkpoints)} checkpoints each; ` +
      `with ${shares.join(", ")}`
    );
  }
}

/** Graphs in a case, for the log. */
export function describeCase(value: Case): string {
  const graphs = allGraphs(value.graph);
  return `${graphs.length} graphs, ${graphs.reduce((n, g) => n + g.nodes.length, 0)} nodes, ${value.ops.length} operations`;
}
