import { AIMessage, AIMessageChunk, HumanMessage, ToolMessage } from "@langchain/core/messages";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { diff, formatDiff } from "../../src/history/index.ts";
import type { Change } from "../../src/history/index.ts";
import { isEqual } from "../../src/history/structure.ts";

describe("diff", () => {
  it("tells nothing of equal values", () => {
    for (const make of [
      () => ({ a: [1, { b: null }], c: undefined }),
      () => new Date(5),
      () => new Map<unknown, unknown>([["a", [1]]]),
      () => new Map<unknown, unknown>([[{}, 1]]),
      () => new Set([1, "b"]),
      () => new Set([{ a: 1 }]),
      () => new Uint8Array([1, 2]),
      () => Buffer.from("x"),
      () => new Error("e", { cause: [1] }),
      () => [Number.NaN, 10n, /x/g, new URL("http://a/")],
      () => new HumanMessage("hi"),
    ]) {
      expect(diff(make(), make())).toEqual([]);
    }
  });

  it("tells unlike leaves apart", () => {
    const leaves = [
      ...[0, -0, 1, Number.NaN, 1n, "1", true, null, undefined],
      ...[new Date(1), new Date(2), new Set([1]), new Set([2]), /a/, /a/g],
      ...[new Uint8Array([1]), new Uint8Array([2]), new Int8Array([1]), Buffer.from([1])],
      ...[new Error("a"), new TypeError("a"), new Error("b"), new Map([[1, 1]]), new URL("a:b")],
    ];
    for (const [i, before] of leaves.entries()) {
      for (const after of leaves.slice(i + 1)) {
        expect(diff(before, after)).toEqual([{ kind: "changed", path: [], before, after }]);
      }
    }
  });

  it("follows lists: appends, removals in front, moves of the window", () => {
    expect(diff([1, 2], [1, 2, 3, 4])).toEqual([
      { kind: "added", path: [2], after: 3 },
      { kind: "added", path: [3], after: 4 },
    ]);
    expect(diff(["a", "b", "c"], ["b", "c", "d"])).toEqual([
      { kind: "removed", path: [0], before: "a" },
      { kind: "added", path: [2], after: "d" },
    ]);
    expect(diff([{ n: 1 }, { n: 2 }], [{ n: 1 }, { n: 3 }])).toEqual([
      { kind: "changed", path: [1, "n"], before: 2, after: 3 },
    ]);
  });

  it("follows elements by their id", () => {
    const before = [
      { id: "a", done: false },
      { id: "b", done: false },
    ];
    const after = [{ id: "b", done: true }, { id: "c" }];
    expect(diff(before, after)).toEqual([
      { kind: "removed", path: [0], before: before[0] },
      { kind: "changed", path: [0, "done"], before: false, after: true },
      { kind: "added", path: [1], after: after[1] },
    ]);
  });

  it("compares messages by what they say", () => {
    const said = (content: string, id = "1") => new AIMessage({ content, id });
    expect(diff(said("a"), new AIMessageChunk({ content: "a", id: "1" }))).toEqual([]);
    expect(diff([said("a")], [said("b")])).toEqual([
      { kind: "changed", path: [0, "content"], before: "a", after: "b" },
    ]);
    const human = new HumanMessage("a");
    const machine = new AIMessage("a");
    expect(diff(human, machine)).toEqual([
      { kind: "changed", path: [], before: human, after: machine },
    ]);
    const call = { name: "search", args: { q: "kelp" }, id: "c1", type: "tool_call" as const };
    expect(
      diff(
        [new AIMessage({ content: "", tool_calls: [] })],
        [new AIMessage({ content: "", tool_calls: [call] })],
      ),
    ).toEqual([{ kind: "added", path: [0, "tool_calls"], after: [call] }]);
  });

  it("keeps odd keys as they are", () => {
    const after = JSON.parse('{"__proto__": 1, "constructor": 2, "a.b": 3}') as object;
    expect(diff({}, after)).toEqual([
      { kind: "added", path: ["__proto__"], after: 1 },
      { kind: "added", path: ["constructor"], after: 2 },
      { kind: "added", path: ["a.b"], after: 3 },
    ]);
  });

  it("stays quick on long lists that have nothing in common", () => {
    const long = (from: number) => Array.from({ length: 5_000 }, (_, i) => ({ id: from + i }));
    const started = performance.now();
    expect(diff(long(0), long(10_000))).toHaveLength(10_000);
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it("applied to the older value gives the newer one", () => {
    fc.assert(
      fc.property(state, state, (before, after) => {
        const changes = diff(before, after);
        expect(apply(structuredClone(before), changes)).toEqual(after);
        expect(changes.length === 0).toBe(isEqual(before, after));
      }),
      { numRuns: 2_000 },
    );
  });

  it("of a list edited in place says no more than was edited", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer(), { maxLength: 60 }),
        fc.nat(),
        fc.integer(),
        (list, at, value) => {
          const index = at % (list.length + 1);
          expect(diff(list, list.toSpliced(index, 0, value))).toHaveLength(1);
          const shorter = list.toSpliced(index, 1);
          expect(diff(list, shorter)).toHaveLength(list.length - shorter.length);
        },
      ),
    );
  });
});

describe("formatDiff", () => {
  it("writes one line per change", () => {
    const before = { title: "old", "a b": { c: [1] }, gone: true };
    const after = {
      title: "new",
      "a b": { c: [1, { d: "x".repeat(200) }] },
      messages: [
        new HumanMessage("hello\nthere"),
        new ToolMessage({ content: "42", tool_call_id: "c1" }),
      ],
    };
    expect(formatDiff(diff(before, after), { width: 20 })).toBe(
      [
        '~ title: "old" → "new"',
        '+ ["a b"].c[1]: { d: "xxxxxxxxxxxxx…',
        "- gone: true",
        '+ messages: [human: "hello\\nthe…',
      ].join("\n"),
    );
    expect(formatDiff([])).toBe("");
    expect(formatDiff(diff(1, 2))).toBe("~ (value): 1 → 2");
  });

  it("does not cut through a character", () => {
    const [line] = formatDiff(diff("", "😀".repeat(50)), { width: 11 })
      .split("→ ")
      .slice(1);
    expect(line?.isWellFormed()).toBe(true);
  });
});

const { tree: state } = fc.letrec((tie) => ({
  tree: fc.oneof({ maxDepth: 4 }, tie("leaf"), tie("list"), tie("record")),
  leaf: fc.oneof(fc.constantFrom(0, 1, "a", "b", null, undefined, true), fc.double()),
  list: fc.array(tie("tree"), { maxLength: 7 }),
  record: fc.dictionary(
    fc.oneof(fc.constantFrom("id", "a", "b", "c"), fc.string({ maxLength: 3 })),
    tie("tree"),
    { maxKeys: 4, noNullPrototype: true },
  ),
}));

/** Outer levels first, so that positions further in count in lists as they are now. */
function apply(value: unknown, changes: readonly Change[]): unknown {
  const root = { value };
  const order = { removed: 0, added: 1, changed: 2 };
  // Removals from the end of a list to its front, so that each finds its position.
  const sorted = changes
    .map((change, index) => ({ ...change, at: change.kind === "removed" ? -index : index }))
    .toSorted(
      (a, b) => a.path.length - b.path.length || order[a.kind] - order[b.kind] || a.at - b.at,
    );
  for (const change of sorted) {
    const path = ["value", ...change.path];
    const last = path.pop() ?? "";
    const parent = path.reduce<unknown>(
      (at, step) => (at as Record<string | number, unknown>)[step],
      root,
    );
    const inList = Array.isArray(parent);
    if (change.kind === "removed") {
      if (inList) parent.splice(Number(last), 1);
      else Reflect.deleteProperty(parent as object, last);
    } else if (change.kind === "added" && inList) {
      parent.splice(Number(last), 0, change.after);
    } else {
      Object.defineProperty(parent, last, {
        value: change.after,
        configurable: true,
        enumerable: true,
        writable: true,
      });
    }
  }
  return root.value;
}
