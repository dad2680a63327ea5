/** What a deadline leaves. */

import { describe, expect, it } from "vitest";
import { checkDeadline, remaining, workTill } from "../../src/policy/deadline.ts";

describe("a deadline", () => {
  it("leaves what is left, without the reserve", () => {
    expect(workTill(100_000, 10_000)).toBe(90_000);
    expect(remaining(100_000, 0, 40_000)).toBe(60_000);
    expect(remaining(100_000, 10_000, 40_000)).toBe(50_000);
    expect(remaining(100_000, 10_000, 95_000)).toBe(0);
    expect(remaining(undefined, 10_000, 95_000)).toBe(Infinity);
  });

  it("refuses a reserve that is none", () => {
    expect(() => checkDeadline("deadline", { reserve: -1 })).toThrow(/deadline\.reserve .* not -1/);
    expect(() => checkDeadline("deadline", { keep: 1 } as object)).toThrow(/no option "keep"/);
  });
});
