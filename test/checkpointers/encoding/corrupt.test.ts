/** What is in the database may be damaged, newer than this holdfast, or written by an enemy. */

import fc from "fast-check";
import { HumanMessage } from "@langchain/core/messages";
import { describe, expect, it, vi } from "vitest";
import { applyDelta, type Delta } from "../../../checkpointers/encoding/delta.ts";
import { Decoder } from "../../../checkpointers/encoding/decode.ts";
import type { Node } from "../../../checkpointers/encoding/tree.ts";
import { CorruptDataError, isHoldfastError } from "../../../src/errors.ts";
import { Store } from "./stored.ts";

const decode = (text: string): unknown => new Store().decode(new Store().read(text));

describe("damaged data is an error that says so:", () => {
  it.each([
    ["an unknown tag", '{"$":"?","v":1}'],
    ["a tag from a newer holdfast", '[{"a":{"$":"zz","v":[]}}]'],
    ["a tag that is no text", '{"$":{"a":1}}'],
    ["a payload that is gone", '[{"$":"p","h":"nowhere"}]'],
    ["a payload without a hash", '{"$":"p"}'],
    ["a bigint that is none", '{"$":"i","v":"1n"}'],
    ["a bigint of nothing", '{"$":"i"}'],
    ["a bigint as code", '{"$":"i","v":{"valueOf":"x"}}'],
    ["a number's name that is none", '{"$":"n","v":5}'],
    ["a date of text", '{"$":"d","v":"2026"}'],
    ["a map of no list", '{"$":"M","v":{"a":1}}'],
    ["a set of nothing", '{"$":"S"}'],
    ["an error of no fields", '{"$":"e","k":"Error","v":[],"n":[]}'],
    ["an unknown class of errors", '{"$":"e","k":"Function","v":{"message":"x"},"n":[]}'],
    ["a message of no fields", '{"$":"m","k":"HumanMessage","v":"text"}'],
    ["a message class without a name", '{"$":"m","v":{"content":"x"}}'],
    ["bytes of an unknown kind", '{"$":"b","k":"SharedArrayBuffer","v":"AAAA"}'],
    ["bytes of no text", '{"$":"b","k":"Uint8Array","v":[1,2]}'],
    ["bytes that do not fit their kind", '{"$":"b","k":"Float64Array","v":"AAAA"}'],
    ["a document of no fields", '{"$":"c","v":null}'],
    ["a Send of no fields", '{"$":"s","v":1}'],
    ["a Command of no fields", '{"$":"C"}'],
    ["a type without a name", '{"$":"t","v":1}'],
  ])("%s", (_, text) => {
    expect(() => decode(text)).toThrow(CorruptDataError);
  });

  it("a type that this saver does not have, by its name", () => {
    expect(() => decode('[{"$":"t","k":"url","v":"https://a/"}]')).toThrow(/type "url"/);
  });

  it("whatever the damage: it decodes to something, or fails as damage", () => {
    const tag = fc.constantFrom(..."unidMSbemcsOCDtopwNx");
    const { node } = fc.letrec<{ node: unknown }>((tie) => ({
      node: fc.oneof(
        { maxDepth: 4 },
        fc.jsonValue({ maxDepth: 1 }),
        fc.array(tie("node"), { maxLength: 3 }),
        fc.record(
          {
            $: tag,
            v: tie("node"),
            k: fc.constantFrom("HumanMessage", "Buffer", "Error"),
            n: tie("node"),
          },
          { requiredKeys: ["$"] },
        ),
      ),
    }));
    fc.assert(
      fc.property(node, (stored) => {
        try {
          decode(JSON.stringify(stored));
        } catch (error) {
          if (!isHoldfastError(error, "CORRUPT_DATA")) throw error;
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it("a delta of no known kind, or of the wrong shape", () => {
    for (const delta of [{}, { z: 1 }, { m: [] }, { m: 1 }, { p: 1 }, { s: [] }, { r: 1, z: 2 }]) {
      try {
        applyDelta({ a: 1 }, delta as unknown as Delta, (text) => text);
      } catch (error) {
        expect(error).toBeInstanceOf(CorruptDataError);
      }
    }
  });
});

describe("an enemy's data runs nothing:", () => {
  it.each([
    ["Object's constructor", '{"$":"m","k":"constructor","v":{"content":"x"}}'],
    ["the prototype", '{"$":"m","k":"__proto__","v":{"content":"x"}}'],
    ["a function", '{"$":"m","k":"toString","v":{"content":"x"}}'],
    ["Function as bytes", '{"$":"b","k":"Function","v":"cmV0dXJuIDE="}'],
    ["eval as bytes", '{"$":"b","k":"eval","v":"MQ=="}'],
    ["Proxy as bytes", '{"$":"b","k":"Proxy","v":""}'],
    ["constructor as an error", '{"$":"e","k":"constructor","v":{"message":"x"},"n":[]}'],
    ["constructor as a type", '{"$":"t","k":"constructor","v":"x"}'],
    ["a base message", '{"$":"m","k":"BaseMessage","v":{"content":"x"}}'],
  ])("%s", (_, text) => {
    expect(() => decode(text)).toThrow(CorruptDataError);
  });

  it("LangChain's own format for constructors is just data", () => {
    const enemy = {
      lc: 1,
      type: "constructor",
      id: ["langchain", "x", "OpenAI"],
      kwargs: { a: 1 },
    };
    expect(decode(JSON.stringify(enemy))).toEqual(enemy);
    const older = { lc: 2, type: "constructor", id: ["Function"], method: null, args: ["x"] };
    expect(decode(JSON.stringify(older))).toEqual(older);
  });

  it("a message's constructor is not run", () => {
    const spy = vi.spyOn(console, "warn");
    const text =
      '{"$":"m","k":"AIMessage","v":{"content":"x","tool_calls":"none","additional_kwargs":{"tool_calls":[1]}}}';
    expect((decode(text) as { tool_calls: unknown }).tool_calls).toBe("none");
    expect(spy).not.toHaveBeenCalled();
    spy.mockRestore();
  });

  const pollution = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}';
  it.each([
    ["a map", pollution],
    ["a nested map", `{"a":[${pollution}],"__proto__":${pollution}}`],
    ["an object without a prototype", `{"$":"N","v":${pollution}}`],
    ["a message", `{"$":"m","k":"HumanMessage","v":${pollution}}`],
    ["a document", `{"$":"c","v":${pollution}}`],
    ["an error", `{"$":"e","k":"Error","v":${pollution},"n":[]}`],
    ["a Send", `{"$":"s","v":{"node":"n","args":${pollution},"__proto__":{"polluted":1}}}`],
    ["a Command", `{"$":"C","v":{"update":${pollution},"__proto__":{"polluted":1}}}`],
    ["an Overwrite", `{"$":"O","v":${pollution}}`],
  ])("no prototype is changed, neither Object's nor the value's own: %s", (_, text) => {
    const found = decode(text) as object;
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
    expect((found as { polluted?: number }).polluted).toBeUndefined();
    expect(Object.prototype).not.toHaveProperty("polluted");
    // Nor may a row put its own object where the class should be.
    expect(Object.hasOwn(Object.getPrototypeOf(found) ?? {}, "polluted")).toBe(false);
  });

  it("a message's class says what it is, whatever the row says", () => {
    const text =
      '{"$":"m","k":"HumanMessage","v":{"content":"x","type":"system","lc_namespace":["evil"],"lc_serializable":false}}';
    const found = decode(text) as HumanMessage;
    expect(found).toBeInstanceOf(HumanMessage);
    expect([found.type, found.lc_namespace, found.lc_serializable]).toEqual([
      "human",
      ["langchain_core", "messages"],
      true,
    ]);
  });

  it("deltas change no prototype", () => {
    const delta = JSON.parse('{"m":[{"__proto__":{"polluted":1}},{"__proto__":{"r":{"polluted":1}}},["a"]]}') as Delta; // prettier-ignore
    const tree = applyDelta({ a: 1, b: 2 }, delta, (text) => text);
    const found = new Decoder([]).decode(tree) as Record<string, unknown>;
    expect(Object.getPrototypeOf(found)).toBe(Object.prototype);
    expect(Object.keys(found)).toEqual(["b", "__proto__"]);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  it("text inside a value never becomes a reference to another's payload", () => {
    const store = new Store();
    const secret = "the secret of another channel".repeat(20);
    const hash = (JSON.parse(store.write(store.encode(secret))) as { h: string }).h;
    const forged = { note: { $: "p", h: hash }, list: [{ $: "p", h: hash }] };
    expect(store.roundTrip(forged)).toEqual(forged);
    const error = Object.assign(new Error("x"), { $: "p", h: hash });
    expect(store.roundTrip(error)).toMatchObject({ $: "p", h: hash });
    const message = Object.assign(new HumanMessage("x"), { $: "p", h: hash });
    expect(store.roundTrip([message])).toMatchObject([{ $: "p", h: hash }]);
    const tree = store.encode({ extra: forged });
    const next: Node = store.encode({ extra: { ...forged, $: "p", h: hash } }, tree);
    expect(store.decode(store.read(store.write(next)))).toEqual({
      extra: { ...forged, $: "p", h: hash },
    });
  });
});
