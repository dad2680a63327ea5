import { describe, expect, it } from "vitest";
import { BranchNames } from "../../src/history/branches.ts";

/** Ids newest first, each with its parent. */
function named(...checkpoints: [id: string, parent?: string][]): string[] {
  const names = new BranchNames();
  return checkpoints.map(([id, parent]) => names.next(id, parent));
}

describe("branch names", () => {
  it("call a single line main", () => {
    expect(named(["c", "b"], ["b", "a"], ["a"])).toEqual(["main", "main", "main"]);
  });

  it("give the shared part to main, wherever the other branch ends", () => {
    // a - b - c - d, and e on b.
    expect(named(["e", "b"], ["d", "c"], ["c", "b"], ["b", "a"], ["a"])).toEqual([
      ...["main", "d", "d", "main", "main"],
    ]);
  });

  it("give what two other branches share to the newer one", () => {
    // head on a; e and d both on b, which is on a.
    expect(named(["head", "a"], ["e", "b"], ["d", "b"], ["b", "a"], ["a"])).toEqual([
      ...["main", "e", "d", "e", "main"],
    ]);
  });

  it("name a branch after the beginning of its last id, and tell twins apart", () => {
    const twins = ["1f1e57ac-ea02-6a91-8000-a", "1f1e57ac-ea02-6a90-8000-b"] as const;
    expect(named(["z"], [twins[0]], [twins[1]])).toEqual(["main", "1f1e57ac-ea02", twins[1]]);
  });

  it("do not confuse a pruned parent with anything", () => {
    expect(named(["c", "gone"], ["b", "a"], ["a"])).toEqual(["main", "b", "b"]);
  });
});
