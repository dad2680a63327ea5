/** What a worker knows of its thread's latest checkpoint without asking. */

import { describe, expect, it } from "vitest";
import type { FoundCheckpoint } from "../../checkpointers/dialect.ts";
import { Tip } from "../../checkpointers/tip.ts";
import { keyOf } from "../../src/ids.ts";

const found = (id: string): FoundCheckpoint =>
  ({ checkpoint: { id } }) as unknown as FoundCheckpoint;

const put = (id: string, parent: string | undefined, leaseToken: number | undefined = 7) => ({
  place: { id: keyOf(id), parent: parent === undefined ? null : keyOf(parent) },
  leaseToken,
  found: () => found(id),
});

function begun(): Tip {
  const tip = new Tip();
  tip.begin(7);
  tip.read(7, undefined);
  return tip;
}

describe("the tip of a thread", () => {
  it("is nothing before a worker has the thread, or for anybody else", () => {
    const tip = new Tip();
    tip.read(7, undefined);
    tip.put(put("a", undefined));
    expect(tip.found(7)).toBeUndefined();
    tip.begin(7);
    expect(tip.found(7)).toBeUndefined();
    tip.read(6, undefined);
    expect(tip.found(7)).toBeUndefined();
    tip.read(7, undefined);
    expect(tip.found(7)).toEqual({ found: undefined });
    expect(tip.found(6)).toBeUndefined();
    expect(tip.found(undefined)).toBeUndefined();
  });

  it("is what was put last", () => {
    const tip = begun();
    tip.put(put("a", undefined));
    tip.put(put("b", "a"));
    expect(tip.found(7)).toEqual({ found: found("b") });
  });

  it("is read again once a task has written to it", () => {
    const tip = begun();
    tip.put(put("a", undefined));
    tip.wrote(keyOf("a"));
    expect(tip.found(7)).toBeUndefined();
    tip.put(put("b", "a"));
    expect(tip.found(7)).toEqual({ found: found("b") });
  });

  it("is unknown after a write that came before its checkpoint", () => {
    const tip = begun();
    tip.put(put("a", undefined));
    tip.wrote(keyOf("b"));
    tip.put(put("b", "a"));
    expect(tip.found(7)).toBeUndefined();
  });

  it("goes on from one that was read", () => {
    const tip = begun();
    tip.read(7, keyOf("a"));
    expect(tip.found(7)).toBeUndefined();
    tip.put(put("b", "a"));
    expect(tip.found(7)).toEqual({ found: found("b") });
  });

  it.each([
    ["on another branch", put("c", "a")],
    ["on nothing", put("c", undefined)],
    ["with an id that a read would not find", put("a2", "b")],
    ["under another lease", put("c", "b", 8)],
    ["under none", { ...put("c", "b"), leaseToken: undefined }],
  ])("is unknown after a put %s", (_, stray) => {
    const tip = begun();
    tip.put(put("a", undefined));
    tip.put(put("b", "a"));
    tip.put(stray);
    expect(tip.found(7)).toBeUndefined();
    tip.put(put("d", "c"));
    expect(tip.found(7)).toBeUndefined();
  });

  it("is forgotten with its lease", () => {
    const tip = begun();
    tip.put(put("a", undefined));
    tip.begin(8);
    expect(tip.found(7)).toBeUndefined();
    expect(tip.found(8)).toBeUndefined();
    tip.read(8, undefined);
    tip.forget();
    expect(tip.found(8)).toBeUndefined();
  });
});
