import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { rebase } from "../../../checkpointers/encoding/rebase.ts";
import { stringify, type Node } from "../../../checkpointers/encoding/tree.ts";
import { apply, copyOf, edit, state } from "./arbitrary/edits.ts";
import { value } from "./arbitrary/values.ts";
import { Store } from "./stored.ts";

const RUNS = { numRuns: 400 };
const textOf = (tree: Node): string => stringify(tree, new Set());

describe("a tree that was encoded without its predecessor, rebased on it", () => {
  it("says the same", () => {
    fc.assert(
      fc.property(state, edit, (generated, each) => {
        const store = new Store();
        const original = copyOf(generated);
        const before = store.encode(original);
        const alone = new Store().encode(apply(original, each));
        const texts = [textOf(before), textOf(alone)];
        expect(textOf(rebase(alone, before))).toBe(texts[1]);
        expect([textOf(before), textOf(alone)]).toEqual(texts);
      }),
      RUNS,
    );
  });

  it("is the predecessor itself where they are equal, also one from the database", () => {
    fc.assert(
      fc.property(fc.clone(value, 2), ([original, copy]) => {
        const store = new Store();
        const before = store.read(store.write(store.encode(original)));
        expect(rebase(store.encode(copy), before)).toBe(before);
      }),
      RUNS,
    );
  });

  it("shares what an encoding against the predecessor would have shared", () => {
    const store = new Store();
    const list = Array.from({ length: 50 }, (_, i) => ({ id: i, text: "x".repeat(i * 20) }));
    const before = store.read(store.write(store.encode({ list, n: 1 })));
    const after = { list: [...list, { id: 50, text: "" }], n: 2 };
    const rebased = rebase(new Store().encode(after), before);
    // An encoding finds nothing to do on either.
    expect(store.encode(after, rebased)).toBe(rebased);
    const shared = (rebased as { list: Node[] }).list.filter((node) =>
      (before as { list: Node[] }).list.includes(node),
    );
    expect(shared).toHaveLength(50);
  });
});
