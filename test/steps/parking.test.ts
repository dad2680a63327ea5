import {
  Annotation,
  Command,
  END,
  START,
  StateGraph,
  interrupt,
  isInterrupted,
} from "@langchain/langgraph";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PARK_AFTER_KEY, currentAttempt } from "../../src/context.ts";
import { durable } from "../../src/steps/durable.ts";
import type { DurablePolicy } from "../../src/steps/durable-policy.ts";
import { progress } from "../../src/steps/progress.ts";
import { sleep, sleepUntil } from "../../src/steps/sleep.ts";
import { parkOf, waitUntil } from "../../src/steps/wait.ts";
import { syncRun } from "../support/small-graphs.ts";
import { SAVERS, inMemory } from "./savers.ts";
import { trouble } from "./trouble.ts";

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});
const step = durable.for(State);
const HOUR = 3_600_000;
const retry = { initialInterval: 1_000, jitter: "none" } as const;

describe.each(SAVERS)("waits over %s", (_, open) => {
  async function alone(
    body: (call: number) => Promise<string>,
    policy: DurablePolicy<never, never> = {},
  ) {
    const opened = await open();
    let calls = 0;
    const graph = new StateGraph(State)
      .addNode(
        "a",
        step.with({ retry, ...policy })(async () => ({ log: [await body((calls += 1))] })),
      )
      .addEdge(START, "a")
      .addEdge("a", END)
      .compile({ checkpointer: opened.saver });
    return { ...opened, graph, calls: () => calls };
  }

  test("a sleep is in process where nothing parks, and no longer after it was cut off", async () => {
    const { graph, clock } = await alone(async (call) => {
      await sleep(HOUR);
      return `call ${call}`;
    });
    const stop = new AbortController();
    const first = graph.invoke({}, { ...syncRun("t"), signal: stop.signal }).catch(() => "stopped");
    await clock.sleeping();
    await clock.advance(HOUR / 4);
    stop.abort();
    expect(await first).toBe("stopped");
    await expect(clock.runUntil(graph.invoke(null, syncRun("t")))).resolves.toEqual({
      log: ["call 2"],
    });
    expect(clock.asked).toEqual([HOUR, 0.75 * HOUR]);
  });

  test("sleeps are parked, told apart, and each is slept once", async () => {
    const { graph, clock, calls } = await alone(
      async (call) => {
        await sleep(HOUR);
        await sleep(2 * HOUR);
        await sleep(10);
        return `call ${call}`;
      },
      { parkAfter: 1_000 },
    );
    const start = clock.now();
    expect(parkOf(await graph.invoke({}, syncRun("t")))).toEqual({
      kind: "parked",
      reason: "sleep",
      resumeAt: start + HOUR,
    });
    await clock.advance(HOUR - 1_001);
    expect(parkOf(await graph.invoke(null, syncRun("t")))?.resumeAt).toBe(start + HOUR);
    expect(calls()).toBe(1);
    await clock.advance(1_001);
    expect(parkOf(await graph.invoke(null, syncRun("t")))?.resumeAt).toBe(start + 3 * HOUR);
    await clock.advance(2 * HOUR);
    const result = await clock.runUntil(graph.invoke(null, syncRun("t")));
    expect(result).toEqual({ log: ["call 3"] });
  });

  test("an invocation may turn parking on, for nodes that are not durable, too", async () => {
    const { saver, clock } = await open();
    const graph = new StateGraph(State)
      .addNode("plain", async () => {
        await sleep(HOUR);
        return { log: ["slept"] };
      })
      .addEdge(START, "plain")
      .compile({ checkpointer: saver });
    const config = syncRun("t");
    const parking = { ...config, configurable: { ...config.configurable, [PARK_AFTER_KEY]: 0 } };
    const park = parkOf(await graph.invoke({}, parking));
    expect(park?.resumeAt).toBe(clock.now() + HOUR);
    await clock.advance(HOUR);
    expect(await graph.invoke(null, parking)).toEqual({ log: ["slept"] });
  });

  test("sleepUntil an instant that is past is none", async () => {
    const { graph, clock } = await alone(async () => {
      await sleepUntil(new Date(clock.now() - 1));
      await sleepUntil(clock.now() + 500);
      return "woke";
    });
    expect(await clock.runUntil(graph.invoke({}, syncRun("t")))).toEqual({ log: ["woke"] });
    expect(clock.asked).toEqual([500]);
  });

  test("a retry does not sleep again", async () => {
    const { graph, clock } = await alone(async (call) => {
      await sleep(HOUR);
      if (call < 3) throw trouble();
      return "done";
    });
    await clock.runUntil(graph.invoke({}, syncRun("t")));
    expect(clock.asked).toEqual([HOUR, 1_000, 2_000]);
  });

  test("a park sticks, though the body swallows it, and waits for effects in flight", async () => {
    const order: string[] = [];
    const { graph, clock } = await alone(
      async () => {
        const effect = clock.sleep(100).then(() => void order.push("effect done"));
        currentAttempt()?.inFlight.add(effect);
        try {
          await waitUntil(clock.now() + HOUR, "elsewhere");
        } catch {
          order.push("swallowed");
        }
        return "went on";
      },
      { parkAfter: 0 },
    );
    const result = await clock.runUntil(graph.invoke({}, syncRun("t")));
    expect(parkOf(result)?.reason).toBe("elsewhere");
    expect(order).toEqual(["swallowed", "effect done"]);
    expect(result).not.toHaveProperty("log");
  });

  test("a question beside a park stays open, its code is not repeated, and no answer reaches the park", async () => {
    const { saver, clock } = await open();
    const ran: string[] = [];
    const graph = new StateGraph(State)
      .addNode({
        ask: durable(() => {
          ran.push("ask");
          return { log: [interrupt<string, string>("well?")] };
        }),
        wait: durable(
          async () => {
            ran.push("wait");
            await sleep(HOUR);
            return { log: ["waited"] };
          },
          { parkAfter: 0 },
        ),
      })
      .addEdge(START, "ask")
      .addEdge(START, "wait")
      .compile({ checkpointer: saver });
    const both = await graph.invoke({}, syncRun("t"));
    expect(isInterrupted(both)).toBe(true);
    expect((await saver.steps.status.read("t"))?.status).toBe("interrupted");
    for (let wake = 0; wake < 3; wake += 1) {
      await clock.advance(HOUR / 4);
      await graph.invoke(null, syncRun("t"));
    }
    expect(ran.toSorted()).toEqual(["ask", "wait"]);
    await clock.advance(HOUR / 4);
    const woken = await graph.invoke(null, syncRun("t"));
    expect(woken.log).toEqual(["waited"]);
    expect(parkOf(woken)).toBeUndefined();
    expect(isInterrupted(woken)).toBe(true);
    expect(ran.toSorted()).toEqual(["ask", "wait", "wait"]);
    const done = await graph.invoke(new Command({ resume: "yes" }), syncRun("t"));
    expect(done.log.toSorted()).toEqual(["waited", "yes"]);
  });

  test("progress and status are there for whoever looks, and begin anew with a run", async () => {
    const seen: Awaited<ReturnType<typeof look>>[] = [];
    const { graph, saver } = await alone(async (call) => {
      if (call === 1) progress(40, "two of five");
      seen.push(await look());
      return "done";
    });
    const look = async () => saver.steps.status.read("t");
    await graph.invoke({}, syncRun("t"));
    await graph.invoke({}, syncRun("t"));
    const [status, next] = seen;
    expect(status).toMatchObject({
      currentStep: "a",
      progressPercent: 40,
      progressNote: "two of five",
    });
    expect(next).toMatchObject({ progressPercent: undefined, progressNote: undefined });
    expect(next?.runId).not.toBe(status?.runId);
  });
});

test("waits end at once when the run is aborted", async () => {
  const { saver, clock } = await inMemory();
  const graph = new StateGraph(State)
    .addNode(
      "a",
      step(async () => (await sleep(HOUR), { log: [] })),
    )
    .addEdge(START, "a")
    .compile({ checkpointer: saver });
  const stop = new AbortController();
  const run = graph.invoke({}, { ...syncRun("t"), signal: stop.signal });
  const failed = run.catch((error: unknown) => error);
  await clock.sleeping();
  stop.abort();
  expect(await failed).toBeInstanceOf(Error);
  expect(clock.pending).toEqual([]);
});

/** What each of several siblings does, in order: it sleeps, fails or goes on. */
const sibling = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant("sleep" as const), for: fc.integer({ min: 1_000, max: 9_000 }) }),
    fc.record({ do: fc.constant("fail" as const), for: fc.constant(0) }),
  ),
  { maxLength: 3 },
);

test("siblings that park: each runs to its end, none is lost, repeated when done, or woken too soon", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(sibling, { minLength: 1, maxLength: 4 }),
      fc.array(fc.integer({ min: 0, max: 4_000 }), { maxLength: 12 }),
      async (plans, wakes) => {
        const { saver, clock } = await inMemory();
        const done = plans.map(() => 0);
        const failures = plans.map(() => 0);
        const early: string[] = [];
        let builder = new StateGraph(State) as unknown as AnyGraph;
        for (const [index, plan] of plans.entries()) {
          const name = `n${index}`;
          const due = new Map<number, number>();
          let mayRunAt = 0;
          const body = async () => {
            if (clock.now() < mayRunAt) early.push(name);
            let failing = 0;
            for (const [at, action] of plan.entries()) {
              if (action.do === "sleep") {
                const wakeAt = due.get(at) ?? clock.now() + action.for;
                due.set(at, wakeAt);
                await sleep(action.for);
                if (clock.now() < wakeAt) early.push(name);
              } else {
                failing += 1;
                const failed = failures[index] ?? 0;
                if (failing > failed) {
                  failures[index] = failed + 1;
                  mayRunAt = clock.now() + 1_000;
                  throw trouble();
                }
              }
            }
            done[index] = (done[index] ?? 0) + 1;
            return { log: [name] };
          };
          builder = builder
            .addNode(name, durable(body, { parkAfter: 0, retry: { ...retry, backoffFactor: 1 } }))
            .addEdge(START, name);
        }
        const graph = builder.compile({ checkpointer: saver });
        let result = await graph.invoke({}, syncRun("t"));
        for (const wake of wakes) {
          if (parkOf(result) === undefined) break;
          await clock.advance(wake);
          result = await graph.invoke(null, syncRun("t"));
        }
        for (let park = parkOf(result); park !== undefined; park = parkOf(result)) {
          await clock.advance(Math.max(0, park.resumeAt - clock.now()));
          result = await graph.invoke(null, syncRun("t"));
        }
        expect(result.log.toSorted()).toEqual(plans.map((_, index) => `n${index}`));
        expect(done).toEqual(plans.map(() => 1));
        expect(early).toEqual([]);
        expect(failures).toEqual(
          plans.map((plan) => plan.filter((one) => one.do === "fail").length),
        );
      },
    ),
    { numRuns: 40 },
  );
});

/** Nodes that are added in a loop have names that types don't know. */
type AnyGraph = StateGraph<
  (typeof State)["spec"],
  typeof State.State,
  Partial<typeof State.State>,
  string
>;
