/** Limits: by example, and with many processes that come late, go away and die. */

import { deepEqual } from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  ask,
  leave,
  PERMIT_LEASE,
  renewPermit,
  resolveLimit,
  stepAside,
  type Asker,
  type LimitAnswer,
  type LimitPolicy,
  type LimitState,
} from "../../src/policy/limit.ts";

/** A limit whose state is kept here, with time that the test moves. */
class Kept {
  state: LimitState | undefined;
  now = 1_000_000;
  readonly policy;

  constructor(policy: LimitPolicy) {
    this.policy = resolveLimit("limit", policy);
  }

  ask(asker: Asker | string): LimitAnswer {
    const who = typeof asker === "string" ? { call: asker, place: asker } : asker;
    const first = ask(this.state, who, this.now, this.policy);
    this.state = JSON.parse(JSON.stringify(first.state)) as LimitState;
    // L5: the commit's answer was lost, and it is computed again.
    const again = ask(this.state, who, this.now, this.policy);
    deepEqual(again.state, this.state);
    deepEqual({ ...again.answer, joined: true }, { ...first.answer, joined: true });
    return first.answer;
  }

  leave(asker: Asker | string): void {
    const who = typeof asker === "string" ? { call: asker, place: asker } : asker;
    this.state = leave(this.state, who);
  }

  stepAside(place: string, till: number): void {
    this.state = stepAside(this.state, place, till, this.now, this.policy);
  }

  renew(call: string): boolean {
    const { state, held } = renewPermit(this.state, call, this.now, this.policy);
    if (state !== undefined) this.state = state;
    return held;
  }

  get held(): number {
    return this.state?.permits.filter(({ expiresAt }) => expiresAt > this.now).length ?? 0;
  }
}

const waits = { granted: false };

describe("a limit of concurrency", () => {
  it("lets so many through, and the next when one leaves, in the order in which they came", () => {
    const limit = new Kept({ concurrency: 2 });
    expect([limit.ask("a"), limit.ask("b")]).toEqual([{ granted: true }, { granted: true }]);
    expect(limit.ask("c")).toMatchObject({ granted: false, joined: true, exact: false });
    expect(limit.ask("d")).toMatchObject(waits);
    expect(limit.ask("c")).toMatchObject({ granted: false, joined: false });
    limit.leave("a");
    expect(limit.ask("e")).toMatchObject(waits);
    expect(limit.ask("d")).toMatchObject(waits);
    expect(limit.ask("c")).toEqual({ granted: true });
    limit.leave("b");
    expect(limit.ask("e")).toMatchObject(waits);
    expect(limit.ask("d")).toEqual({ granted: true });
  });

  it("takes the permits of dead processes back, and leaves them to those that live", () => {
    const limit = new Kept({ concurrency: 2 });
    limit.ask("dead");
    limit.ask("alive");
    limit.now += PERMIT_LEASE - 1;
    expect(limit.renew("alive")).toBe(true);
    expect(limit.ask("next")).toMatchObject({ askAt: limit.now + 1 });
    limit.now += 1;
    expect(limit.ask("next")).toEqual({ granted: true });
    expect(limit.ask("other")).toMatchObject(waits);
    expect(limit.renew("dead")).toBe(false);
    limit.leave("next");
    limit.leave("other");
    expect(limit.renew("dead")).toBe(true);
  });

  it("waits for no waiter that is away, and gives it its place when it is back", () => {
    const limit = new Kept({ concurrency: 1 });
    limit.ask("holder");
    limit.ask("parked");
    limit.ask("present");
    limit.stepAside("parked", limit.now + 30_000);
    limit.leave("holder");
    expect(limit.ask("present")).toEqual({ granted: true });
    limit.ask("third");
    limit.leave("present");
    expect(limit.ask("parked")).toEqual({ granted: true });
    limit.leave("parked");
    expect(limit.ask("third")).toEqual({ granted: true });
  });

  it("waits a few seconds for a waiter that died, and no longer", () => {
    const limit = new Kept({ concurrency: 1 });
    limit.ask("holder");
    limit.ask("dead");
    limit.leave("holder");
    let answer = limit.ask("next");
    const began = limit.now;
    while (!answer.granted) {
      limit.now = answer.askAt;
      answer = limit.ask("next");
    }
    expect(limit.now - began).toBeLessThanOrEqual(7_000);
  });
});

describe("a limit of rate", () => {
  it("spaces calls evenly, and tells each when its turn is", () => {
    const limit = new Kept({ perSecond: 10 });
    expect(limit.ask("a")).toEqual({ granted: true });
    expect(limit.ask("b")).toMatchObject({ askAt: limit.now + 100, exact: true });
    expect(limit.ask("c")).toMatchObject({ askAt: limit.now + 200, exact: true });
    limit.now += 100;
    expect(limit.ask("c")).toMatchObject(waits);
    expect(limit.ask("b")).toEqual({ granted: true });
    limit.now += 100;
    expect(limit.ask("c")).toEqual({ granted: true });
  });

  it("saves up to a burst", () => {
    const limit = new Kept({ perMinute: 60, burst: 3 });
    for (const call of ["a", "b", "c"]) expect(limit.ask(call)).toEqual({ granted: true });
    expect(limit.ask("d")).toMatchObject({ askAt: limit.now + 1_000 });
    limit.now += 3_600_000;
    const after = ["d", "e", "f", "g"].map((call) => limit.ask(call).granted);
    expect(after).toEqual([true, true, true, false]);
  });

  it("gains nothing from a clock that steps back", () => {
    const limit = new Kept({ perSecond: 1 });
    limit.ask("a");
    limit.now -= 60_000;
    expect(limit.ask("b")).toMatchObject(waits);
    limit.now += 60_500;
    expect(limit.ask("b")).toMatchObject(waits);
    limit.now += 500;
    expect(limit.ask("b")).toEqual({ granted: true });
  });

  it("makes the next attempt in the same place pay again", () => {
    const limit = new Kept({ perSecond: 1 });
    expect(limit.ask({ call: "1", place: "node" })).toEqual({ granted: true });
    limit.leave({ call: "1", place: "node" });
    expect(limit.ask({ call: "2", place: "node" })).toMatchObject(waits);
  });
});

describe("a limit that can't be", () => {
  it.each<[LimitPolicy, RegExp]>([
    [{}, /limit limits nothing: give concurrency, perSecond or perMinute/],
    [{ concurrency: 0 }, /limit\.concurrency must be a whole number of 1 or more, not 0/],
    [{ concurrency: 1.5 }, /limit\.concurrency .* not 1\.5/],
    [{ perSecond: 0 }, /limit\.perSecond must be a finite number of more than 0, not 0/],
    [{ perSecond: 1, perMinute: 1 }, /perSecond or perMinute, not both/],
    [{ concurrency: 1, burst: 3 }, /limit\.burst goes with perSecond or perMinute/],
    [{ perHour: 1 } as LimitPolicy, /limit has no option "perHour"/],
  ])("%o", (policy, message) => {
    expect(() => resolveLimit("limit", policy)).toThrow(message);
  });
});

interface Client {
  arrives: number;
  holds: number;
  /** How late it comes back when told when to. */
  late: number;
  /** What becomes of it: most do their work; others die in the queue or with a permit, or give up. */
  fate: "works" | "dies waiting" | "dies working" | "gives up" | "parks";
}

describe("a limit shared by many processes", () => {
  const clients = fc.array(
    fc.record<Client>({
      arrives: fc.integer({ min: 0, max: 20_000 }),
      holds: fc.integer({ min: 0, max: 50_000 }),
      late: fc.integer({ min: 0, max: 300 }),
      fate: fc.oneof(
        { weight: 8, arbitrary: fc.constant("works" as const) },
        {
          weight: 1,
          arbitrary: fc.constantFrom<Client["fate"]>(
            ...(["dies waiting", "dies working", "gives up", "parks"] as const),
          ),
        },
      ),
    }),
    { minLength: 1, maxLength: 25 },
  );
  const policies = fc.oneof(
    fc.record({ concurrency: fc.integer({ min: 1, max: 4 }) }),
    fc.record({
      perSecond: fc.double({ min: 0.5, max: 50, noNaN: true }),
      burst: fc.integer({ min: 1, max: 5 }),
    }),
    fc.record({
      concurrency: fc.integer({ min: 1, max: 4 }),
      perMinute: fc.integer({ min: 20, max: 600 }),
      burst: fc.integer({ min: 1, max: 5 }),
    }),
  );

  it("L1 to L4: never too many, never too fast, first come first served, and nobody starves", () => {
    fc.assert(
      fc.property(policies, clients, (policy, crowd) => {
        const limit = new Kept(policy);
        const start = limit.now;
        const { concurrency = Infinity, rate, burst } = limit.policy;
        const granted = new Map<number, number>();
        const working = new Set<number>();
        const events = crowd.map(({ arrives }, who) => ({ at: start + arrives, who, what: "ask" }));
        const parked = new Set<number>();
        for (let steps = 0; events.length > 0; steps += 1) {
          expect(steps).toBeLessThan(20_000);
          events.sort((a, b) => a.at - b.at);
          const { at, who, what } = events.shift() as (typeof events)[number];
          limit.now = at;
          const client = crowd[who] as Client;
          const name = `client-${who}`;
          if (what === "renew") {
            if (working.has(who)) {
              expect(limit.renew(name)).toBe(true);
              events.push({ at: at + PERMIT_LEASE / 3, who, what });
            }
          } else if (what === "done") {
            working.delete(who);
            limit.leave(name);
          } else {
            const inFront = presentInFront(limit, name);
            const answer = limit.ask(name);
            if (answer.granted) {
              granted.set(who, at);
              // L3: whoever was there before, and is still waiting, has room left.
              expect(concurrency - limit.held).toBeGreaterThanOrEqual(inFront);
              if (client.fate !== "dies working") {
                working.add(who);
                events.push({ at: at + client.holds, who, what: "done" });
                events.push({ at: at + PERMIT_LEASE / 3, who, what: "renew" });
              }
            } else if (client.fate === "gives up") {
              limit.leave(name);
            } else if (client.fate === "parks" && !parked.has(who) && !answer.exact) {
              parked.add(who);
              limit.stepAside(name, at + 30_000);
              events.push({ at: at + 30_000 + client.late, who, what: "ask" });
            } else if (client.fate !== "dies waiting") {
              events.push({ at: answer.askAt + client.late, who, what: "ask" });
            }
          }
          expect(limit.held).toBeLessThanOrEqual(concurrency);
          expect(working.size).toBeLessThanOrEqual(concurrency);
        }
        const patient = crowd.flatMap(({ fate }, who) =>
          fate === "dies waiting" || fate === "gives up" ? [] : [who],
        );
        for (const who of patient) expect(granted.has(who), `client-${who} starved`).toBe(true);
        if (rate !== undefined) expectRate([...granted.values()].toSorted(byTime), rate, burst);
      }),
      { numRuns: 100 },
    );
  });
});

function presentInFront({ state, now }: Kept, place: string): number {
  const queue = state?.queue ?? [];
  const at = queue.findIndex((waiter) => waiter.place === place);
  return (at < 0 ? queue : queue.slice(0, at)).filter(({ presentTill }) => presentTill >= now)
    .length;
}

/** L2, for every span. */
function expectRate(times: readonly number[], rate: number, burst: number): void {
  for (const [first, from] of times.entries()) {
    for (const [last, to] of times.entries()) {
      if (last < first) continue;
      expect(last - first + 1).toBeLessThanOrEqual(burst + rate * (to - from) + 1e-6);
    }
  }
}

function byTime(a: number, b: number): number {
  return a - b;
}
