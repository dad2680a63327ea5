/** The breaker's transitions, by example and against a simple model. */

import { deepEqual, equal } from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BreakerOpenError, BudgetExceededError } from "../../src/errors.ts";
import {
  admit,
  isolate,
  look,
  outcomeOf,
  renewTrial,
  reset,
  resolveBreaker,
  settle,
  TRIAL_LEASE,
  type Admission,
  type BreakerChange,
  type BreakerPolicy,
  type BreakerState,
  type CallOutcome,
} from "../../src/policy/breaker.ts";
import { classify } from "../../src/policy/classify.ts";

const failure: CallOutcome = { result: "failure" };
const success: CallOutcome = { result: "success" };
const neutral: CallOutcome = { result: "neutral" };

/** A breaker whose state is kept here, with time that the test moves. */
class Kept {
  state: BreakerState | undefined;
  now = 1_000_000;
  readonly changes: BreakerChange[] = [];
  readonly #policy;
  #calls = 0;

  constructor(policy: BreakerPolicy = {}) {
    this.#policy = resolveBreaker("breaker", policy);
  }

  admit(): { id: string; admission: Admission } {
    const id = `call-${(this.#calls += 1)}`;
    const first = admit(this.state, id, this.now, this.#policy);
    this.#keep(first);
    // K4: the commit's answer was lost, and it is computed again.
    const again = admit(this.state, id, this.now, this.#policy);
    const expected = [undefined, first.admission, first.change];
    deepEqual([again.state, again.admission, again.change], expected);
    return { id, admission: first.admission };
  }

  settle(id: string, admission: Admission, outcome: CallOutcome): void {
    if (!admission.allowed) throw new Error("It was turned away.");
    const call = { id, era: admission.era, outcome };
    const first = settle(this.state, call, this.now, this.#policy);
    this.#keep(first);
    const again = settle(this.state, call, this.now, this.#policy);
    // The count of a rate's window may be one off then; nothing else may.
    equal(again.state?.state ?? "closed", "closed");
    deepEqual(again.change, first.change);
  }

  call(outcome: CallOutcome): Admission {
    const { id, admission } = this.admit();
    if (admission.allowed) this.settle(id, admission, outcome);
    return admission;
  }

  renew(id: string): void {
    this.#keep(renewTrial(this.state, id, this.now));
  }

  #keep({ state, change }: { state?: BreakerState; change?: BreakerChange }): void {
    if (state !== undefined) this.state = JSON.parse(JSON.stringify(state)) as BreakerState;
    if (change !== undefined) this.changes.push(change);
  }
}

describe("a breaker", () => {
  it("opens after five failures in a row, for a minute", () => {
    const breaker = new Kept();
    for (let call = 0; call < 4; call += 1) breaker.call(failure);
    expect(breaker.state?.state).toBe("closed");
    breaker.call(failure);
    const retryAt = breaker.now + 60_000;
    expect(breaker.changes).toEqual([{ change: "opened", failures: 5, retryAt }]);
    breaker.now = retryAt - 1;
    expect(breaker.call(failure)).toEqual({ allowed: false, retryAt, isolated: false });
  });

  it("counts anew after a success, and writes nothing for successes without failures", () => {
    const breaker = new Kept();
    breaker.call(success);
    expect(breaker.state).toBe(undefined);
    for (let call = 0; call < 20; call += 1) breaker.call(call % 5 === 4 ? success : failure);
    expect(breaker.state?.state).toBe("closed");
  });

  it("lets one trial through, and closes with its success", () => {
    const breaker = new Kept({ failures: 1 });
    breaker.call(failure);
    breaker.now += 60_000;
    const trial = breaker.admit();
    expect(trial.admission).toMatchObject({ allowed: true, trial: true });
    expect(breaker.call(failure)).toEqual({
      allowed: false,
      retryAt: breaker.now + 1_000,
      isolated: false,
    });
    breaker.settle(trial.id, trial.admission, success);
    expect(breaker.call(success)).toMatchObject({ allowed: true, trial: false });
    expect(breaker.changes.map(({ change }) => change)).toEqual(["opened", "halfOpened", "closed"]);
  });

  it("K5: reports an outage once, however many trials fail", () => {
    const breaker = new Kept({ failures: 1 });
    breaker.call(failure);
    for (let minute = 0; minute < 10; minute += 1) {
      breaker.now += 60_000;
      expect(breaker.call(failure).allowed).toBe(true);
      expect(breaker.call(failure).allowed).toBe(false);
    }
    expect(breaker.changes.filter(({ change }) => change === "opened")).toHaveLength(1);
    expect(breaker.state).toMatchObject({ failures: 11, since: 1_000_000 });
  });

  it("K1: gives the trial to another when its process died, and keeps it while it lives", () => {
    const breaker = new Kept({ failures: 1 });
    breaker.call(failure);
    breaker.now += 60_000;
    const dead = breaker.admit();
    breaker.now += TRIAL_LEASE - 1;
    expect(breaker.admit().admission.allowed).toBe(false);
    breaker.renew(dead.id);
    breaker.now += TRIAL_LEASE - 1;
    expect(breaker.admit().admission.allowed).toBe(false);
    breaker.now += 1;
    const next = breaker.admit();
    expect(next.admission).toMatchObject({ allowed: true, trial: true });
    breaker.renew(dead.id);
    breaker.settle(dead.id, dead.admission, success);
    expect(breaker.state).toMatchObject({ state: "half-open", trial: { id: next.id } });
    breaker.settle(next.id, next.admission, success);
    expect(breaker.state?.state).toBe("closed");
  });

  it("K2: counts no outcome from before the last change", () => {
    const breaker = new Kept({ failures: 1 });
    const early = [breaker.admit(), breaker.admit(), breaker.admit()] as const;
    breaker.call(failure);
    breaker.settle(early[0].id, early[0].admission, success);
    expect(breaker.state?.state).toBe("open");
    breaker.now += 60_000;
    const trial = breaker.admit();
    breaker.settle(early[1].id, early[1].admission, success);
    expect(breaker.state?.state).toBe("half-open");
    breaker.settle(trial.id, trial.admission, success);
    breaker.settle(early[2].id, early[2].admission, failure);
    expect(breaker.state?.state).toBe("closed");
  });

  it("K3: cares for no refused input, bug or abort, and gives their trial to the next", () => {
    const breaker = new Kept({ failures: 2 });
    breaker.call(failure);
    breaker.call(neutral);
    breaker.call(failure);
    expect(breaker.state?.state).toBe("open");
    breaker.now += 60_000;
    breaker.call(neutral);
    expect(breaker.call(success)).toMatchObject({ allowed: true, trial: true });
    expect(breaker.state?.state).toBe("closed");
  });

  it("stays open as long as the upstream asks for", () => {
    const breaker = new Kept({ failures: 1, openFor: 10 });
    breaker.call({ result: "failure", retryAfter: 120_000 });
    expect(breaker.call(success)).toMatchObject({ retryAt: breaker.now + 120_000 });
  });

  it("opens at a rate of failures, of twenty calls at least, within the window", () => {
    const breaker = new Kept({ failureRate: 0.5, window: 10_000 });
    for (let call = 0; call < 19; call += 1) breaker.call(failure);
    expect(breaker.state?.state).toBe("closed");
    breaker.now += 10_001;
    for (let call = 0; call < 19; call += 1) breaker.call(call % 2 === 0 ? failure : success);
    expect(breaker.state?.state).toBe("closed");
    breaker.call(failure);
    expect(breaker.changes).toMatchObject([{ change: "opened", failures: 11 }]);
  });

  it("can be isolated and reset by hand", () => {
    const breaker = new Kept();
    const before = breaker.admit();
    breaker.state = isolate(breaker.state, breaker.now, "maintenance");
    breaker.settle(before.id, before.admission, success);
    breaker.now += 3_600_000;
    expect(breaker.call(success)).toEqual({
      allowed: false,
      retryAt: breaker.now + 60_000,
      isolated: true,
    });
    expect(breaker.state).toMatchObject({ state: "isolated", reason: "maintenance" });
    breaker.state = reset(breaker.state);
    expect(breaker.call(success).allowed).toBe(true);
  });

  it.each<[BreakerPolicy, RegExp]>([
    [{ failures: 0 }, /breaker\.failures must be a whole number of 1 or more, not 0/],
    [{ failureRate: 2 }, /breaker\.failureRate .* more than 0 and at most 1, not 2/],
    [{ failureRate: 0.5, minimumCalls: 5 }, /breaker\.minimumCalls .* of 20 or more, not 5/],
    [{ openFor: -1 }, /breaker\.openFor/],
    [{ threshold: 3 } as BreakerPolicy, /breaker has no option "threshold"\. There are: name, /],
  ])("refuses %o", (policy, message) => {
    expect(() => resolveBreaker("breaker", policy)).toThrow(message);
  });
});

describe("what a failure says about the upstream", () => {
  const of = (error: unknown): string => outcomeOf(classify(error, { now: 0 })).result;
  const status = (code: number): unknown => Object.assign(new Error(""), { status: code });

  it("is nothing where the request was refused, or holdfast stopped it", () => {
    for (const error of [
      status(400),
      status(404),
      new TypeError("x"),
      new BreakerOpenError("b", 1),
      new BudgetExceededError({ budget: "b", unit: "usd", limit: 1, spent: 1, attempts: 0 }),
    ]) {
      expect(of(error)).toBe("neutral");
    }
  });

  it("is a failure for all else, and carries what was told", () => {
    for (const error of [status(429), status(500), status(529), new Error("?")]) {
      expect(of(error)).toBe("failure");
    }
    const told = Object.assign(new Error(""), { status: 429, headers: { "retry-after": "90" } });
    expect(outcomeOf(classify(told))).toEqual({ result: "failure", retryAfter: 90_000 });
  });
});

type Action =
  | { do: "call" }
  | { do: "end"; pick: number; outcome: CallOutcome["result"] }
  | { do: "die"; pick: number }
  | { do: "pass"; time: number };

describe("a breaker shared by many", () => {
  const actions = fc.array(
    fc.oneof(
      { weight: 4, arbitrary: fc.constant<Action>({ do: "call" }) },
      {
        weight: 4,
        arbitrary: fc.record({
          do: fc.constant("end" as const),
          pick: fc.nat(),
          outcome: fc.constantFrom<CallOutcome["result"]>("success", "failure", "neutral"),
        }),
      },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("die" as const), pick: fc.nat() }) },
      {
        weight: 3,
        arbitrary: fc.record({
          do: fc.constant("pass" as const),
          time: fc.constantFrom(1, 500, 10_000, 29_999, 30_000, 60_000),
        }),
      },
    ),
    { maxLength: 200 },
  );

  it("does as a simple model does: no call while open, one trial at a time, closed by trials alone", () => {
    fc.assert(
      fc.property(actions, fc.integer({ min: 1, max: 4 }), (script, threshold) => {
        const breaker = new Kept({ failures: threshold });
        const flying: { id: string; admission: Admission & { allowed: true } }[] = [];
        // The model: how many failed in a row, when it was opened, and who is on trial since when.
        let row = 0;
        let openedAt: number | undefined;
        let trial: { id: string; at: number } | undefined;
        for (const action of script) {
          if (action.do === "pass") {
            breaker.now += action.time;
            continue;
          }
          if (action.do === "call") {
            const { id, admission } = breaker.admit();
            const busy = trial !== undefined && breaker.now < trial.at + TRIAL_LEASE;
            const due = openedAt !== undefined && breaker.now >= openedAt + 60_000 && !busy;
            expect(admission.allowed).toBe(openedAt === undefined || due);
            if (!admission.allowed) {
              expect(admission.retryAt).toBeGreaterThan(breaker.now);
              continue;
            }
            expect(admission.trial).toBe(due);
            if (due) trial = { id, at: breaker.now };
            flying.push({ id, admission });
            continue;
          }
          const [call] = flying.splice(action.pick % Math.max(1, flying.length), 1);
          if (call === undefined || action.do === "die") continue;
          const era = breaker.state?.era ?? 0;
          const counts = call.admission.era === era;
          breaker.settle(call.id, call.admission, { result: action.outcome });
          if (openedAt === undefined) {
            if (!counts) continue;
            if (action.outcome === "success") row = 0;
            if (action.outcome === "failure") row += 1;
            if (row >= threshold) [openedAt, row] = [breaker.now, 0];
          } else if (trial?.id === call.id) {
            trial = undefined;
            if (action.outcome === "success") openedAt = undefined;
            if (action.outcome === "failure") openedAt = breaker.now;
          }
          const expected = openedAt === undefined ? ["closed", undefined] : ["open", "half-open"];
          expect(expected).toContain(breaker.state?.state);
        }
        const kinds = breaker.changes.map(({ change }) => change);
        const tells = kinds.filter((change) => change !== "halfOpened");
        tells.forEach((change, at) => expect(change).toBe(at % 2 === 0 ? "opened" : "closed"));
      }),
      { numRuns: 300 },
    );
  });

  it("looks without a lock as it decides with one", () => {
    const policy = resolveBreaker("breaker");
    const states: (BreakerState | undefined)[] = [
      undefined,
      { state: "closed", failing: [], window: [], era: 3 },
      { state: "open", failures: 5, since: 0, retryAt: 10, again: false, era: 1 },
      { state: "half-open", failures: 5, since: 0, trial: { id: "x", expiresAt: 10 }, era: 2 },
      isolate(undefined, 0, undefined),
    ];
    for (const state of states) {
      for (const now of [9, 10]) {
        const seen = look(state, now, policy);
        const { admission } = admit(state, "y", now, policy);
        if (seen.allowed === "on trial") expect(admission).toMatchObject({ trial: true });
        else expect(admission).toEqual(seen);
      }
    }
  });
});
