import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  applyDelta,
  applyDeltas,
  diffTrees,
  type Delta,
} from "../../../checkpointers/encoding/delta.ts";
import { stringify, type Node } from "../../../checkpointers/encoding/tree.ts";
import { isHoldfastError } from "../../../src/errors.ts";
import { apply, copyOf, edit, state } from "./arbitrary/edits.ts";
import { value } from "./arbitrary/values.ts";
import { expectSame } from "./same.ts";
import { Store } from "./stored.ts";

const RUNS = { numRuns: 500 };

/** The text of a tree, which tells the order of keys too. */
const textOf = (tree: Node): string => stringify(tree, new Set());

/** The next version as a reader builds it: from its base and the stored text of the delta. */
function rebuilt(store: Store, base: Node, delta: Delta): Node {
  const stored = store.read(store.write(delta)) as unknown as Delta;
  return applyDelta(base, stored, (text) => store.book.leaf(text));
}

describe("a delta", () => {
  it("makes the next version of its base, whatever was edited", () => {
    fc.assert(
      fc.property(state, fc.array(edit, { maxLength: 4 }), (generated, edits) => {
        const store = new Store();
        const original = copyOf(generated);
        const base = store.encode(original);
        const changed = edits.reduce<unknown>((target, each) => apply(target, each), original);
        const next = store.encode(changed, base);
        const delta = diffTrees(base, next);
        expect(textOf(rebuilt(store, base, delta))).toBe(textOf(next));
      }),
      RUNS,
    );
  });

  it("makes any tree of any other, related or not", () => {
    fc.assert(
      fc.property(value, value, (one, other) => {
        const store = new Store();
        const [base, next] = [store.encode(one), store.encode(other)];
        const delta = diffTrees(base, next);
        expect(textOf(rebuilt(store, base, delta))).toBe(textOf(next));
      }),
      RUNS,
    );
  });

  it("leads along a chain of many versions, each read on top of the one before", () => {
    fc.assert(
      fc.property(state, fc.array(edit, { minLength: 5, maxLength: 30 }), (generated, edits) => {
        const store = new Store();
        let current = copyOf(generated);
        let written = store.encode(current);
        let read = store.read(store.write(written));
        for (const each of edits) {
          current = apply(current, each);
          const next = store.encode(current, written);
          read = rebuilt(store, read, diffTrees(written, next));
          written = next;
          expect(textOf(read)).toBe(textOf(written));
        }
        // A writer that goes on from what it read finds nothing changed (E1).
        expect(store.encode(current, read)).toBe(read);
        expectSame(store.decode(read), store.decode(written));
      }),
      { numRuns: 100 },
    );
  });

  it("leads there in one go as well, to the tree and to the value alone", () => {
    fc.assert(
      fc.property(state, fc.array(edit, { maxLength: 30 }), (generated, edits) => {
        const store = new Store();
        let current = copyOf(generated);
        let written = store.encode(current);
        const keyframe = store.write(written);
        const texts: string[] = [];
        for (const each of edits) {
          current = apply(current, each);
          const next = store.encode(current, written);
          texts.push(store.write(diffTrees(written, next)));
          written = next;
        }
        const read = store.read(keyframe);
        const before = textOf(read);
        const deltas = texts.map((text) => store.read(text) as unknown as Delta);
        const leaf = (text: string): Node => store.book.leaf(text);
        expect(textOf(applyDeltas(read, deltas, leaf))).toBe(textOf(written));
        // The rows that it was made of can be used again.
        expect(textOf(read)).toBe(before);
        expect(textOf(applyDeltas(read, deltas, leaf))).toBe(textOf(written));
        expectSame(store.valueOf(keyframe, texts), store.decode(written));
      }),
      { numRuns: 200 },
    );
  });

  it("that uses an element twice makes two values of it", () => {
    const store = new Store();
    const found = store.valueOf('[{"a":[1]},{"b":2}]', [
      '{"p":[[0,2],[0,1],{"c":[0,{"r":3}]},[0,1]]}',
    ]);
    expect(found).toEqual([{ a: [1] }, { b: 2 }, { a: [1] }, 3, { a: [1] }]);
    const list = found as unknown[];
    expect(new Set([list[0], list[2], list[4]]).size).toBe(3);
  });

  it("changes neither of its trees", () => {
    fc.assert(
      fc.property(state, edit, (generated, each) => {
        const store = new Store();
        const original = copyOf(generated);
        const base = store.encode(original);
        const before = textOf(base);
        const next = store.encode(apply(original, each), base);
        const after = textOf(next);
        rebuilt(store, base, diffTrees(base, next));
        expect([textOf(base), textOf(next)]).toEqual([before, after]);
      }),
      RUNS,
    );
  });

  it("on another base than its own fails as damage, or gives some tree", () => {
    fc.assert(
      fc.property(state, edit, value, (generated, each, stranger) => {
        const store = new Store();
        const original = copyOf(generated);
        const base = store.encode(original);
        const delta = diffTrees(base, store.encode(apply(original, each), base));
        try {
          rebuilt(store, store.encode(stranger), delta);
        } catch (error) {
          if (!isHoldfastError(error, "CORRUPT_DATA")) throw error;
        }
      }),
      RUNS,
    );
  });
});

/** The length of the delta of two versions, as it is stored. */
function cost(before: unknown, after: unknown): number {
  const store = new Store();
  const base = store.encode(before);
  // As after a restart: what the writer knows came from the database.
  const read = store.read(store.write(base));
  return store.write(diffTrees(read, store.encode(after, read))).length;
}

describe("the cost of a delta", () => {
  const item = (i: number) => ({ id: `id-${i}`, text: `the text of item ${i}`, done: false });
  const list = Array.from({ length: 200 }, (_, i) => item(i));
  const files = Object.fromEntries(list.map((each, i) => [`file-${i}`, each]));

  it.each<[string, unknown, unknown]>([
    ["nothing", list, structuredClone(list)],
    ["an append", list, [...list, item(200)]],
    ["a prepend", list, [item(-1), ...list]],
    ["an insertion", list, list.toSpliced(100, 0, item(-1))],
    ["a deletion at the front", list, list.slice(1)],
    ["a deletion in the middle", list, list.toSpliced(100, 1)],
    ["a window that moves on", list, [...list.slice(1), item(200)]],
    ["a window that moves on by many", list, [item(-1), ...list.slice(150), item(200)]],
    ["a swap", list, list.with(3, item(150)).with(150, item(3))],
    ["an element's field", list, list.with(77, { ...item(77), done: true })],
    ["an element's field, and an append", list, [...list.with(7, { ...item(7), done: true }), 1]],
    ["a key set", files, { ...files, extra: 1 }],
    ["a key dropped", files, Object.fromEntries(Object.entries(files).slice(1))],
    ["a nested field", files, { ...files, "file-9": { ...item(9), done: true } }],
    ["a nested list's append", { all: list, n: 1 }, { all: [...list, item(200)], n: 2 }],
    ["a long text's end", "x".repeat(9_000), `${"x".repeat(9_000)} more`],
    ["a long text's middle", `${"x".repeat(4_000)}${"y".repeat(4_000)}`, textWith("!")],
    ["a long text within a map", { draft: textWith("a") }, { draft: textWith("b") }],
  ])("is that of what changed: %s", (_, before, after) => {
    expect(cost(before, after)).toBeLessThan(300);
  });
});

function textWith(middle: string): string {
  return `${"x".repeat(4_000)}${middle}${"y".repeat(4_000)}`;
}
