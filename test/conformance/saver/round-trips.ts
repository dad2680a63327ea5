/** What goes in comes out: the same values, of the same types, also in another process. */

import { DeltaSnapshot, type BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { Command, Overwrite, Send } from "@langchain/langgraph";
import { Document } from "@langchain/core/documents";
import { AIMessageChunk } from "@langchain/core/messages";
import { describe, expect, test } from "vitest";
import type { HoldfastSaver } from "../../../checkpointers/saver.ts";
import {
  checkpointOf,
  get,
  metadataOf,
  placeForEach,
  put,
  threadConfig,
  type NewPlace,
  type Place,
} from "./place.ts";
import { LONG, MESSAGES, VALUES } from "./values.ts";

/** A value as the saver that stored it gives it back, and as one that reads the database anew does. */
async function backFrom(
  place: Place,
  value: unknown,
): Promise<{ channel: unknown; write: unknown; metadata: unknown }[]> {
  let saver = await place.create();
  const config = await put(saver, threadConfig("t"), checkpointOf({ value }), { user: value });
  await saver.putWrites(config, [["value", value]], "task");
  const found = [await read(saver, config)];
  saver = await place.reopen(saver);
  found.push(await read(saver, config));
  await saver.end();
  return found;
}

async function read(saver: HoldfastSaver, config: Parameters<BaseCheckpointSaver["getTuple"]>[0]) {
  const { checkpoint, metadata, pendingWrites } = await get(saver, config);
  return {
    channel: checkpoint.channel_values["value"],
    write: pendingWrites?.[0]?.[2],
    metadata: (metadata as Record<string, unknown> | undefined)?.["user"],
  };
}

export function roundTripTests(newPlace: NewPlace): void {
  const place = placeForEach(newPlace);

  test.each(VALUES)("%s", async (_, make) => {
    for (const { channel, write, metadata } of await backFrom(place.get(), make())) {
      expect(channel).toStrictEqual(make());
      expect(write).toStrictEqual(make());
      expect(metadata).toStrictEqual(make());
      expect(keysOf(channel)).toEqual(keysOf(make()));
    }
  });

  test("undefined, as a task's result", async () => {
    for (const { write } of await backFrom(place.get(), undefined)) expect(write).toBeUndefined();
  });

  test("an object without a prototype is an object", async () => {
    const value = Object.assign(Object.create(null) as object, { a: 1 });
    for (const { channel } of await backFrom(place.get(), value)) expect(channel).toEqual({ a: 1 });
  });

  test("a key named __proto__ pollutes nothing", async () => {
    await backFrom(place.get(), JSON.parse('{"__proto__":{"polluted":1}}'));
    expect({}).not.toHaveProperty("polluted");
  });

  test("errors, with name, code, cause and what else they carry", async () => {
    const cause = Object.assign(new TypeError("inner"), { code: "E_INNER" });
    const error = Object.assign(new RangeError("outer", { cause }), {
      code: 42,
      details: { a: [1n] },
    });
    error.name = "MyError";
    const all = new AggregateError([new Error("one"), "two"], "both");
    for (const { channel, write } of await backFrom(place.get(), [error, all])) {
      for (const [got, aggregate] of [channel, write] as [
        RangeError & { code: number; details: unknown },
        AggregateError,
      ][]) {
        expect(got).toBeInstanceOf(Error);
        expect(got).toMatchObject({
          name: "MyError",
          message: "outer",
          code: 42,
          details: { a: [1n] },
        });
        expect(got.stack).toBe(error.stack);
        expect(Object.keys(got)).not.toContain("stack");
        const inner = got.cause as TypeError;
        expect(inner).toBeInstanceOf(TypeError);
        expect(inner).toMatchObject({ name: "TypeError", message: "inner", code: "E_INNER" });
        expect(aggregate).toBeInstanceOf(AggregateError);
        expect(aggregate.message).toBe("both");
        expect(aggregate.errors[0]).toBeInstanceOf(Error);
        expect(aggregate.errors[1]).toBe("two");
      }
    }
  });

  describe("messages", () => {
    test.each(MESSAGES)("%s", async (_, make) => {
      const message = make();
      for (const found of await backFrom(place.get(), { messages: [message] })) {
        for (const value of [found.channel, found.write]) {
          const [got] = (value as { messages: (typeof message)[] }).messages;
          expect(fieldsOf(got)).toStrictEqual(fieldsOf(message));
          expect(got?.constructor).toBe(message.constructor);
          expect(got?.getType()).toBe(message.getType());
          expect(jsonOf(got)).toEqual(jsonOf(message));
          expect(got?.contentBlocks).toEqual(message.contentBlocks);
        }
      }
    });

    test("a chunk that came back can be joined to the next", async () => {
      const chunk = new AIMessageChunk({
        content: "a",
        tool_call_chunks: [{ id: "c", name: "f", args: '{"q"', index: 0 }],
      });
      const next = new AIMessageChunk({
        content: "b",
        tool_call_chunks: [{ args: ":1}", index: 0 }],
      });
      for (const { channel } of await backFrom(place.get(), chunk)) {
        const joined = (channel as AIMessageChunk).concat(next);
        expect(joined.content).toBe("ab");
        expect(joined.tool_calls?.[0]).toMatchObject({ name: "f", args: { q: 1 } });
      }
    });
  });

  describe("LangGraph's own values", () => {
    test("Send", async () => {
      for (const { channel, write } of await backFrom(
        place.get(),
        new Send("worker", { text: LONG, n: 1n }),
      )) {
        for (const got of [channel, write] as Send[]) {
          expect(got).toBeInstanceOf(Send);
          expect(got).toMatchObject({ node: "worker", args: { text: LONG, n: 1n } });
        }
      }
    });

    test("Overwrite, Command and DeltaSnapshot", async () => {
      const value = [
        new Overwrite({ a: 1n }),
        new Command({ goto: "n", update: { a: new Date(0) } }),
        new DeltaSnapshot([1n]),
      ];
      for (const { channel, write } of await backFrom(place.get(), value)) {
        for (const got of [channel, write] as [Overwrite, Command, DeltaSnapshot][]) {
          expect(got[0]).toBeInstanceOf(Overwrite);
          expect(got[0].value).toEqual({ a: 1n });
          expect(got[1]).toBeInstanceOf(Command);
          expect(got[1]).toMatchObject({
            goto: value[1] instanceof Command ? value[1].goto : [],
            update: { a: new Date(0) },
          });
          expect(got[2]).toBeInstanceOf(DeltaSnapshot);
          expect(got[2].value).toEqual([1n]);
        }
      }
    });

    test("Document", async () => {
      const document = new Document({
        pageContent: LONG,
        metadata: { source: "a.md", page: 1 },
        id: "d",
      });
      for (const { channel } of await backFrom(place.get(), [document])) {
        expect((channel as unknown[])[0]).toStrictEqual(document);
      }
    });
  });

  test("the checkpoint around the values", async () => {
    let saver = await place.get().create();
    const checkpoint = checkpointOf({ a: 1 });
    checkpoint.channel_versions = { a: 3, __start__: 2, gone: 7 };
    checkpoint.versions_seen = {
      node: { a: 3 },
      __input__: {},
      __interrupt__: { a: 2, "branch:to:x": 1 },
    };
    const metadata = metadataOf({
      step: 7,
      source: "update",
      parents: { "": "p", "a|b:1": "q" },
      extra: { deep: [1n] },
    });
    const config = await saver.put(
      threadConfig("t"),
      checkpoint,
      metadata,
      checkpoint.channel_versions,
    );
    for (let i = 0; i < 2; i += 1) {
      const tuple = await get(saver, config);
      expect(tuple.checkpoint).toStrictEqual(checkpoint);
      expect(tuple.metadata).toStrictEqual(metadata);
      expect(tuple.parentConfig).toBeUndefined();
      saver = await place.get().reopen(saver);
    }
    await saver.end();
  });
}

/** A message's own fields, without LangChain's record of the constructor's arguments. */
function fieldsOf(message: object | undefined): Record<string, unknown> {
  const { lc_kwargs: _, ...fields } = { ...message } as Record<string, unknown>;
  return fields;
}

/** As LangChain serializes it; `content_blocks` there is a second form of `content`. */
function jsonOf(message: unknown): unknown {
  return JSON.parse(JSON.stringify(message), (key, value: unknown) =>
    key === "content_blocks" ? undefined : value,
  );
}

/** Keys of all objects within, in order: part of the value that `toStrictEqual` doesn't look at. */
function keysOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return undefined;
  if (value instanceof Map) return [...value].map(([key, item]) => [keysOf(key), keysOf(item)]);
  if (Array.isArray(value)) return value.map(keysOf);
  return Object.keys(value).map((key) => [key, keysOf((value as Record<string, unknown>)[key])]);
}
