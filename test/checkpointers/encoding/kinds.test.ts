/** One plain example for each kind of value; tree.test.ts has the random ones. */

import { deepStrictEqual } from "node:assert";
import { Document } from "@langchain/core/documents";
import { Command, Overwrite, Send } from "@langchain/langgraph";
import { DeltaSnapshot } from "@langchain/langgraph-checkpoint";
import { describe, expect, it } from "vitest";
import { UnserializableError } from "../../../src/errors.ts";
import { objectOf } from "./arbitrary/values.ts";
import { expectSame } from "./same.ts";
import { Store } from "./stored.ts";

const big = new Uint8Array(4_096).map((_, i) => i % 251);
const floats = new Float32Array([0, -0, Number.NaN, 1.5]);

const KINDS: [name: string, make: () => unknown][] = [
  ["null", () => null],
  ["undefined", () => undefined],
  ["undefined in an object and a list", () => ({ a: undefined, b: [undefined, 1] })],
  ["minus zero", () => [-0, 0, { z: -0 }]],
  ["NaN and the infinities", () => [Number.NaN, Number.POSITIVE_INFINITY, -Infinity]],
  ["a bigint", () => [0n, -1n, 2n ** 200n, BigInt(Number.MAX_SAFE_INTEGER) + 2n]],
  ["a date", () => new Date("2026-01-02T03:04:05.678Z")],
  ["a date before the epoch", () => new Date(-62_198_755_200_000)],
  ["an invalid date", () => new Date(Number.NaN)],
  ["a map with objects as keys", () => new Map<unknown, unknown>([[{ a: [1] }, new Map()]])],
  ["a map with NaN and minus zero", () => new Map([[Number.NaN, -0]])],
  ["a map with lists as values", () => new Map([["a", [1, [2]]]])],
  ["a set of objects", () => new Set([{ a: 1 }, { a: 1 }, "a", Number.NaN])],
  ["a Buffer", () => Buffer.from("hello")],
  ["an empty Buffer", () => Buffer.alloc(0)],
  ["a large Buffer", () => Buffer.from(big)],
  ["a typed array in the middle of its buffer", () => new Uint16Array(big.buffer, 64, 9)],
  ["a large typed array", () => new Float64Array(big.buffer, 8, 100)],
  ["floats that JSON lacks", () => floats.slice()],
  ["a DataView", () => new DataView(big.buffer, 3, 5)],
  ["an ArrayBuffer", () => big.buffer.slice(0, 300)],
  ["text with NUL and lone surrogates", () => "a\0b\ud800c\udfff\u2028"],
  ["long text with NUL", () => `${"x".repeat(999)}\0`],
  ["long text with a lone surrogate", () => `${"x".repeat(999)}\ud800`],
  ["very long text", () => "0123456789".repeat(200_000)],
  ["keys that JavaScript sorts", () => ({ b: 1, 2: 2, a: 3, 1: 4 })],
  ["an own __proto__", () => objectOf([["__proto__", { admin: true }]])],
  ["hostile keys", () => ({ constructor: 1, toString: 2, hasOwnProperty: 3, "": 4, "\0": 5 })],
  ["a field called toJSON", () => ({ toJSON: "no function" })],
  ["an object like a reference", () => ({ $: "p", h: "no hash" })],
  ["objects like tags", () => [..."unidMSbemcsOCDtopw"].map((tag) => ({ $: tag, v: 1, k: "k" }))],
  ["keys of dollars", () => ({ $: 1, $$: 2, $$$: 3, $a: 4, a$: 5 })],
  ["a document", () => new Document({ pageContent: "x", metadata: { a: new Date(1) }, id: "1" })],
  ["a document without an id", () => new Document({ pageContent: "x".repeat(500) })],
  ["a Send", () => new Send("node", { a: new Set([1]), b: undefined })],
  ["a Send with a timeout", () => new Send("node", null, { timeout: { runTimeout: 5 } })],
  ["an Overwrite", () => new Overwrite([1, undefined])],
  ["a DeltaSnapshot", () => new DeltaSnapshot(new Map([[1, 2]]))],
];

describe("comes back as it was, prototype included:", () => {
  it.each(KINDS)("%s", (_, make) => {
    expectSame(new Store().roundTrip(make()), make());
    const store = new Store();
    const tree = store.encode({ inside: [make()] });
    expect(store.encode({ inside: [make()] }, tree)).toBe(tree);
  });

  it.each<[string, () => Command]>([
    ["that resumes", () => new Command({ resume: { a: 1 } })],
    ["that goes on", () => new Command({ goto: "next" })],
    ["that updates", () => new Command({ update: { a: [1] }, goto: ["a", new Send("b", 2)] })],
    ["for the parent", () => new Command({ graph: Command.PARENT, update: [["a", 1]] })],
  ])("a Command %s", (_, make) => {
    const [found, expected] = [new Store().roundTrip(make()) as Command, make()];
    expect(found).toBeInstanceOf(Command);
    // A symbol's property holds the constructor's arguments once more.
    deepStrictEqual(
      { ...found.toJSON(), graph: found.graph },
      { ...expected.toJSON(), graph: expected.graph },
    );
    deepStrictEqual(found.goto, expected.goto);
  });

  it("a Send whose arguments look like another Send, as they are", () => {
    const send = new Send<string, unknown>("node", undefined);
    send.args = objectOf([
      ["__proto__", 1],
      ["node", "inner"],
      ["args", 2],
    ]);
    const found = new Store().roundTrip(send) as Send;
    deepStrictEqual(found.args, send.args);
    expect(found.args).not.toBeInstanceOf(Send);
  });

  it("a Buffer, on memory of its own", () => {
    const store = new Store();
    const tree = store.encode([Buffer.from("pooled"), Buffer.from(big)]);
    const [small, large] = store.decode(tree) as [Buffer, Buffer];
    expect(small.buffer.byteLength).toBe(small.length);
    large.fill(0);
    deepStrictEqual((store.decode(tree) as Buffer[])[1], Buffer.from(big));
  });
});

class Temperature extends Date {
  unit = "C";
}
class Stack extends Array<number> {}
class Index extends Map<string, number> {}
class Names extends Set<string> {}

describe("comes back as it was, or is refused; never as something else:", () => {
  it.each<[string, () => unknown]>([
    ["a list with holes", () => [1, , 3]], // oxlint-disable-line no-sparse-arrays
    ["a list of nothing but holes", () => new Array(3)], // oxlint-disable-line unicorn/no-new-array
    ["an object without a prototype", () => Object.assign(Object.create(null) as object, { a: 1 })],
    ["a subclass of Date", () => new Temperature(5)],
    ["a subclass of Array", () => Stack.from([1, 2])],
    ["a subclass of Map", () => new Index([["a", 1]])],
    ["a subclass of Set", () => new Names(["a"])],
    ["an object whose prototype has none", () => Object.create(Object.create(null) as object)],
    ["a String object", () => Object("text")],
    ["a WeakMap", () => new WeakMap()],
    ["a promise", () => Promise.resolve(1)],
    ["a generator", () => [1].values()],
    ["a SharedArrayBuffer", () => new SharedArrayBuffer(8)],
    ["a proxy", () => new Proxy({ a: 1 }, {})],
  ])("%s", (_, make) => {
    let found: unknown;
    try {
      found = new Store().roundTrip(make());
    } catch (error) {
      expect(error).toBeInstanceOf(UnserializableError);
      return;
    }
    expectSame(found, make());
  });
});
