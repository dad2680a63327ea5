/** The graphs that the suites for history and import run: small, and with every shape of step. */

import { setTimeout } from "node:timers/promises";
import {
  Annotation,
  END,
  START,
  Send,
  StateGraph,
  StateSchema,
  DeltaValue,
  interrupt,
} from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { z } from "zod";

export type Saver = BaseCheckpointSaver;

const list = Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] });

const Research = Annotation.Root({
  topic: Annotation<string>(),
  found: list,
  outline: Annotation<string>(),
});

/** plan -> search, search (Send) -> ask (interrupt) -> a, b -> join; b fails once a is done. */
export function researchGraph(saver: Saver, log: string[] = [], { isDown = false } = {}) {
  return new StateGraph(Research)
    .addNode("plan", ({ topic }) => {
      log.push("plan");
      return { outline: `on ${topic}` };
    })
    .addNode("search", ({ query }: { query?: string }) => {
      log.push("search");
      return { found: [`found ${query}`] };
    })
    .addNode("ask", ({ outline }) => {
      log.push("ask");
      return { found: [`told ${interrupt(`is "${outline}" right?`)}`] };
    })
    .addNode("a", () => {
      log.push("a");
      return { found: ["a"] };
    })
    .addNode("b", async () => {
      log.push("b");
      if (isDown) {
        await setTimeout(20);
        throw new Error("down");
      }
      return { found: ["b"] };
    })
    .addNode("join", () => {
      log.push("join");
      return {};
    })
    .addEdge(START, "plan")
    .addConditionalEdges("plan", () => [
      new Send("search", { query: "x" }),
      new Send("search", { query: "y" }),
    ])
    .addEdge("search", "ask")
    .addEdge("ask", "a")
    .addEdge("ask", "b")
    .addEdge(["a", "b"], "join")
    .addEdge("join", END)
    .compile({ checkpointer: saver });
}

const Counted = Annotation.Root({ n: Annotation<number>(), log: list });

/** first -> second -> third, each noting the number it saw. */
export function chainGraph(saver: Saver, ran: string[] = []) {
  const step = (name: string) => (state: typeof Counted.State) => {
    ran.push(`${name}:${state.n}`);
    return { log: [`${name}:${state.n}`] };
  };
  return new StateGraph(Counted)
    .addNode("first", step("first"))
    .addNode("second", step("second"))
    .addNode("third", step("third"))
    .addEdge(START, "first")
    .addEdge("first", "second")
    .addEdge("second", "third")
    .addEdge("third", END)
    .compile({ checkpointer: saver });
}

/** before -> outer { enter -> inner { draft -> confirm (interrupt) } -> leave } -> after. */
export function nestedGraph(saver: Saver, ran: string[] = []) {
  const note = (name: string) => (state: typeof Counted.State) => {
    ran.push(`${name}:${state.n}`);
    return { log: [`${name}:${state.n}`] };
  };
  const inner = new StateGraph(Counted)
    .addNode("draft", note("draft"))
    .addNode("confirm", (state) => {
      const answer = String(interrupt(`publish ${state.n}?`));
      ran.push(`confirm:${state.n}`);
      return { log: [`${answer}:${state.n}`] };
    })
    .addEdge(START, "draft")
    .addEdge("draft", "confirm")
    .addEdge("confirm", END)
    .compile();
  const outer = new StateGraph(Counted)
    .addNode("enter", note("enter"))
    .addNode("inner", inner)
    .addNode("leave", note("leave"))
    .addEdge(START, "enter")
    .addEdge("enter", "inner")
    .addEdge("inner", "leave")
    .addEdge("leave", END)
    .compile();
  return new StateGraph(Counted)
    .addNode("before", note("before"))
    .addNode("outer", outer)
    .addNode("after", note("after"))
    .addEdge(START, "before")
    .addEdge("before", "outer")
    .addEdge("outer", "after")
    .addEdge("after", END)
    .compile({ checkpointer: saver });
}

/** A node that asks a subgraph, `times` over; with `isKept` the subgraph keeps its state. */
export function askingGraph(saver: Saver, { times = 1, isKept = false } = {}, ran: string[] = []) {
  const asked = new StateGraph(Counted)
    .addNode("think", ({ n }) => {
      ran.push(`think:${n}`);
      return { log: [`think:${n}`] };
    })
    .addNode("say", ({ n }) => {
      const answer = String(interrupt(`say ${n}?`));
      ran.push(`say:${n}`);
      return { log: [`${answer}:${n}`] };
    })
    .addEdge(START, "think")
    .addEdge("think", "say")
    .addEdge("say", END)
    .compile(isKept ? { checkpointer: true } : {});
  return new StateGraph(Counted)
    .addNode(
      "ask",
      async ({ n }) => {
        const log: string[] = [];
        for (let time = 0; time < times; time++) log.push(...(await asked.invoke({ n })).log);
        return { log };
      },
      { subgraphs: [asked] },
    )
    .addEdge(START, "ask")
    .addEdge("ask", END)
    .compile({ checkpointer: saver });
}

const appended = (state: string[], writes: string[][]): string[] => [...state, ...writes.flat()];

/** The chain again, its log a `DeltaChannel` that is snapshot at every third update. */
export function deltaGraph(saver: Saver) {
  const State = new StateSchema({
    n: z.number(),
    log: new DeltaValue(
      z.array(z.string()).default(() => []),
      { reducer: appended, snapshotFrequency: 3 },
    ),
  });
  const step = (name: string) => (state: { n: number }) => ({ log: [`${name}:${state.n}`] });
  return new StateGraph(State)
    .addNode("first", step("first"))
    .addNode("second", step("second"))
    .addNode("third", step("third"))
    .addEdge(START, "first")
    .addEdge("first", "second")
    .addEdge("second", "third")
    .addEdge("third", END)
    .compile({ checkpointer: saver });
}

export const onThread = (threadId: string) => ({ configurable: { thread_id: threadId } });

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
