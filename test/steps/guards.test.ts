/** Breakers, limits and budgets as rows: in memory and in both databases. */

import { GraphInterrupt } from "@langchain/langgraph";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  BreakerOpenError,
  BudgetExceededError,
  LimitExceededError,
  NotDurableError,
} from "../../src/errors.ts";
import { events, type EmittedEvent } from "../../src/events.ts";
import { resolveBreaker, type BreakerPolicy, type CallOutcome } from "../../src/policy/breaker.ts";
import { resolveBudget, type BudgetPolicy } from "../../src/policy/budget.ts";
import { classify } from "../../src/policy/classify.ts";
import { PERMIT_LEASE, resolveLimit, type LimitPolicy } from "../../src/policy/limit.ts";
import { retry } from "../../src/policy/retry.ts";
import type { StepStore } from "../../src/step-store.ts";
import {
  enterBreaker,
  isolateBreaker,
  listBreakers,
  resetBreaker,
  type BreakerPass,
} from "../../src/steps/breakers.ts";
import { accountOf, budgetOf, reserveBudget } from "../../src/steps/budgets.ts";
import { guarded, type GuardOptions } from "../../src/steps/guards.ts";
import { acquirePermit, type AcquireOptions, type Wait } from "../../src/steps/limits.ts";
import { ManualClock } from "../../src/testing/index.ts";
import { loopback, rejection } from "../policy/server.ts";
import { startChild } from "../support/child.ts";
import { PLACES } from "../support/places.ts";
import { SAVERS } from "./savers.ts";

function listen(): EmittedEvent[] {
  const heard: EmittedEvent[] = [];
  onTestFinished(events.on("*", (event) => heard.push(event)));
  return heard;
}

const named = (heard: readonly EmittedEvent[], name: string): EmittedEvent[] =>
  heard.filter((event) => event.name === name);

const waitOn =
  (clock: ManualClock): Wait =>
  (at, _, { signal }) =>
    clock.sleep(at - clock.now(), signal);

const failure: CallOutcome = { result: "failure" };
const success: CallOutcome = { result: "success" };

async function passed(admitted: Promise<BreakerPass | BreakerOpenError>): Promise<BreakerPass> {
  const pass = await admitted;
  if (pass instanceof BreakerOpenError) throw pass;
  return pass;
}

describe.each(SAVERS)("a breaker in %s", (_, open) => {
  async function newBreaker(policy: BreakerPolicy = {}) {
    const { saver, clock, again } = await open();
    const resolved = resolveBreaker("breaker", policy);
    const enter = (steps: StepStore = saver.steps) => enterBreaker(steps, "api", resolved);
    const call = async (outcome: CallOutcome, steps?: StepStore): Promise<boolean> => {
      const pass = await enter(steps);
      if (pass instanceof BreakerOpenError) return false;
      await pass.end(outcome);
      return true;
    };
    return { steps: saver.steps, other: again().steps, clock, enter, call };
  }

  it("opens for all, tells so once, and closes with one trial's success", async () => {
    const heard = listen();
    const { steps, other, clock, enter, call } = await newBreaker({ failures: 4 });
    for (const at of [steps, other, steps, other]) expect(await call(failure, at)).toBe(true);
    expect(await enter()).toBeInstanceOf(BreakerOpenError);
    expect(await enter(other)).toMatchObject({ retryAt: clock.now() + 60_000, isolated: false });
    await clock.advance(60_000);
    const both = await Promise.all([enter(), enter(other)]);
    const trials = both.filter((one): one is BreakerPass => !(one instanceof BreakerOpenError));
    expect(trials).toHaveLength(1);
    await trials[0]?.end(success);
    expect(await call(success, other)).toBe(true);
    expect(heard.map(({ name }) => name)).toEqual([
      ...["breaker.opened", "breaker.halfOpened", "breaker.closed"],
    ]);
    expect(heard[0]?.data).toEqual({
      name: "api",
      failures: 4,
      retryAt: expect.any(Number) as unknown,
    });
  });

  it("stores nothing for calls that succeed, and forgets failures after one", async () => {
    const { steps, call } = await newBreaker();
    for (let i = 0; i < 3; i += 1) await call(success);
    expect(await listBreakers(steps)).toEqual([]);
    for (let i = 0; i < 4; i += 1) await call(failure);
    expect(await listBreakers(steps)).toMatchObject([
      { name: "api", state: "closed", failures: 4 },
    ]);
    await call(success);
    expect(await listBreakers(steps)).toMatchObject([{ failures: 0 }]);
  });

  it("is reset by a success between failures, though all calls began while it was clean", async () => {
    const { enter } = await newBreaker();
    const calls = await Promise.all(Array.from({ length: 20 }, () => passed(enter())));
    for (const [at, pass] of calls.entries()) await pass.end(at % 4 === 3 ? success : failure);
    expect(await enter()).not.toBeInstanceOf(BreakerOpenError);
  });

  it("keeps a trial's lease while the call lasts, and gives a dead process's trial away", async () => {
    const { other, clock, enter, call } = await newBreaker({ failures: 1 });
    await call(failure);
    await clock.advance(60_000);
    const trial = await passed(enter());
    expect(trial.trial).toBe(true);
    for (let i = 0; i < 12; i += 1) {
      await clock.sleeping();
      await clock.advance(10_000);
      await clock.sleeping();
    }
    expect(await enter(other)).toBeInstanceOf(BreakerOpenError);
    await trial.end({ result: "neutral" });
    expect(clock.pending).toEqual([]);
    expect((await passed(enter(other))).trial).toBe(true);
  });

  it("is listed, isolated and reset by hand", async () => {
    const heard = listen();
    const { steps, other, clock, enter, call } = await newBreaker();
    await isolateBreaker(other, "api", "they asked us to");
    expect(await enter()).toMatchObject({ isolated: true });
    await clock.advance(3_600_000);
    const refused = (await enter()) as BreakerOpenError;
    expect(refused.message).toMatch(/isolated by hand.*breakers reset api/);
    expect(await listBreakers(steps)).toMatchObject([
      { name: "api", state: "isolated", reason: "they asked us to" },
    ]);
    await resetBreaker(steps, "api");
    expect(await call(success, other)).toBe(true);
    await resetBreaker(steps, "api");
    expect(heard.map(({ name }) => name)).toEqual(["breaker.closed"]);
  });
});

describe.each(SAVERS)("a limit in %s", (_, open) => {
  async function newLimit(policy: LimitPolicy) {
    const { saver, clock, again } = await open();
    const resolved = resolveLimit("limit", policy);
    const acquire = (options: Partial<AcquireOptions> = {}, steps: StepStore = saver.steps) =>
      acquirePermit(steps, "api", resolved, { wait: waitOn(clock), ...options });
    return { steps: saver.steps, other: again().steps, clock, acquire };
  }

  it("lets the next in at once when one of this process leaves, first come first served", async () => {
    const { clock, acquire } = await newLimit({ concurrency: 1 });
    const order: number[] = [];
    const first = await acquire();
    const rest = [1, 2, 3].map(async (number) => {
      // One after the other, so that there is an order.
      for (let i = 1; i < number; i += 1) await clock.sleeping(1 + i);
      const permit = await acquire();
      order.push(number);
      await permit.release();
    });
    await clock.sleeping(4);
    const before = clock.now();
    await first.release();
    await Promise.all(rest);
    expect(order).toEqual([1, 2, 3]);
    expect(clock.now()).toBe(before);
    expect(clock.pending).toEqual([]);
  });

  it("sees within seconds what another process gave back", async () => {
    const { other, clock, acquire } = await newLimit({ concurrency: 1 });
    const elsewhere = await acquire({}, other);
    const heard = listen();
    const waiting = acquire();
    await clock.sleeping(2);
    await clock.advance(2_000);
    await clock.sleeping(2);
    await elsewhere.release();
    const before = clock.now();
    await (await clock.runUntil(waiting)).release();
    expect(clock.now() - before).toBeLessThanOrEqual(5_000);
    expect(named(heard, "limit.waiting")).toHaveLength(1);
  });

  it("renews a permit while it is held, and takes a dead process's back", async () => {
    const { steps, other, clock, acquire } = await newLimit({ concurrency: 1 });
    const held = await acquire();
    for (let i = 0; i < 9; i += 1) {
      await clock.advance(10_000);
      await clock.sleeping();
    }
    const giveUpAt = clock.now() + 1;
    expect(await rejection(acquire({ giveUpAt }, other))).toBeInstanceOf(LimitExceededError);
    expect(await steps.states.read("limits", { name: "api" })).toMatchObject({
      state: { queue: [] },
    });
    await held.release();
    await held.release();

    // A process that dies renews no more: its clock stands still.
    const dead: StepStore = { ...other, clock: new ManualClock(), states: other.states };
    await acquire({}, dead);
    const before = clock.now();
    await (await clock.runUntil(acquire())).release();
    expect(clock.now() - before).toBeLessThanOrEqual(PERMIT_LEASE);
  });

  it("spaces calls at its rate, whoever makes them", async () => {
    const { steps, other, clock, acquire } = await newLimit({ perSecond: 10 });
    const started = clock.now();
    const at: number[] = [];
    const calls = Array.from({ length: 20 }, async (_, number) => {
      await acquire({}, number % 2 === 0 ? steps : other);
      at.push(clock.now() - started);
    });
    await clock.runUntil(Promise.all(calls));
    // Time may move on between a permit and the look at the clock, so calls may seem late; never early.
    for (const [number, time] of at.toSorted((a, b) => a - b).entries()) {
      expect(time).toBeGreaterThanOrEqual(number * 100);
    }
    expect(Math.max(...at)).toBeLessThan(4_000);
  });

  it("leaves the queue when it is aborted, and keeps its place when it is parked", async () => {
    const { steps, clock, acquire } = await newLimit({ concurrency: 1 });
    const first = await acquire();
    const controller = new AbortController();
    const aborted = rejection(acquire({ signal: controller.signal }));
    await clock.sleeping(2);
    controller.abort(new Error("stop"));
    expect(await aborted).toBe(controller.signal.reason);

    const waits: number[] = [];
    const wait: Wait = async (at, reason, { signal }) => {
      waits.push(at - clock.now());
      if (at - clock.now() > 5_000) throw new GraphInterrupt([{ value: reason }]);
      await clock.sleep(at - clock.now(), signal);
    };
    const parked = clock.runUntil(rejection(acquire({ wait, place: "task", parkAfter: 3_000 })));
    expect(await parked).toBeInstanceOf(GraphInterrupt);
    expect(waits.at(-1)).toBe(30_000);
    expect(await steps.states.read("limits", { name: "api" })).toMatchObject({
      state: { queue: [{ place: "task" }] },
    });

    // Who came later goes first while it is away; when it is back it has its place.
    const later = acquire();
    await clock.sleeping(2);
    await first.release();
    const second = await later;
    const third = acquire();
    await clock.sleeping(2);
    const back = acquire({ place: "task" });
    await clock.sleeping(3);
    await second.release();
    await (await clock.runUntil(back)).release();
    await (await clock.runUntil(third)).release();
  });
});

describe.each(SAVERS)("a budget in %s", (_, open) => {
  it("is kept by all calls of a run together, and refused once with an event", async () => {
    const heard = listen();
    const { saver, again } = await open();
    const policy: BudgetPolicy = { usd: 0.001 };
    const limits = resolveBudget("budget", policy);
    const account = accountOf(policy, { threadId: "t", runId: "r", node: "n" });
    const reserve = (usd: number, attempts: number, steps: StepStore = saver.steps) =>
      reserveBudget(steps, account, limits, { needed: { usd }, attempts });

    const first = await reserve(0.0006, 0);
    const refused = await rejection(reserve(0.0006, 1, again().steps));
    expect(refused).toMatchObject({ unit: "usd", limit: 0.001, spent: 0.0006, attempts: 1 });
    expect(refused).toBeInstanceOf(BudgetExceededError);
    await first.settle({ usd: 0.0002 });
    await first.settle({ usd: 0.0002 });
    const second = await reserve(0.0006, 1);
    await second.settle({ usd: 0.0009 });
    await rejection(reserve(0.0001, 2));
    expect(named(heard, "budget.exceeded")).toMatchObject([
      { data: { name: "budget of the run", limit: 0.001, unit: "usd" } },
    ]);
    expect(await budgetOf(saver.steps, account)).toEqual({
      spent: { usd: 0.0011 },
      committed: { usd: 0.0011 },
    });
  });

  it("is another one for another run, thread, node, key or name", async () => {
    const { saver } = await open();
    const place = { threadId: "t", runId: "r", node: "n" };
    const accounts = [
      accountOf({ calls: 1 }, place),
      accountOf({ calls: 1 }, { ...place, runId: "r2" }),
      accountOf({ calls: 1, per: "thread" }, place),
      accountOf({ calls: 1, per: "thread" }, { ...place, threadId: "t2" }),
      accountOf({ calls: 1, per: "node" }, place),
      accountOf({ calls: 1, per: "node" }, { ...place, node: "n2" }),
      accountOf({ calls: 1, per: { key: "r" } }, place),
      accountOf({ calls: 1, name: "tools" }, place),
    ];
    const limits = resolveBudget("budget", { calls: 1 });
    for (const account of accounts) {
      const reservation = await reserveBudget(saver.steps, account, limits, {
        needed: { calls: 1 },
        attempts: 0,
      });
      await reservation.settle({ calls: 1 });
    }
    expect(await saver.steps.states.list("budgets")).toHaveLength(accounts.length);
    expect(() => accountOf({ calls: 1 }, {})).toThrow(NotDurableError);
    expect(accountOf({ calls: 1, per: { key: "k" } }, {}).key).toEqual({
      name: '["budget","key","k"]',
    });
  });
});

describe.each(SAVERS)("guards in %s", (_, open) => {
  it("storm: ten agents on a tool that always fails make few calls, then one a minute", async () => {
    const heard = listen();
    const { saver, clock } = await open();
    const { steps } = saver;
    await using server = await loopback((_, response) => response.writeHead(500).end());
    const guards = {
      breaker: { name: "search", policy: resolveBreaker("breaker") },
      limit: {
        name: "search",
        policy: resolveLimit("limit", { concurrency: 5, perSecond: 10 }),
      },
    };
    const calledAt: number[] = [];
    const agent = (): Promise<string> =>
      retry(
        ({ attempt, signal }) =>
          guarded(
            steps,
            guards,
            { wait: waitOn(clock), whileOpen: "wait", classify, attempts: attempt - 1, signal },
            async () => {
              calledAt.push(clock.now());
              const response = await fetch(server.url, { signal });
              throw Object.assign(new Error("failed"), { status: response.status });
            },
          ),
        { clock, maxElapsed: 600_000 },
      );
    const outcomes = await clock.runUntil(Promise.allSettled(Array.from({ length: 10 }, agent)), {
      quiet: 10,
    });
    expect(outcomes.every(({ status }) => status === "rejected")).toBe(true);
    const opened = named(heard, "breaker.opened");
    expect(opened).toHaveLength(1);
    const [{ data } = { data: {} }] = opened;
    const openedAt = (data as { retryAt: number }).retryAt - 60_000;
    expect(calledAt.filter((at) => at <= openedAt).length).toBeLessThan(10);
    // Those that were let through before may be made after it, as time moves on between the two.
    const minutes = (Math.max(...calledAt) - openedAt) / 60_000;
    expect(minutes).toBeGreaterThan(5);
    expect(calledAt.length).toBeLessThanOrEqual(9 + minutes);
    expect(server.requests).toBe(calledAt.length);
  });

  it("settle whatever becomes of the call, and let nothing through that is not covered", async () => {
    const { saver, clock } = await open();
    const { steps } = saver;
    const policy: BudgetPolicy = { calls: 2, tokens: 100 };
    const account = accountOf(policy, { threadId: "t", runId: "r" });
    const budget = {
      scopes: [{ account, limits: resolveBudget("budget", policy) }],
      what: "a call",
      needed: { calls: 1, tokens: 50 },
      used: (outcome: object) => ({ calls: 1, tokens: "error" in outcome ? 7 : 11 }),
    };
    const limit = { name: "l", policy: resolveLimit("limit", { concurrency: 1 }) };
    const breaker = { name: "b", policy: resolveBreaker("breaker", { failures: 1 }) };
    const options: GuardOptions = {
      wait: waitOn(clock),
      whileOpen: "fail",
      classify,
      attempts: 0,
    };
    const call = (work: () => Promise<string>): Promise<string> =>
      guarded(steps, { breaker, limit, budget }, options, work);

    const bug = new TypeError("x");
    expect(await rejection(call(() => Promise.reject(bug)))).toBe(bug);
    expect(await call(() => Promise.resolve("done"))).toBe("done");
    let called = false;
    const third = call(async () => {
      called = true;
      return "never";
    });
    expect(await rejection(third)).toMatchObject({ unit: "calls", spent: 2 });
    expect(called).toBe(false);
    expect((await budgetOf(steps, account)).committed).toEqual({ calls: 2, tokens: 18 });
    expect((await steps.states.read("limits", { name: "l" })).state).toMatchObject({ permits: [] });
    expect(await listBreakers(steps)).toEqual([]);

    const down = Object.assign(new Error(""), { status: 503 });
    const more = { breaker, limit };
    await rejection(guarded(steps, more, options, () => Promise.reject(down)));
    const idle = await steps.states.read("limits", { name: "l" });
    const refused = await rejection(guarded(steps, more, options, async () => "never"));
    expect(refused).toBeInstanceOf(BreakerOpenError);
    // Nobody queued for what is left alone.
    expect(await steps.states.read("limits", { name: "l" })).toEqual(idle);
    const soon = { ...options, whileOpen: "wait", giveUpAt: clock.now() + 59_999 } as const;
    expect(await rejection(guarded(steps, more, soon, async () => "never"))).toBeInstanceOf(
      BreakerOpenError,
    );
    const patient = guarded(steps, more, { ...options, whileOpen: "wait" }, async () => "now");
    expect(await clock.runUntil(patient)).toBe("now");
    expect(clock.pending).toEqual([]);
  });

  it("tell the breaker of a failure before the permit goes to the next call", async () => {
    const { saver, clock } = await open();
    let decisions = 0;
    const { states } = saver.steps;
    const slow: StepStore["states"] = {
      read: (...args) => states.read(...args),
      list: (...args) => states.list(...args),
      async decide(kind, key, decide) {
        // The first call's outcome, and nothing else.
        if (kind === "breakers" && (decisions += 1) === 2) await clock.sleep(1_000);
        return states.decide(kind, key, decide);
      },
    };
    const guards = {
      breaker: { name: "b", policy: resolveBreaker("breaker", { failures: 1 }) },
      limit: { name: "l", policy: resolveLimit("limit", { concurrency: 1 }) },
    };
    let calls = 0;
    const call = (): Promise<never> =>
      guarded(
        { states: slow, clock },
        guards,
        { wait: waitOn(clock), whileOpen: "fail", classify, attempts: 0 },
        () => {
          calls += 1;
          return Promise.reject(Object.assign(new Error("down"), { status: 503 }));
        },
      );
    await clock.runUntil(Promise.allSettled([call(), call(), call()]));
    expect(calls).toBe(1);
  });

  it("count an abort for nothing", async () => {
    const { saver, clock } = await open();
    const breaker = { name: "b", policy: resolveBreaker("breaker", { failures: 1 }) };
    const controller = new AbortController();
    const { signal } = controller;
    const options = {
      wait: waitOn(clock),
      whileOpen: "fail",
      classify,
      attempts: 0,
      signal,
    } as const;
    const work = guarded(saver.steps, { breaker }, options, async () => {
      controller.abort(new Error("stop"));
      signal.throwIfAborted();
    });
    expect(await rejection(work)).toBe(signal.reason);
    expect(await listBreakers(saver.steps)).toEqual([]);
  });
});

describe.each(PLACES)("processes on one %s", (_, newPlace) => {
  it("share a limit: no more calls at once, and no more in a time, than it allows", async () => {
    const place = await newPlace();
    await place.open().setup();
    let running = 0;
    let most = 0;
    const times: number[] = [];
    await using server = await loopback((_, response) => {
      times.push(performance.now());
      running += 1;
      most = Math.max(most, running);
      setTimeout(() => {
        running -= 1;
        response.end("ok");
      }, 40);
    });
    const limit: LimitPolicy = { concurrency: 2, perSecond: 50, burst: 2 };
    const children = [0, 1, 2].map(() =>
      startChild("guarded-calls.ts", place.url, server.url, "6", { limit }),
    );
    await Promise.all(children.map((child) => child.next("ready")));
    for (const child of children) child.send({ type: "go" });
    const done = await Promise.all(children.map((child) => child.next("done")));
    expect(done.flatMap(({ outcomes }) => outcomes)).toEqual(Array(18).fill(200));
    expect(server.requests).toBe(18);
    expect(most).toBeLessThanOrEqual(2);
    expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual((18 - 2) / 0.05 - 50);
  });

  it("share a breaker: what one learns keeps the others from calling, and one of them tells", async () => {
    const place = await newPlace();
    await place.open().setup();
    await using server = await loopback((_, response) => response.writeHead(503).end());
    const children = [0, 1].map(() =>
      startChild("guarded-calls.ts", place.url, server.url, "10", {
        breaker: { failures: 3 },
        limit: { concurrency: 1 },
      }),
    );
    await Promise.all(children.map((child) => child.next("ready")));
    for (const child of children) child.send({ type: "go" });
    const done = await Promise.all(children.map((child) => child.next("done")));
    const outcomes = done.flatMap(({ outcomes }) => outcomes as string[]);
    expect(server.requests).toBe(3);
    expect(outcomes.filter((outcome) => outcome === "BREAKER_OPEN")).toHaveLength(17);
    const told = children.flatMap(({ messages }) =>
      messages.filter(({ type }) => type === "event"),
    );
    expect(told.filter(({ name }) => name === "breaker.opened")).toHaveLength(1);
  });

  it("get back the permit and the trial of one that was killed, when their leases end", async () => {
    const place = await newPlace();
    const before = place.open({ clock: new ManualClock(Date.now() - 60_000) }).steps;
    const breaker = resolveBreaker("breaker", { failures: 1, openFor: 1 });
    await (await passed(enterBreaker(before, "api", breaker))).end(failure);
    const child = startChild("guarded-calls.ts", place.url, "hold", "0", {
      limit: { concurrency: 1 },
      breaker: { failures: 1, openFor: 1 },
    });
    await child.next("ready");
    child.send({ type: "go" });
    await child.next("holds");
    await child.kill();
    const limit = resolveLimit("limit", { concurrency: 1 });
    const later = async (time: number): Promise<[unknown, unknown]> => {
      const clock = new ManualClock(Date.now() + time);
      const { steps } = place.open({ clock });
      const options = { wait: waitOn(clock), giveUpAt: clock.now() + 1 };
      return [
        await acquirePermit(steps, "api", limit, options).catch((error: unknown) => error),
        await enterBreaker(steps, "api", breaker),
      ];
    };
    const [permit, pass] = await later(0);
    expect(permit).toBeInstanceOf(LimitExceededError);
    expect(pass).toBeInstanceOf(BreakerOpenError);
    const [free, trial] = await later(30_000);
    expect(free).toHaveProperty("release");
    expect(trial).toMatchObject({ trial: true });
  });
});
