import { deepStrictEqual } from "node:assert";
import fc from "fast-check";
import {
  AIMessage,
  AIMessageChunk,
  HumanMessage,
  RemoveMessage,
  ToolMessage,
  coerceMessageLikeToMessage,
  mapStoredMessagesToChatMessages,
  type BaseMessage,
} from "@langchain/core/messages";
import { describe, expect, it } from "vitest";
import { UnserializableError } from "../../../src/errors.ts";
import { messagesOf } from "./arbitrary/messages.ts";
import { leaf, objectOf } from "./arbitrary/values.ts";
import { expectSame } from "./same.ts";
import { Store } from "./stored.ts";

const message = messagesOf(leaf);
const RUNS = { numRuns: 500 };

const roundTrip = (value: BaseMessage): BaseMessage => new Store().roundTrip(value) as BaseMessage;

describe("a message of LangChain's", () => {
  it("of any class has its prototype, its fields in their order, and their values", () => {
    fc.assert(
      fc.property(fc.clone(message, 2), ([original, copy]) => {
        const found = roundTrip(original);
        expect(Reflect.ownKeys(found)).toEqual(Reflect.ownKeys(original));
        expectSame(found, copy);
      }),
      RUNS,
    );
  });

  it("says the same to a provider: content blocks, type, and what LangChain makes JSON of", () => {
    fc.assert(
      fc.property(message, (original) => {
        const found = roundTrip(original);
        deepStrictEqual(found.contentBlocks, original.contentBlocks);
        expect(found.getType()).toBe(original.getType());
        expect(found.text).toBe(original.text);
        // What the constructor was given by another name (`contentBlocks`) is told by its own; a
        // chunk of a tool's message has no field for `metadata`, only the constructor's argument.
        const kwargs = (value: BaseMessage) =>
          (value.toJSON() as { kwargs: Record<string, unknown> }).kwargs;
        const expected = kwargs(original);
        for (const key of Object.keys(expected)) {
          if (key === "content_blocks" || !Object.hasOwn(original, key)) continue;
          deepStrictEqual(kwargs(found)[key], expected[key], key);
        }
      }),
      RUNS,
    );
  });

  it("survives LangChain's own way to JSON after ours", () => {
    fc.assert(
      fc.property(
        message.filter((each) => !each.getType().startsWith("function")),
        (original) => {
          const again = mapStoredMessagesToChatMessages([roundTrip(original).toDict()])[0];
          expect(again?.content).toEqual(JSON.parse(JSON.stringify(original.content)));
        },
      ),
      RUNS,
    );
  });

  it("as a chunk goes on where its stream left off", () => {
    const first = new AIMessageChunk({
      content: "Hel",
      id: "1",
      tool_call_chunks: [{ name: "search", args: '{"q":', id: "c", index: 0 }],
    });
    const rest = { args: '"a"}', index: 0 } as NonNullable<AIMessageChunk["tool_call_chunks"]>[0];
    const next = new AIMessageChunk({
      content: "lo",
      tool_call_chunks: [rest],
      usage_metadata: { input_tokens: 1, output_tokens: 2, total_tokens: 3 } as never,
    });
    expectSame((roundTrip(first) as AIMessageChunk).concat(next), first.concat(next));
    expectSame(first.concat(roundTrip(next) as AIMessageChunk), first.concat(next));
  });

  it("keeps what was set on it after it was made", () => {
    const original = new AIMessage("hello");
    original.id = "late";
    original.response_metadata = { model: "m" };
    Object.assign(original, { extra: [1], $: "p" });
    const found = roundTrip(original) as AIMessage & { extra: number[]; $: string };
    expect([found.id, found.response_metadata, found.extra, found.$]).toEqual([
      "late",
      { model: "m" },
      [1],
      "p",
    ]);
    expect(JSON.stringify(found)).toContain('"late"');
  });

  it("may be changed as LangGraph does, without the stored one changing", () => {
    const store = new Store();
    const tree = store.encode(new HumanMessage({ content: "a", additional_kwargs: { list: [1] } }));
    const one = store.decode(tree) as HumanMessage;
    one._updateId("new");
    (one.additional_kwargs["list"] as number[]).push(2);
    const other = store.decode(tree) as HumanMessage;
    expect([other.id, other.lc_kwargs["id"], other.additional_kwargs]).toEqual([
      undefined,
      undefined,
      { list: [1] },
    ]);
  });

  it("that lost a field, or changed its class, is seen to have changed", () => {
    const store = new Store();
    const full = store.encode(new AIMessage({ content: "x", id: "1", name: "n" }));
    for (const changed of [
      new AIMessage({ content: "x", id: "1" }),
      new AIMessage({ content: "x", name: "n" }),
      new AIMessageChunk({ content: "x", id: "1", name: "n" }),
      new HumanMessage({ content: "x", id: "1", name: "n" }),
    ]) {
      const tree = store.encode(changed, full);
      expect(tree).not.toBe(full);
      expectSame(store.decode(tree), changed);
    }
  });

  it("is a message by LangChain's own tests", () => {
    const found = roundTrip(new ToolMessage({ content: "x", tool_call_id: "1", artifact: [1] }));
    expect(found).toBeInstanceOf(ToolMessage);
    expect(ToolMessage.isInstance(found)).toBe(true);
    expect(coerceMessageLikeToMessage(found)).toBe(found);
    expect(roundTrip(new RemoveMessage({ id: "1" }))).toBeInstanceOf(RemoveMessage);
  });

  it("with an own __proto__ keeps its class", () => {
    const original = new HumanMessage("x");
    Object.defineProperties(
      original,
      objectOf([
        ["__proto__", { value: { admin: true }, enumerable: true }],
      ]) as PropertyDescriptorMap,
    );
    const found = roundTrip(original);
    expect(Object.getPrototypeOf(found)).toBe(HumanMessage.prototype);
    expect((found as unknown as { admin?: boolean }).admin).toBeUndefined();
  });

  it("of a class of the user's is refused, unless `types` knows it", () => {
    class Whisper extends HumanMessage {}
    expect(() => new Store().roundTrip([new Whisper("psst")])).toThrow(UnserializableError);
    const store = new Store([
      {
        name: "whisper",
        is: (value) => value instanceof Whisper,
        encode: (whisper: Whisper) => whisper.content,
        decode: (content: string) => new Whisper(content),
      },
    ]);
    expectSame(store.roundTrip([new Whisper("psst")]), [new Whisper("psst")]);
  });
});
