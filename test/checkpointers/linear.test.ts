/** P7 in bytes: what a thread takes on disk grows with what changed, whatever kind of channel. */

import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { HumanMessage } from "@langchain/core/messages";
import { SqliteSaver } from "holdfast/sqlite";
import { describe, expect, it, onTestFinished } from "vitest";

/** Text of this length that looks like no other. */
function text(seed: number, length: number): string {
  let state = seed + 1;
  let made = "";
  while (made.length < length) {
    state = (state * 48_271) % 2_147_483_647;
    made += state.toString(36);
  }
  return made.slice(0, length);
}

const file = (i: number, length = 1_000): string => text(i, length);

interface Workload {
  /** The state after so many turns. */
  at(turn: number): unknown;
  /** New content per turn, in bytes. */
  added: number;
  /** What is there from the beginning. */
  base?: number;
}

const WORKLOADS: [name: string, Workload][] = [
  ["a list that grows by small objects", { added: 60, at: (n) => list(n, small) }],
  ["a list that grows by large objects", { added: 1_000, at: (n) => list(n, large) }],
  ["a list that grows by messages", { added: 1_000, at: (n) => list(n, message) }],
  ["a list that grows at its front", { added: 1_000, at: (n) => list(n, large).toReversed() }],
  ["a list in the middle of a map", { added: 1_000, at: (n) => ({ a: { l: list(n, large) } }) }],
  ["a window over a list of small objects", { added: 60, at: (n) => list(n, small).slice(-100) }],
  ["a window over a list of large objects", { added: 1_000, at: (n) => list(n, large).slice(-50) }],
  ["a text that grows", { added: 300, at: (n) => list(n, (i) => text(i, 300)).join("") }],
  ["a text in a map that grows", { added: 300, at: (n) => ({ draft: grown(n), done: n }) }],
  ["a map that grows by files", { added: 1_000, at: (n) => entries(n, (i) => file(i)) }],
  [
    "a map of files, one of which changes",
    {
      added: 1_000,
      base: 100_000,
      at: (n) => ({ ...entries(100, (i) => file(i)), f7: file(n + 1_000) }),
    },
  ],
  [
    "a map of files, one of which grows",
    { added: 300, base: 100_000, at: (n) => ({ ...entries(100, (i) => file(i)), f7: grown(n) }) },
  ],
  [
    "a large list, one element of which changes in place",
    { added: 60, base: 12_000, at: (n) => list(200, small).with(n % 200, small(n + 1_000)) },
  ],
];

const small = (i: number): object => ({ id: i, text: text(i, 40) });
const large = (i: number): object => ({ id: i, text: text(i, 1_000) });
const message = (i: number): object => new HumanMessage({ content: text(i, 1_000), id: `m${i}` });
const grown = (n: number): string => list(n, (i) => text(i, 300)).join("");

function list<T>(length: number, make: (i: number) => T): T[] {
  return Array.from({ length }, (_, i) => make(i));
}

function entries<T>(length: number, make: (i: number) => T): Record<string, T> {
  return Object.fromEntries(list(length, (i) => [`f${i}`, make(i)]));
}

/** Bytes of the rows of a thread after so many turns of a graph whose node writes the whole value. */
async function stored({ at }: Workload, turns: number): Promise<number> {
  const saver = SqliteSaver.fromConnString(":memory:");
  onTestFinished(() => saver.end());
  const State = Annotation.Root({ value: Annotation<unknown>(), turn: Annotation<number>() });
  const graph = new StateGraph(State)
    .addNode("work", ({ turn }) => ({ value: at(turn) }))
    .addEdge(START, "work")
    .addEdge("work", END)
    .compile({ checkpointer: saver });
  const config = { configurable: { thread_id: "t" }, durability: "sync" } as const;
  for (let turn = 1; turn <= turns; turn += 1) await graph.invoke({ turn }, config);
  const count = (table: string): number =>
    (
      saver.db.prepare(`SELECT sum(length(data)) AS n FROM holdfast_${table}`).get() as {
        n: number;
      }
    ).n;
  const values = await graph.getState(config);
  expect(values.values.value).toEqual(at(turns));
  return count("channel_versions") + count("payloads") + count("pending_writes");
}

const TURNS = 100;

/** Trigger channels and the like, for each turn. */
const OVERHEAD = 700;

describe("what is stored of", () => {
  it.each(WORKLOADS)("%s is linear in what is new", async (_, workload) => {
    const bytes = await stored(workload, TURNS);
    const content = (workload.base ?? 0) + TURNS * workload.added;
    expect(bytes / (content + TURNS * OVERHEAD)).toBeLessThan(4);
    const twice = await stored(workload, 2 * TURNS);
    expect(twice / bytes).toBeLessThan(2.4);
  });
});
