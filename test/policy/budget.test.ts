/** Budgets and prices. */

import { deepEqual, equal } from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BudgetExceededError } from "../../src/errors.ts";
import {
  BUDGET_UNITS,
  committedOf,
  proposedLimit,
  raise,
  reserve,
  resolveBudget,
  RESERVATION_LEASE,
  settle,
  type Amounts,
  type BudgetPolicy,
  type BudgetState,
  type BudgetUnit,
  type Reservation,
  standing,
} from "../../src/policy/budget.ts";
import { checkPrices, costOf, DEFAULT_PRICES, priceOf } from "../../src/policy/prices.ts";

class Kept {
  state: BudgetState | undefined;
  now = 1_000_000;
  readonly limits;

  constructor(policy: BudgetPolicy) {
    this.limits = resolveBudget("budget", policy);
  }

  reserve(id: string, needed: Amounts): Reservation {
    const first = reserve(this.state, id, needed, this.now, this.limits);
    if (first.state !== undefined) {
      this.state = JSON.parse(JSON.stringify(first.state)) as BudgetState;
    }
    // G4: the commit's answer was lost, and it is computed again.
    const again = reserve(this.state, id, needed, this.now, this.limits);
    deepEqual(again, { reservation: first.reservation });
    return first.reservation;
  }

  raise(unit: BudgetUnit, limit: number): void {
    const next = raise(this.state, unit, limit);
    if (next !== undefined) this.state = JSON.parse(JSON.stringify(next)) as BudgetState;
    equal(raise(this.state, unit, limit), undefined);
  }

  /** The limit that holds. */
  limit(unit: BudgetUnit): number {
    return Math.max(this.limits[unit] ?? Infinity, this.state?.raisedTo?.[unit] ?? 0);
  }

  settle(id: string, used: Amounts): void {
    const next = settle(this.state, id, used, this.now);
    if (next !== undefined) this.state = JSON.parse(JSON.stringify(next)) as BudgetState;
    equal(settle(this.state, id, used, this.now), undefined);
  }
}

describe("a budget", () => {
  it("keeps what a call may cost, and takes what it did", () => {
    const budget = new Kept({ usd: 1, calls: 10 });
    expect(budget.reserve("a", { usd: 0.6, calls: 1 })).toEqual({ granted: true });
    expect(budget.reserve("b", { usd: 0.6, calls: 1 })).toEqual({
      granted: false,
      unit: "usd",
      limit: 1,
      spent: 0.6,
      needed: 0.6,
      first: true,
    });
    budget.settle("a", { usd: 0.1, calls: 1 });
    expect(budget.reserve("b", { usd: 0.6, calls: 1 })).toEqual({ granted: true });
    budget.settle("b", { usd: 0.2 });
    expect(budget.state).toMatchObject({ spent: { usd: 0.3, calls: 1 }, reserved: {} });
  });

  it("reports each limit as exceeded once", () => {
    const budget = new Kept({ calls: 1 });
    budget.reserve("a", { calls: 1 });
    expect(budget.reserve("b", { calls: 1 })).toMatchObject({ granted: false, first: true });
    expect(budget.reserve("c", { calls: 1 })).toMatchObject({ granted: false, first: false });
    const raised = resolveBudget("budget", { calls: 0 });
    expect(reserve(budget.state, "d", { calls: 1 }, budget.now, raised).reservation).toMatchObject({
      first: true,
    });
  });

  it("lets nothing through once it is spent, though nobody knows what the call costs", () => {
    const budget = new Kept({ usd: 0.001 });
    expect(budget.reserve("a", {})).toEqual({ granted: true });
    budget.settle("a", { usd: 0.002 });
    expect(budget.reserve("b", {})).toMatchObject({ granted: false, spent: 0.002, needed: 0 });
    expect(new Kept({ usd: 0 }).reserve("a", {})).toMatchObject({ granted: false });
  });

  it("counts retries only where there is one", () => {
    const budget = new Kept({ retries: 1 });
    expect(budget.reserve("first", {})).toEqual({ granted: true });
    expect(budget.reserve("second", { retries: 1 })).toEqual({ granted: true });
    expect(budget.reserve("third", { retries: 1 })).toMatchObject({ unit: "retries" });
    expect(budget.reserve("another call", {})).toEqual({ granted: true });
  });

  it("gives up for spent what dead processes reserved", () => {
    const budget = new Kept({ usd: 1 });
    budget.reserve("dead", { usd: 0.7 });
    budget.now += RESERVATION_LEASE;
    expect(budget.reserve("a", { usd: 0.4 })).toMatchObject({ granted: false, spent: 0.7 });
    expect(budget.state).toMatchObject({ spent: { usd: 0.7 }, reserved: {} });
    budget.settle("dead", { usd: 0.1 });
    expect(budget.state?.spent).toEqual({ usd: 0.7 });
  });

  it("is not poisoned by what is no amount", () => {
    const budget = new Kept({ usd: 1 });
    budget.reserve("a", { usd: NaN, tokens: -5, calls: Infinity });
    budget.settle("a", { usd: NaN, tokens: -5 });
    expect(budget.state).toMatchObject({ spent: {}, reserved: {} });
  });

  it("G4: covers more once it was raised, also for those whose own limit is lower", () => {
    const budget = new Kept({ calls: 1 });
    budget.reserve("a", { calls: 1 });
    expect(budget.reserve("b", { calls: 1 })).toMatchObject({ granted: false, limit: 1 });
    const exceeded = budget.state?.exceeded?.calls;
    expect(exceeded).toEqual({ limit: 1, by: "b", spent: 1, needed: 1 });
    // As told to whoever is asked: the same, though others are refused meanwhile.
    budget.reserve("c", { calls: 5 });
    expect(budget.state?.exceeded?.calls).toEqual(exceeded);
    expect(exceeded && proposedLimit(exceeded, 1)).toBe(2);
    budget.raise("calls", 2);
    budget.raise("calls", 1);
    expect(budget.reserve("d", { calls: 1 })).toEqual({ granted: true });
    expect(budget.reserve("e", { calls: 1 })).toMatchObject({ granted: false, limit: 2, spent: 2 });
  });

  it("G1 to G4: is never oversold, and adds up", () => {
    const amounts = fc.record(
      {
        usd: fc.integer({ min: 0, max: 400_000_000 }).map((billionths) => billionths / 1e9),
        tokens: fc.integer({ min: 0, max: 400 }),
        calls: fc.constant(1),
      },
      { requiredKeys: [] },
    );
    const actions = fc.array(
      fc.record({
        what: fc.constantFrom("reserve", "reserve", "settle", "settle again", "late", "raise"),
        pick: fc.nat(),
        amounts,
        share: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
      { maxLength: 80 },
    );
    fc.assert(
      fc.property(actions, (script) => {
        const budget = new Kept({ usd: 1, tokens: 1_000, calls: 12 });
        const flying: { id: string; needed: Amounts }[] = [];
        const settled: string[] = [];
        const spent: Required<Amounts> = { usd: 0, tokens: 0, calls: 0, retries: 0 };
        script.forEach(({ what, pick, amounts: needed, share }, number) => {
          if (what === "reserve") {
            const id = `call-${number}`;
            if (budget.reserve(id, needed).granted) flying.push({ id, needed });
          } else if (what === "late") {
            budget.now += RESERVATION_LEASE;
            for (const dead of flying.splice(0)) {
              for (const unit of BUDGET_UNITS) spent[unit] += dead.needed[unit] ?? 0;
              settled.push(dead.id);
            }
          } else if (what === "raise") {
            budget.raise(pick % 2 === 0 ? "usd" : "calls", 1 + (pick % 20));
          } else if (what === "settle again") {
            const id = settled[pick % Math.max(1, settled.length)];
            if (id !== undefined) budget.settle(id, needed);
          } else {
            const [call] = flying.splice(pick % Math.max(1, flying.length), 1);
            if (call === undefined) return;
            const used = {
              usd: Math.floor((call.needed.usd ?? 0) * share * 1e9) / 1e9,
              tokens: Math.floor((call.needed.tokens ?? 0) * share),
              calls: call.needed.calls ?? 0,
            };
            budget.settle(call.id, used);
            settled.push(call.id);
            for (const unit of ["usd", "tokens", "calls"] as const) spent[unit] += used[unit];
          }
          const committed = committedOf(budget.state ?? { spent: {}, reserved: {} });
          for (const unit of BUDGET_UNITS) {
            expect(committed[unit] ?? 0).toBeLessThanOrEqual(budget.limit(unit));
          }
        });
        // What died counts as spent, whether or not a reservation has written that down since.
        const known = standing(budget.state ?? { spent: {}, reserved: {} }, budget.now);
        for (const unit of BUDGET_UNITS) {
          expect(known.spent[unit] ?? 0).toBeCloseTo(spent[unit], 9);
        }
      }),
      { numRuns: 300 },
    );
  });

  it.each<[BudgetPolicy, RegExp]>([
    [{}, /budget limits nothing: give one of usd, tokens, calls, retries/],
    [{ usd: -1 }, /budget\.usd must be a finite number of 0 or more, not -1/],
    [{ tokens: 1.5 }, /budget\.tokens must be a whole number of 0 or more, not 1\.5/],
    [{ usd: NaN }, /budget\.usd .* not NaN/],
    [{ usd: 1, per: "week" as never }, /budget\.per must be one of "run", "thread", "node"/],
    [{ usd: 1, per: { key: "" } }, /budget\.per\.key must be a text, not ""/],
    [{ usd: 1, onExhausted: "park" as never }, /onExhausted must be one of "fail", "ask"/],
    [{ eur: 1 } as BudgetPolicy, /budget has no option "eur"/],
  ])("refuses %o", (policy, message) => {
    expect(() => resolveBudget("budget", policy)).toThrow(message);
  });

  it("says in its error what was spent, and what was wanted", () => {
    const facts = { budget: "run", unit: "usd", limit: 0.001, spent: 0.0004, attempts: 2 } as const;
    expect(new BudgetExceededError({ ...facts, needed: 0.0008 }).message).toBe(
      'The budget "run" does not cover the next call: 0.0004 of 0.001 usd spent, 0.0008 needed, ' +
        "after 2 attempts.",
    );
    expect(new BudgetExceededError({ ...facts, spent: 0.002 }).message).toBe(
      'The budget "run" is spent: 0.002 of 0.001 usd, after 2 attempts.',
    );
  });
});

describe("prices", () => {
  it("are found by name, dated or not, with or without the provider", () => {
    const mini = DEFAULT_PRICES["gpt-4o-mini"];
    for (const name of ["gpt-4o-mini", "openai:gpt-4o-mini", "openai/gpt-4o-mini-2024-07-18"]) {
      expect(priceOf(name)).toEqual(mini);
    }
    expect(priceOf("claude-sonnet-4-5-20250929")).toEqual(DEFAULT_PRICES["claude-sonnet-4-5"]);
    for (const name of ["gpt-4o-audio-preview", "llama", "", "toString", "__proto__"]) {
      expect(priceOf(name)).toBe(undefined);
    }
  });

  it("are the user's first", () => {
    const own = { "gpt-4o": { input: 1, output: 2 }, local: { input: 0, output: 0 } };
    expect(priceOf("gpt-4o-2024-08-06", own)).toEqual({ input: 1, output: 2 });
    expect(costOf("local", { inputTokens: 5, outputTokens: 5 }, own)).toBe(0);
  });

  it("make costs, with what came from the cache", () => {
    expect(costOf("gpt-4o", { inputTokens: 1_000_000, outputTokens: 100_000 })).toBe(3.5);
    const cached = { inputTokens: 1_000_000, outputTokens: 0, cachedInputTokens: 500_000 };
    expect(costOf("gpt-4o", cached)).toBe(1.875);
    expect(costOf("nobody's", cached)).toBe(undefined);
  });

  it("are refused where they are none", () => {
    const check = (price: object) => () => checkPrices("prices", { x: price as never });
    expect(check({ input: 1 })).toThrow(/prices\["x"\]\.output .* not undefined/);
    expect(check({ input: -1, output: 1 })).toThrow(/prices\["x"\]\.input .* not -1/);
    expect(check({ input: 1, output: 1, inputs: 1 })).toThrow(/did you mean "input"/);
  });
});
