/** Durable nodes under breakers, limits and budgets, in graphs. */

import { Annotation, END, START, Send, StateGraph } from "@langchain/langgraph";
import { describe, expect, onTestFinished, test } from "vitest";
import { BreakerOpenError, BudgetExceededError } from "../../src/errors.ts";
import { events, type EventName, type HoldfastEvents } from "../../src/events.ts";
import { budgetsHere, reserveAll } from "../../src/steps/budget-scope.ts";
import { listBreakers } from "../../src/steps/breakers.ts";
import { durable } from "../../src/steps/durable.ts";
import type { DurablePolicy } from "../../src/steps/durable-policy.ts";
import { parkOf } from "../../src/steps/wait.ts";
import type { ManualClock } from "../../src/testing/index.ts";
import { rejection } from "../policy/server.ts";
import { syncRun } from "../support/small-graphs.ts";
import { SAVERS, type Opened } from "./savers.ts";
import { trouble } from "./trouble.ts";

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});
type Policy = DurablePolicy<typeof State.State, { log: string[] }>;
const even = { jitter: "none", initialInterval: 1_000 } as const;

function heard<Name extends EventName>(name: Name): HoldfastEvents[Name][] {
  const all: HoldfastEvents[Name][] = [];
  onTestFinished(events.on(name, (data) => void all.push(data)));
  return all;
}

/** A graph of one node, whose calls happen at these times. */
function alone({ saver, clock }: Opened, body: () => unknown, policy: Policy) {
  const calls: number[] = [];
  const node = durable.for(State)(
    async () => {
      calls.push(clock.now());
      await body();
      return { log: ["done"] };
    },
    { retry: even, ...policy },
  );
  const graph = new StateGraph(State)
    .addNode("a", node)
    .addEdge(START, "a")
    .addEdge("a", END)
    .compile({ checkpointer: saver });
  return { graph, calls };
}

const sum = (numbers: number[]): number => numbers.reduce((a, b) => a + b, 0);

describe.each(SAVERS)("durable() under guards, over %s", (_, open) => {
  test("an open breaker is waited for, in process, without spending attempts", async () => {
    const opened = await open();
    const { clock } = opened;
    let isDown = true;
    const work = (): void => {
      if (isDown) throw trouble();
    };
    const policy: Policy = { breaker: { name: "api", failures: 2 } };
    const { graph, calls } = alone(opened, work, policy);
    const exhausted = heard("attempt.exhausted");
    const opens = heard("breaker.opened");
    const closes = heard("breaker.closed");
    const run = graph.invoke({}, syncRun("t"));
    await until(clock, () => opens.length === 1);
    isDown = false;
    expect(await clock.runUntil(run)).toEqual({ log: ["done"] });
    expect(calls).toHaveLength(3);
    expect((calls[2] ?? 0) - (calls[1] ?? 0)).toBeGreaterThanOrEqual(60_000);
    expect([exhausted.length, opens.length, closes.length]).toEqual([0, 1, 1]);
  });

  test("an open breaker is answered by the fallback, where there is one", async () => {
    const opened = await open();
    const { clock } = opened;
    const policy: Policy = { breaker: { name: "api", failures: 1 }, retry: { maxAttempts: 1 } };
    const first = alone(opened, () => Promise.reject(trouble()), policy);
    await rejection(clock.runUntil(first.graph.invoke({}, syncRun("one"))));
    const errors: unknown[] = [];
    const second = alone(opened, () => undefined, {
      ...policy,
      fallback: (_, { error }) => {
        errors.push(error);
        return { log: ["fallback"] };
      },
    });
    const before = clock.now();
    expect(await second.graph.invoke({}, syncRun("two"))).toEqual({ log: ["fallback"] });
    expect(second.calls).toEqual([]);
    expect(errors).toEqual([expect.any(BreakerOpenError)]);
    expect(clock.now()).toBe(before);
  });

  test("an open breaker is not waited for longer than maxElapsed allows", async () => {
    const opened = await open();
    const { clock } = opened;
    const policy: Policy = { breaker: { name: "api", failures: 1 } };
    const retry = { ...even, maxElapsed: 10_000 };
    const { graph, calls } = alone(opened, () => Promise.reject(trouble()), { ...policy, retry });
    const before = clock.now();
    const error = await rejection(clock.runUntil(graph.invoke({}, syncRun("t"))));
    expect(error).toBeInstanceOf(BreakerOpenError);
    expect(calls).toHaveLength(1);
    expect(clock.now() - before).toBeLessThanOrEqual(10_000);
  });

  test("outage: all runs park while it lasts, and finish at the shared rate when it is over", async () => {
    const opened = await open();
    const { clock, saver } = opened;
    let isDown = true;
    const work = (): void => {
      if (isDown) throw trouble();
    };
    const { graph, calls } = alone(opened, work, {
      breaker: { name: "api", failures: 3 },
      limit: { name: "api", perSecond: 2 },
      parkAfter: 5_000,
    });
    const threads = ["a", "b", "c", "d", "e"];
    const invoke = async (thread: string, input: object | null) => {
      const result = await graph.invoke(input, syncRun(thread));
      return { thread, park: parkOf(result), log: result.log };
    };
    let states = await clock.runUntil(Promise.all(threads.map((thread) => invoke(thread, {}))));
    expect(states.map(({ park }) => park?.kind)).toEqual(threads.map(() => "parked"));
    const before = calls.length;
    expect(before).toBeLessThan(threads.length * 2);
    const goOn = async (): Promise<void> => {
      const next = Math.min(...states.map(({ park }) => park?.resumeAt ?? Infinity));
      await clock.advance(Math.max(0, next - clock.now()));
      const resumed = states.map((state) =>
        state.park === undefined ? Promise.resolve(state) : invoke(state.thread, null),
      );
      states = await clock.runUntil(Promise.all(resumed));
    };
    for (let minute = 0; minute < 12; minute += 1) await goOn();
    // One trial a minute is all that is called, by whoever comes first, and it costs nobody an attempt.
    expect(calls.length - before).toBeGreaterThan(4);
    calls.slice(before).forEach((at, number) => {
      expect(at - (calls[before + number - 1] ?? 0)).toBeGreaterThanOrEqual(60_000);
    });
    expect(states.every(({ park }) => park !== undefined)).toBe(true);
    isDown = false;
    const [up, upAt] = [calls.length, clock.now()];
    while (states.some(({ park }) => park !== undefined)) await goOn();
    expect(states.map(({ log }) => log)).toEqual(threads.map(() => ["done"]));
    const after = calls.slice(up);
    expect(after).toHaveLength(threads.length);
    // Time may move on between a permit and its call, so calls may seem late; never early.
    after.forEach((at, number) => expect(at).toBeGreaterThanOrEqual(upAt + number * 500));
    expect(await listBreakers(saver.steps)).toMatchObject([{ name: "api", state: "closed" }]);
  });

  test("a limit holds for all tasks of a fan-out together", async () => {
    const { saver, clock } = await open();
    let running = 0;
    let most = 0;
    const visit = durable.for(State)(
      async () => {
        running += 1;
        most = Math.max(most, running);
        await clock.sleep(1_000);
        running -= 1;
        return { log: ["visited"] };
      },
      { limit: { concurrency: 2 } },
    );
    const graph = new StateGraph(State)
      .addNode("visit", visit)
      .addConditionalEdges(START, () => [1, 2, 3, 4, 5].map(() => new Send("visit", {})))
      .addEdge("visit", END)
      .compile({ checkpointer: saver });
    const result = await clock.runUntil(graph.invoke({}, syncRun("t")));
    expect(result.log).toHaveLength(5);
    expect(most).toBe(2);
    expect(await saver.steps.states.list("limits")).toMatchObject([
      { name: "visit", state: { permits: [], queue: [] } },
    ]);
  });

  test("a budget holds for all that a run calls, nodes and what is in them, and for no other run", async () => {
    const opened = await open();
    const { saver, clock } = opened;
    const exceeded = heard("budget.exceeded");
    const spent: number[] = [];
    const node = durable.for(State)(
      async () => {
        const scopes = budgetsHere();
        expect(scopes).toHaveLength(1);
        const options = { needed: { usd: 0.4 }, attempts: 0 };
        const call = await reserveAll(saver.steps, scopes, options);
        await call.settle({ usd: 0.3 });
        spent.push(0.3);
        return { log: ["paid"] };
      },
      { budget: { usd: 1 } },
    );
    const graph = new StateGraph(State)
      .addNode("a", node)
      .addNode("b", node)
      .addNode("c", node)
      .addEdge(START, "a")
      .addEdge("a", "b")
      .addEdge("b", "c")
      .addEdge("c", END)
      .compile({ checkpointer: saver });
    const run = clock.runUntil(graph.invoke({}, syncRun("t")));
    expect((await run).log).toHaveLength(3);
    await clock.runUntil(graph.invoke({ log: [] }, syncRun("t")));
    expect(sum(spent)).toBeCloseTo(1.8);

    const small = alone(opened, () => Promise.reject(trouble()), { budget: { retries: 1 } });
    const error = await rejection(clock.runUntil(small.graph.invoke({}, syncRun("small"))));
    expect(error).toBeInstanceOf(BudgetExceededError);
    expect(error).toMatchObject({ unit: "retries", limit: 1, spent: 1, attempts: 2 });
    expect(small.calls).toHaveLength(2);
    expect(exceeded).toMatchObject([{ name: "budget of the run", unit: "retries" }]);
  });

  test("refuses guards that can't be", async () => {
    const node = (): { log: string[] } => ({ log: [] });
    const make = (policy: object) => () => durable.for(State)(node, policy as Policy);
    expect(make({ breaker: "" })).toThrow(/breaker\.name must be a text that is not empty, not ""/);
    expect(make({ breaker: { failure: 1 } })).toThrow(/breaker has no option "failure"; did you/);
    expect(make({ limit: {} })).toThrow(/limit limits nothing/);
    expect(make({ budget: { usd: -1 } })).toThrow(/budget\.usd/);
    expect(make({ breakers: "x" })).toThrow(/did you mean "breaker"/);
  });
});

/** Moves time from sleeper to sleeper, until something is so. */
async function until(clock: ManualClock, condition: () => boolean): Promise<void> {
  while (!condition()) {
    await clock.sleeping();
    await clock.advance(Math.max(0, (clock.pending[0] ?? 0) - clock.now()));
  }
}
