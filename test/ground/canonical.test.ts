import { HumanMessage } from "@langchain/core/messages";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalHash, canonicalText } from "../../src/canonical.ts";

describe("the canonical text of a value", () => {
  it("does not depend on the order of keys, at any depth", () => {
    const shuffled = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(shuffled);
      if (typeof value !== "object" || value === null) return value;
      return Object.fromEntries(
        Object.entries(value)
          .toReversed()
          .map(([key, inner]) => [key, shuffled(inner)]),
      );
    };
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(canonicalText(shuffled(value))).toBe(canonicalText(value));
      }),
    );
  });

  it("tells different JSON values apart", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        const differ = canonicalText(a) !== canonicalText(b);
        // A parser knows no order of keys either.
        expect(differ).toBe(!equal(a, b));
      }),
    );
  });

  it.each([
    [1, "1"],
    [1, 1n],
    [0, -0],
    [null, undefined],
    [Number.NaN, null],
    [[], {}],
    [["a", "b"], ["a,b"]],
    [{ a: "b,c:d" }, { a: "b", c: "d" }],
    [new Date(5), 5],
    [new Date(Number.NaN), null],
    [new Map([["a", 1]]), { a: 1 }],
    [new Set([1]), [1]],
    [Buffer.from("a"), new Uint8Array(Buffer.from("b"))],
    [new Error("a"), new TypeError("a")],
    [new HumanMessage("a"), new HumanMessage("b")],
  ])("case %#: these two are different", (a, b) => {
    expect(canonicalHash(a)).not.toBe(canonicalHash(b));
  });

  it("is the same for the same message, whoever made it", () => {
    expect(canonicalHash(new HumanMessage({ content: "a", id: "1" }))).toBe(
      canonicalHash(new HumanMessage({ id: "1", content: "a" })),
    );
    expect(canonicalHash({ a: 1, b: undefined })).toBe(canonicalHash({ a: 1 }));
  });

  it("is refused to functions, symbols and cycles", () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    for (const value of [() => 1, Symbol("a"), cycle, { a: { b: cycle } }]) {
      expect(() => canonicalText(value)).toThrow(/cannot be/);
    }
    const twice = {};
    expect(canonicalText([twice, twice])).toBe("[{},{}]");
  });
});

function equal(a: unknown, b: unknown): boolean {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null)
    return Object.is(a, b);
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every(
      (key) =>
        Object.hasOwn(b, key) &&
        equal((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]),
    )
  );
}
