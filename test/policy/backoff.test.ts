/** Waits on curves and told waits, and the options that shape them. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvalidInputError } from "../../src/errors.ts";
import { backoff, told, type Curve } from "../../src/policy/backoff.ts";
import { ERROR_KINDS } from "../../src/policy/kinds.ts";
import { costNotice, resolveRetry, type RetryPolicy } from "../../src/policy/retry-policy.ts";

const interval = fc.double({ min: 0, max: 1e7, noNaN: true });
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const curves: fc.Arbitrary<Curve> = fc.record({
  initialInterval: interval,
  backoffFactor: fc.double({ min: 1, max: 100, noNaN: true }),
  maxInterval: interval,
  jitter: fc.oneof(
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.constantFrom<"none" | "full" | "decorrelated">("none", "full", "decorrelated"),
  ),
});
const failures = fc.integer({ min: 1, max: 2_000 });

describe("a wait on a curve", () => {
  it("B1: is within its bounds, whatever the options, the failures and chance", () => {
    fc.assert(
      fc.property(curves, failures, chance, fc.option(interval), (curve, failed, draw, last) => {
        const wait = backoff(curve, failed, () => draw, last ?? undefined);
        expect(Number.isInteger(wait)).toBe(true);
        expect(wait).toBeGreaterThanOrEqual(0);
        expect(wait).toBeLessThanOrEqual(Math.round(curve.maxInterval));
        const even =
          curve.initialInterval === 0
            ? 0
            : Math.min(
                curve.maxInterval,
                curve.initialInterval * curve.backoffFactor ** (failed - 1),
              );
        if (curve.jitter === "none") expect(wait).toBe(Math.round(even));
        if (typeof curve.jitter === "number") {
          expect(wait).toBeGreaterThanOrEqual(Math.floor(even * (1 - curve.jitter)));
          expect(wait).toBeLessThanOrEqual(Math.ceil(even * (1 + curve.jitter)));
        }
        if (curve.jitter === "decorrelated") {
          const low = Math.min(curve.initialInterval, curve.maxInterval);
          expect(wait).toBeGreaterThanOrEqual(Math.floor(low));
        }
      }),
    );
  });

  it("B2: that was told is never cut, and only lengthened", () => {
    fc.assert(
      fc.property(
        curves,
        fc.double({ min: 1, max: 1e9, noNaN: true }),
        chance,
        (curve, asked, draw) => {
          const wait = told(curve, asked, () => draw);
          expect(wait).toBeGreaterThanOrEqual(asked);
          expect(wait).toBeLessThanOrEqual(Math.ceil(asked + Math.min(asked, curve.maxInterval)));
          if (curve.jitter === "none") expect(wait).toBe(Math.ceil(asked));
        },
      ),
    );
  });

  it("grows, and stays at its limit without heaping up there", () => {
    const curve = resolveRetry({}).curve("overloaded");
    const middle = [1, 2, 3, 4, 5].map((failed) => backoff(curve, failed, () => 0.5));
    expect(middle).toEqual([1_000, 2_000, 4_000, 8_000, 16_000]);
    const last = [0, 0.25, 0.5, 0.75].map((draw) => backoff(curve, 20, () => draw));
    expect(last).toEqual([21_000, 23_250, 25_500, 27_750]);
  });

  it("is decorrelated from the last one", () => {
    const curve = resolveRetry({ jitter: "decorrelated" }).curve("unknown");
    expect(backoff(curve, 1, () => 0.5)).toBe(2_000);
    expect(backoff(curve, 2, () => 0.5, 2_000)).toBe(3_500);
    expect(backoff(curve, 9, () => 0.999, 30_000)).toBeLessThanOrEqual(30_000);
  });
});

describe("curves of kinds", () => {
  it("begin at 250 ms after network and server errors, at 5 s after rate limits, else at 1 s", () => {
    const { curve } = resolveRetry();
    const initial = ERROR_KINDS.map((kind) => [kind, curve(kind).initialInterval] as const);
    expect(Object.fromEntries(initial)).toMatchObject({
      network: 250,
      server: 250,
      "rate-limit": 5_000,
      overloaded: 1_000,
      timeout: 1_000,
    });
    expect(curve("server")).toMatchObject({ backoffFactor: 2, maxInterval: 30_000, jitter: 0.3 });
  });

  it("begin where the user says, for all kinds or for one", () => {
    const { curve } = resolveRetry({
      initialInterval: 100,
      jitter: true,
      byKind: { "rate-limit": { initialInterval: 9_000, jitter: "full" } },
    });
    expect(curve("server")).toMatchObject({ initialInterval: 100, jitter: 0.3 });
    expect(curve("rate-limit")).toMatchObject({ initialInterval: 9_000, jitter: "full" });
    expect(resolveRetry({ jitter: false }).curve("server").jitter).toBe("none");
  });

  it("are merged option by option, later policies first", () => {
    const merged = resolveRetry(
      { maxAttempts: 7, maxInterval: 9, byKind: { server: { initialInterval: 1, jitter: 0 } } },
      { maxAttempts: undefined as never, maxInterval: 8, byKind: { server: { jitter: 0.5 } } },
      undefined,
    );
    expect(merged.maxAttempts).toBe(7);
    expect(merged.curve("server")).toMatchObject({
      initialInterval: 1,
      jitter: 0.5,
      maxInterval: 8,
    });
  });
});

describe("a policy that can't be", () => {
  const cases: Array<[unknown, RegExp]> = [
    [{ maxAttempts: 0 }, /^retry\.maxAttempts must be a whole number of 1 or more, not 0\.$/],
    [{ maxAttempts: 2.5 }, /retry\.maxAttempts must be a whole number of 1 or more, not 2\.5/],
    [{ maxAttempts: NaN }, /retry\.maxAttempts .* not NaN/],
    [{ maxAttempts: "4" }, /retry\.maxAttempts .* not "4"/],
    [{ maxAttempts: null }, /retry\.maxAttempts .* not null/],
    [
      { initialInterval: -1 },
      /retry\.initialInterval must be a finite number of 0 or more, not -1/,
    ],
    [{ maxInterval: Infinity }, /retry\.maxInterval .* not Infinity/],
    [{ backoffFactor: 0.5 }, /retry\.backoffFactor must be a finite number of 1 or more, not 0\.5/],
    [{ jitter: 1.5 }, /retry\.jitter must be a finite number of 0 or more and at most 1, not 1\.5/],
    [{ jitter: "some" }, /retry\.jitter must be one of "none", "full", "decorrelated", not "some"/],
    [{ maxElapsed: -5 }, /retry\.maxElapsed/],
    [{ parkFor: 0 }, /retry\.parkFor must be a finite number of more than 0, not 0/],
    [{ onExhausted: "wait" }, /retry\.onExhausted must be one of "fail", "park", not "wait"/],
    [
      { maxAtempts: 3 },
      /retry has no option "maxAtempts"; did you mean "maxAttempts"\? There are:/,
    ],
    [{ retries: 3 }, /retry has no option "retries"\. There are: maxAttempts, /],
    [{ retryOn: "server" }, /retry\.retryOn must be a function, or a list .* not "server"/],
    [{ retryOn: ["server", "sever"] }, /retry\.retryOn .* not a list with "sever"/],
    [{ retryOn: null }, /retry\.retryOn .* not null/],
    [{ byKind: { sever: {} } }, /retry\.byKind has no option "sever"; did you mean "server"\?/],
    [
      { byKind: { server: { initialInterval: -1 } } },
      /retry\.byKind\["server"\]\.initialInterval .* not -1/,
    ],
    [
      { byKind: { server: { maxAttempts: 1 } } },
      /retry\.byKind\["server"\] has no option "maxAttempts"/,
    ],
    [[], /retry must be an object with options, not an array/],
    [3, /retry must be an object with options, not 3/],
  ];
  it.each(cases)("%o", (policy, message) => {
    const resolve = (): unknown => resolveRetry(policy as RetryPolicy);
    expect(resolve).toThrow(InvalidInputError);
    expect(resolve).toThrow(message);
  });

  it("is none of LangGraph's", () => {
    const langGraphs = {
      initialInterval: 500,
      backoffFactor: 2,
      maxInterval: 128_000,
      maxAttempts: 3,
      jitter: true,
      retryOn: (error: { status: number }) => error.status === 503,
      logWarning: false,
    };
    expect(resolveRetry(langGraphs).maxAttempts).toBe(3);
  });
});

describe("many attempts", () => {
  it("are named with their cost, from the sixth on", () => {
    const notice = (maxAttempts: number): string | undefined =>
      costNotice(resolveRetry({ maxAttempts }), { kind: "model", name: "openai:gpt-4o" });
    expect(notice(5)).toBe(undefined);
    expect(notice(6)).toMatch(/model "openai:gpt-4o" may be called 6 times .* 6 times the price/);
  });
});
