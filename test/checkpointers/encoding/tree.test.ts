import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Decoder } from "../../../checkpointers/encoding/decode.ts";
import { stringify } from "../../../checkpointers/encoding/tree.ts";
import { value } from "./arbitrary/values.ts";
import { expectSame } from "./same.ts";
import { scramble } from "./scramble.ts";
import { Store } from "./stored.ts";

const RUNS = { numRuns: 400 };

/** The text of a tree, which tells the order of keys too. */
const textOf = (tree: unknown): string => stringify(tree, new Set());

describe("a value through the database", () => {
  it("comes back as it was", () => {
    fc.assert(
      fc.property(fc.clone(value, 2), ([original, copy]) => {
        expectSame(new Store().roundTrip(original), copy);
      }),
      RUNS,
    );
  });

  it("comes back the same where its text is used up for it", () => {
    fc.assert(
      fc.property(fc.clone(value, 2), ([original, copy]) => {
        const store = new Store();
        expectSame(store.valueOf(store.write(store.encode(original)), []), copy);
      }),
      RUNS,
    );
  });

  it("keeps the order of its keys, entries and elements", () => {
    fc.assert(
      fc.property(value, (original) => {
        const store = new Store();
        const tree = store.encode(original);
        expect(textOf(store.encode(store.roundTrip(original)))).toBe(textOf(tree));
      }),
      RUNS,
    );
  });

  it("comes back the same with its long strings and bytes inline", () => {
    fc.assert(
      fc.property(fc.clone(value, 2), ([original, copy]) => {
        const store = new Store();
        const inline = JSON.stringify(store.encodeInline(original));
        expectSame(store.decode(store.read(inline)), copy);
      }),
      RUNS,
    );
  });
});

describe("a tree", () => {
  it("is the very tree before it where nothing changed (E1)", () => {
    fc.assert(
      fc.property(fc.clone(value, 2), ([original, copy]) => {
        const store = new Store();
        const tree = store.encode(original);
        expect(store.encode(original, tree)).toBe(tree);
        expect(store.encode(copy, tree)).toBe(tree);
        expect(store.encode(store.decode(tree), tree)).toBe(tree);
      }),
      RUNS,
    );
  });

  it("is the very tree before it, also when that came from the database", () => {
    fc.assert(
      fc.property(value, (original) => {
        const store = new Store();
        const read = store.read(store.write(store.encode(original)));
        expect(store.encode(original, read)).toBe(read);
      }),
      RUNS,
    );
  });

  it("says what a tree says that was built from nothing, whatever came before it", () => {
    fc.assert(
      fc.property(value, value, (before, after) => {
        const store = new Store();
        const tree = store.encode(after, store.encode(before));
        expect(textOf(tree)).toBe(textOf(new Store().encode(after)));
      }),
      RUNS,
    );
  });

  it("leaves the tree before it as it was (T1)", () => {
    fc.assert(
      fc.property(value, value, (before, after) => {
        const store = new Store();
        const tree = store.encode(before);
        const text = textOf(tree);
        store.encode(after, tree);
        expect(textOf(tree)).toBe(text);
      }),
      RUNS,
    );
  });

  it("holds nothing of the user's: a value changed afterwards does not change it (T2)", () => {
    fc.assert(
      fc.property(value, (original) => {
        const store = new Store();
        const tree = store.encode(original);
        const before = store.decode(tree);
        const text = textOf(tree);
        scramble(original);
        expect(textOf(tree)).toBe(text);
        expectSame(store.decode(tree), before);
      }),
      RUNS,
    );
  });

  it("hands nothing of its own out: a decoded value changed changes no tree and no other value", () => {
    fc.assert(
      fc.property(value, (original) => {
        const store = new Store();
        const tree = store.encode(original);
        const text = textOf(tree);
        const [first, second, third] = [1, 2, 3].map(() => store.decode(tree));
        scramble(first);
        expect(textOf(tree)).toBe(text);
        expectSame(second, third);
        expect(store.encode(store.decode(tree), tree)).toBe(tree);
      }),
      RUNS,
    );
  });
});

describe("a listing's decoder", () => {
  it("gives the same values, equal subtrees as one object, and containers of their own outside", () => {
    fc.assert(
      fc.property(fc.clone(fc.array(value, { maxLength: 3 }), 2), ([original, copy]) => {
        const store = new Store();
        const tree = store.encode(original);
        const decoder = new Decoder([], { shareEqual: true });
        const [first, second] = [decoder.decode(tree), decoder.decode(tree)] as unknown[][];
        expect(first).not.toBe(second);
        for (const [i, element] of (first ?? []).entries()) {
          if (typeof element === "object") expect(second?.[i]).toBe(element);
        }
        expectSame(first, copy);
      }),
      RUNS,
    );
  });

  it("shares nothing with the tree", () => {
    fc.assert(
      fc.property(value, (original) => {
        const store = new Store();
        const tree = store.encode(original);
        const text = textOf(tree);
        scramble(new Decoder([], { shareEqual: true }).decode(tree));
        expect(textOf(tree)).toBe(text);
      }),
      RUNS,
    );
  });
});
