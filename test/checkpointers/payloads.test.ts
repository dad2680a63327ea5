/** What is stored of large and growing values, in bytes of rows: not timed, so the same everywhere. */

import { Annotation, Send, START, StateGraph, messagesStateReducer } from "@langchain/langgraph";
import { HumanMessage, AIMessage, ToolMessage, type BaseMessage } from "@langchain/core/messages";
import type { RunnableConfig } from "@langchain/core/runnables";
import { describe, expect, it } from "vitest";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import { PLACES } from "../support/places.ts";
import { readTables } from "../support/raw-tables.ts";
import { onThread, putOne, syncRun } from "../support/small-graphs.ts";

/** Random enough that nothing is shared by chance, the same in every run. */
function text(seed: number, length: number): string {
  let random = seed * 2_654_435_761 + 12_345;
  let out = "";
  while (out.length < length) {
    random = (random * 1_103_515_245 + 12_345) % 2_147_483_648;
    out += random.toString(36);
  }
  return out.slice(0, length);
}

type Files = Record<string, string>;

describe.each(PLACES)("payloads on %s", (_, newPlace) => {
  it("hold a large text once, on its way through a Send, pending writes and channels", async () => {
    const place = await newPlace();
    const saver = place.open();
    const result = text(1, 1_000_000);
    const State = Annotation.Root({
      messages: Annotation<BaseMessage[]>({ reducer: messagesStateReducer, default: () => [] }),
    });
    const graph = new StateGraph(State)
      .addNode("search", () => ({
        messages: [new ToolMessage({ content: result, tool_call_id: "call", id: "tool" })],
      }))
      .addNode("read", (state: { message?: BaseMessage }) => ({
        messages: [
          new AIMessage({ content: String(state.message?.content).slice(0, 9), id: "ai" }),
        ],
      }))
      .addNode("keep", () => ({ messages: [new HumanMessage({ content: result, id: "human" })] }))
      .addEdge(START, "search")
      .addConditionalEdges("search", ({ messages }) => [
        new Send("read", { message: messages.at(-1) }),
      ])
      .addEdge("read", "keep")
      .compile({ checkpointer: saver });
    await graph.invoke({ messages: [] }, syncRun("t"));
    const { payloads } = await readTables(place.url);
    const large = payloads.filter(({ data }) => data.length >= 1_000_000);
    expect(large).toHaveLength(1);
    const { bytes } = await saver.stats("t");
    expect(bytes).toBeLessThan(1_000_000 + 20_000);
    const { values } = await graph.getState(onThread("t"));
    const contents = (values as typeof State.State).messages.map(({ content }) => content);
    expect(contents).toEqual([result, result.slice(0, 9), result]);
    // Also by a saver that has to find out that it is there.
    await graph.invoke({ messages: [new HumanMessage(result)] }, syncRun("t"));
    const other = place.open();
    await putOne(other, "t", { text: result }, (await other.getTuple(onThread("t")))?.config);
    expect(
      (await readTables(place.url)).payloads.filter(({ data }) => data.length > 999_999),
    ).toHaveLength(1);
  });

  it("hold bytes once, whatever holds them", async () => {
    const place = await newPlace();
    const saver = place.open();
    const image = Buffer.from(text(2, 200_000));
    let config: RunnableConfig | undefined;
    for (let step = 0; step < 5; step += 1)
      config = await putOne(
        saver,
        "t",
        { images: [image, { step, image: new Uint8Array(image) }] },
        config,
      );
    const { payloads } = await readTables(place.url);
    expect(payloads.filter(({ data }) => data.length >= 200_000)).toHaveLength(1);
    expect((await saver.getTuple(onThread("t")))?.checkpoint.channel_values).toEqual({
      images: [image, { step: 4, image: new Uint8Array(image) }],
    });
  });
});

/** Puts one state after the other, and checks that each reads back, warm and cold. */
async function putAll(
  place: { open(): HoldfastSaver },
  states: Record<string, unknown>[],
): Promise<number> {
  const saver = place.open();
  let config: RunnableConfig | undefined;
  const puts: RunnableConfig[] = [];
  for (const state of states) puts.push((config = await putOne(saver, "t", state, config)));
  const listed = await Array.fromAsync(place.open().list(onThread("t")));
  expect(listed.toReversed().map(({ checkpoint }) => checkpoint.channel_values)).toEqual(states);
  const cold = place.open();
  for (const at of [0, Math.floor(states.length / 2), states.length - 1]) {
    const tuple = await cold.getTuple(puts[at] as RunnableConfig);
    expect(tuple?.checkpoint.channel_values).toEqual(states[at]);
  }
  return (await saver.stats("t")).bytes;
}

describe.each(PLACES)("storage on %s", (_, newPlace) => {
  async function chat(turns: number): Promise<number> {
    const place = await newPlace();
    const saver = place.open();
    const State = Annotation.Root({
      messages: Annotation<BaseMessage[]>({ reducer: messagesStateReducer, default: () => [] }),
    });
    const graph = new StateGraph(State)
      .addNode("model", ({ messages }) => ({
        messages: [
          new AIMessage({ content: text(messages.length, 1_000), id: `ai${messages.length}` }),
        ],
      }))
      .addEdge(START, "model")
      .compile({ checkpointer: saver });
    for (let turn = 0; turn < turns; turn += 1)
      await graph.invoke({ messages: [new HumanMessage(text(-turn - 1, 1_000))] }, syncRun("t"));
    return (await saver.stats("t")).bytes;
  }

  it("of a chat grows with its turns, not with their square", { timeout: 180_000 }, async () => {
    const [short, long] = [await chat(200), await chat(400)];
    expect(long / short).toBeLessThan(2.2);
    expect(long / (400 * 2_000)).toBeLessThan(4);
  });

  const base = (): Files =>
    Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`src/file-${i}.ts`, text(i, 2_000)]));
  const distinct = (300 + 100) * 2_000;

  it.each(["a reducer that merges", "a node that returns the whole map"])(
    "of a map of files, one changed in each step by %s, is that of its distinct content",
    { timeout: 180_000 },
    async (how) => {
      const place = await newPlace();
      const saver = place.open();
      const State = Annotation.Root({
        files: how.startsWith("a reducer")
          ? Annotation<Files>({ reducer: (a, b) => ({ ...a, ...b }), default: () => ({}) })
          : Annotation<Files>(),
        step: Annotation<number>(),
      });
      const graph = new StateGraph(State)
        .addNode("edit", ({ files, step }) => {
          const change = { [`src/file-${(step * 7) % 300}.ts`]: text(10_000 + step, 2_000) };
          return {
            files: how.startsWith("a reducer") ? change : { ...files, ...change },
            step: step + 1,
          };
        })
        .addEdge(START, "edit")
        .addConditionalEdges("edit", ({ step }) => (step < 100 ? "edit" : "__end__"))
        .compile({ checkpointer: saver });
      await graph.invoke({ files: base(), step: 0 }, syncRun("t"));
      const { bytes } = await saver.stats("t");
      expect(bytes / distinct).toBeLessThan(3);
      const { values } = await graph.getState(onThread("t"));
      expect(Object.keys((values as typeof State.State).files)).toHaveLength(300);
      expect((values as typeof State.State).files["src/file-7.ts"]).toBe(text(10_001, 2_000));
    },
  );

  it("of nested objects is that of what changes deep within", async () => {
    const states = Array.from({ length: 100 }, (_, step) => ({
      plan: {
        chapters: Array.from({ length: 40 }, (__, i) => ({
          title: text(i, 200),
          done: i < step,
          notes: { by: "ada", lines: Array.from({ length: 3 }, (___, l) => text(i * 10 + l, 60)) },
        })),
        step,
      },
    }));
    const whole = JSON.stringify(states[0]).length;
    expect(await putAll(await newPlace(), states)).toBeLessThan(whole * 6);
  });

  it("of a draft that grows at its end is a small multiple of the last one", async () => {
    const pieces = Array.from({ length: 200 }, (_, i) => text(i, 300));
    const states = pieces.map((__, i) => ({ draft: pieces.slice(0, i + 1).join("") }));
    expect(await putAll(await newPlace(), states)).toBeLessThan(200 * 300 * 5);
  });

  it("of a draft that is edited in the middle is that of the edits", async () => {
    let draft = text(1, 50_000);
    const states = Array.from({ length: 100 }, (_, i) => {
      const at = (i * 7_919) % 49_000;
      draft = `${draft.slice(0, at)}${text(i, 20)}${draft.slice(at + 10)}`;
      return { draft };
    });
    expect(await putAll(await newPlace(), states)).toBeLessThan(50_000 * 4);
  });

  it("of a window over a list, new at its end and dropped from its front, is that of its elements", async () => {
    const element = (i: number) => ({ i, text: text(i, 200) });
    const states = Array.from({ length: 300 }, (_, i) => ({
      window: Array.from({ length: 30 }, (__, k) => element(i + k)),
    }));
    expect(await putAll(await newPlace(), states)).toBeLessThan(330 * 220 * 5);
  });

  it("of a list whose elements change places is never more than the list each time", async () => {
    const elements = Array.from({ length: 50 }, (_, i) => ({ i, text: text(i, 400) }));
    const states = Array.from({ length: 50 }, (_, step) => ({
      list: [...elements.slice(step), ...elements.slice(0, step)],
      swapped: elements.map((__, i) => elements[i ^ (step % 2)] as (typeof elements)[0]),
    }));
    const place = await newPlace();
    const bytes = await putAll(place, states);
    // Each long text once; of the places, at worst a list of references for each step.
    const { payloads } = await readTables(place.url);
    expect(payloads).toHaveLength(50);
    expect(bytes).toBeLessThan(50 * 400 + 50 * 2 * 50 * 80);
  });

  it("of keys that come, go, and come back in another order reads back as it was", async () => {
    const states = Array.from({ length: 60 }, (_, step) => {
      const entries = Array.from({ length: 10 }, (__, i): [string, unknown] => [
        ["10", "2", "b", "a", "__proto__x", "constructor", "", " ", "\u00e9", "e\u0301"][
          (i * 3 + step) % 10
        ] as string,
        { step: step - (i % 4), text: text(i, 100) },
      ]).filter((___, i) => (step + i) % 4 !== 0);
      return { map: Object.fromEntries(entries) };
    });
    const place = await newPlace();
    await putAll(place, states);
    const listed = await Array.fromAsync(place.open().list(onThread("t")));
    for (const [i, { checkpoint }] of listed.toReversed().entries())
      expect(JSON.stringify(checkpoint.channel_values)).toBe(JSON.stringify(states[i]));
  });
});
