/** What is done about a failed attempt. */

import { GraphInterrupt } from "@langchain/langgraph";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BreakerOpenError, markExhausted } from "../../src/errors.ts";
import {
  nextStep,
  type NextStep,
  type Series,
  type StepOptions,
} from "../../src/policy/next-step.ts";
import { resolveRetry, type RetryPolicy } from "../../src/policy/retry-policy.ts";

const NOW = 1_000_000;
const failing = (status: number, headers: Record<string, string> = {}): Error =>
  Object.assign(new Error(String(status)), { status, headers });

function step(
  policy: RetryPolicy,
  error: unknown,
  series: Partial<Series> = {},
  options: Partial<StepOptions> = {},
): NextStep {
  return nextStep({ failed: 0, startedAt: NOW, ...series }, error, resolveRetry(policy), {
    now: NOW,
    random: () => 0.5,
    ...options,
  });
}

describe("the next step", () => {
  it("is another attempt while there are any", () => {
    expect(step({}, failing(503))).toMatchObject({ step: "retry", retryAt: NOW + 250 });
    expect(step({}, failing(503), { failed: 2 })).toMatchObject({ retryAt: NOW + 1_000 });
    expect(step({}, failing(503), { failed: 3 })).toMatchObject({
      step: "fail",
      because: "attempts",
    });
    expect(step({ maxAttempts: 1 }, failing(503))).toMatchObject({ because: "attempts" });
  });

  it("obeys what was told, beyond maxInterval, and never earlier", () => {
    const told = (jitter: RetryPolicy["jitter"], seconds: string, draw: number): NextStep =>
      step(
        { jitter: jitter ?? 0.3, maxInterval: 5_000 },
        failing(429, { "retry-after": seconds }),
        {},
        { random: () => draw },
      );
    expect(told(0.3, "60", 0)).toMatchObject({ retryAt: NOW + 60_000 });
    expect(told(0.3, "60", 0.999_999)).toMatchObject({ retryAt: NOW + 65_000 });
    expect(told("full", "2", 0)).toMatchObject({ retryAt: NOW + 2_000 });
    expect(told("none", "2", 0.9)).toMatchObject({ retryAt: NOW + 2_000 });
  });

  it("is none for what is not retryable, unless the user wants it", () => {
    expect(step({}, failing(400))).toMatchObject({ step: "fail", because: "terminal" });
    expect(step({}, new TypeError("x"))).toMatchObject({ because: "terminal" });
    expect(step({}, new Error("?"))).toMatchObject({ because: "terminal" });
    expect(step({ retryOn: () => true }, new TypeError("x"))).toMatchObject({ step: "retry" });
    expect(step({ retryOn: ["unknown"] }, new Error("?"))).toMatchObject({ step: "retry" });
    expect(step({ retryOn: ["unknown"] }, failing(503))).toMatchObject({ step: "fail" });
    expect(step({ retryOn: [TypeError] }, new TypeError("x"))).toMatchObject({ step: "retry" });
    expect(step({ retryOn: TypeError }, new TypeError("x"))).toMatchObject({ step: "retry" });
    expect(step({ retryOn: TypeError }, new RangeError("x"))).toMatchObject({ step: "fail" });
    expect(
      step({ retryOn: ["server"] }, failing(503, { "x-should-retry": "false" })),
    ).toMatchObject({ step: "fail" });
    expect(step({ retryOn: () => true }, markExhausted(failing(503)))).toMatchObject({
      step: "fail",
    });
  });

  it("stops where the next attempt would come too late", () => {
    expect(step({ maxElapsed: 249 }, failing(503))).toMatchObject({ because: "elapsed" });
    expect(step({ maxElapsed: 250 }, failing(503))).toMatchObject({ step: "retry" });
    expect(step({ maxElapsed: 250 }, failing(503), { startedAt: NOW - 1 })).toMatchObject({
      because: "elapsed",
    });
    const deadline = (deadlineAt: number): NextStep => step({}, failing(503), {}, { deadlineAt });
    expect(deadline(NOW + 250)).toMatchObject({ step: "fail", because: "deadline" });
    expect(deadline(NOW + 251)).toMatchObject({ step: "retry" });
  });

  it("parks on exhaustion where told to, and only what may pass", () => {
    const park: RetryPolicy = { onExhausted: "park", maxAttempts: 1 };
    expect(step(park, failing(503))).toMatchObject({ step: "park", retryAt: NOW + 300_000 });
    expect(step({ ...park, parkFor: 10 }, failing(429, { "retry-after": "60" }))).toMatchObject({
      step: "park",
      retryAt: NOW + 69_000,
    });
    expect(step(park, failing(400))).toMatchObject({ step: "fail", because: "terminal" });
    expect(step(park, failing(503), {}, { deadlineAt: NOW + 5 })).toMatchObject({ step: "fail" });
  });

  it("waits for a breaker without spending an attempt", () => {
    const open = new BreakerOpenError("b", NOW + 60_000);
    expect(step({ jitter: false }, open, { failed: 3 })).toMatchObject({
      step: "retry",
      counted: false,
      retryAt: NOW + 60_000,
    });
  });

  it("passes what is no failure", () => {
    expect(step({}, new GraphInterrupt([]))).toEqual({ step: "pass" });
    const signal = AbortSignal.abort(new Error("stop"));
    expect(step({}, signal.reason, {}, { signal })).toEqual({ step: "pass" });
  });

  it("takes the last wait for decorrelated jitter from the record", () => {
    const series = { failed: 1, error: { at: NOW - 5_000 }, nextAttemptAt: NOW - 1_000 };
    expect(step({ jitter: "decorrelated" }, failing(529), series)).toMatchObject({
      retryAt: NOW + 1_000 + (12_000 - 1_000) / 2,
    });
  });

  it("N1, N2: ends after maxAttempts, in time, and says the same again", () => {
    const policies = fc.record(
      {
        maxAttempts: fc.integer({ min: 1, max: 10 }),
        maxElapsed: fc.integer({ min: 0, max: 100_000 }),
        initialInterval: fc.integer({ min: 0, max: 60_000 }),
        jitter: fc.constantFrom<NonNullable<RetryPolicy["jitter"]>>(
          0,
          0.3,
          1,
          true,
          "full",
          "decorrelated",
        ),
      },
      { requiredKeys: ["maxAttempts"] },
    );
    const draws = fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }));
    const statuses = fc.infiniteStream(fc.constantFrom(429, 500, 503, 529, 408));
    fc.assert(
      fc.property(
        policies,
        draws,
        statuses,
        fc.integer({ min: 1 }),
        (policy, draw, status, left) => {
          let series: Series = { failed: 0, startedAt: NOW };
          let now = NOW;
          const deadlineAt = NOW + left;
          for (let attempts = 1; ; attempts += 1) {
            const error = failing(status.next().value as number);
            const chance = draw.next().value as number;
            const decide = (): NextStep =>
              step(policy, error, series, { now, random: () => chance, deadlineAt });
            const next = decide();
            expect(decide()).toEqual(next);
            expect(attempts).toBeLessThanOrEqual(policy.maxAttempts ?? 0);
            if (next.step !== "retry") break;
            expect(next.retryAt).toBeGreaterThanOrEqual(now);
            expect(next.retryAt).toBeLessThan(deadlineAt);
            expect(next.retryAt - NOW).toBeLessThanOrEqual(policy.maxElapsed ?? Infinity);
            series = {
              ...series,
              failed: attempts,
              error: { at: now },
              nextAttemptAt: next.retryAt,
            };
            now = next.retryAt;
          }
        },
      ),
    );
  });
});
