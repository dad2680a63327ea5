import {
  Annotation,
  Command,
  END,
  MemorySaver,
  START,
  Send,
  StateGraph,
  interrupt,
  isInterrupted,
} from "@langchain/langgraph";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { isExhausted } from "../../src/errors.ts";
import { events, type EventName, type HoldfastEvents } from "../../src/events.ts";
import { durable } from "../../src/steps/durable.ts";
import type { DurablePolicy } from "../../src/steps/durable-policy.ts";
import { parkOf } from "../../src/steps/wait.ts";
import { syncRun } from "../support/small-graphs.ts";
import { SAVERS, inMemory } from "./savers.ts";
import { trouble } from "./trouble.ts";

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});
const step = durable.for(State);
const even = { jitter: "none", initialInterval: 1_000 } as const;

/** All events of a name while the test runs. */
function heard<Name extends EventName>(name: Name): HoldfastEvents[Name][] {
  const all: HoldfastEvents[Name][] = [];
  onTestFinished(events.on(name, (data) => void all.push(data)));
  return all;
}

describe.each(SAVERS)("durable() over %s", (saverName, open) => {
  /** A graph of one node. */
  async function alone(
    body: (call: number) => { log: string[] } | Promise<{ log: string[] }>,
    policy: DurablePolicy<typeof State.State, { log: string[] }> = {},
  ) {
    const opened = await open();
    let calls = 0;
    const node = step(() => body((calls += 1)), { retry: even, ...policy });
    const graph = new StateGraph(State)
      .addNode("a", node)
      .addEdge(START, "a")
      .addEdge("a", END)
      .compile({ checkpointer: opened.saver });
    return { ...opened, graph, calls: () => calls };
  }

  test("tries again after growing waits, and leaves nothing behind", async () => {
    const failed = heard("attempt.failed");
    const { graph, clock, saver } = await alone((call) => {
      if (call < 4) throw trouble();
      return { log: [`call ${call}`] };
    });
    const result = await clock.runUntil(graph.invoke({}, syncRun("t")));
    expect(result).toEqual({ log: ["call 4"] });
    expect(clock.asked).toEqual([1_000, 2_000, 4_000]);
    expect(failed.map(({ attempt, kind }) => [attempt, kind])).toEqual([
      [1, "server"],
      [2, "server"],
      [3, "server"],
    ]);
    expect(await saver.steps.status.read("t")).toMatchObject({ currentStep: "a", attempt: 4 });
  });

  test("gives up when the attempts are used up; the next invocation begins a new series", async () => {
    const exhausted = heard("attempt.exhausted");
    const { graph, clock, saver, calls } = await alone(() => {
      throw trouble("down");
    });
    const error: unknown = await clock.runUntil(graph.invoke({}, syncRun("t")).catch(same));
    expect(error).toMatchObject({ message: "down" });
    expect(isExhausted(error)).toBe(true);
    expect(calls()).toBe(4);
    expect(exhausted).toHaveLength(1);
    expect(await saver.steps.status.read("t")).toMatchObject({
      status: "failed",
      errorMessage: "Error: down",
    });
    await clock.runUntil(graph.invoke(null, syncRun("t")).catch(same));
    expect(calls()).toBe(8);
  });

  test("never repeats a bug", async () => {
    const { graph, calls } = await alone(() => {
      throw new TypeError("undefined is not a function");
    });
    await expect(graph.invoke({}, syncRun("t"))).rejects.toThrow(TypeError);
    expect(calls()).toBe(1);
  });

  test("goes on with a backoff that was cut off, and shortens it by nothing", async () => {
    const { graph, clock, calls } = await alone((call) => {
      if (call < 3) throw trouble();
      return { log: [`call ${call}`] };
    });
    const stop = new AbortController();
    const first = graph.invoke({}, { ...syncRun("t"), signal: stop.signal }).catch(same);
    await clock.sleeping();
    await clock.advance(300);
    stop.abort();
    await first;
    expect(clock.pending).toEqual([]);
    await clock.runUntil(graph.invoke(null, syncRun("t")));
    expect(clock.asked).toEqual([1_000, 700, 2_000]);
    expect(calls()).toBe(3);
  });

  test("parks a long wait, parks again when called too early, and goes on in time", async () => {
    const parked = heard("run.parked");
    const { graph, clock, saver, calls } = await alone(
      (call) => {
        if (call < 2) throw trouble();
        return { log: [`call ${call}`] };
      },
      { parkAfter: 500 },
    );
    const start = clock.now();
    const result = await graph.invoke({}, syncRun("t"));
    expect(parkOf(result)).toEqual({
      kind: "parked",
      reason: 'backoff of "a"',
      resumeAt: start + 1_000,
    });
    expect((await saver.steps.status.read("t"))?.status).toBe("parked");
    await clock.advance(400);
    expect(parkOf(await graph.invoke(null, syncRun("t")))?.resumeAt).toBe(start + 1_000);
    expect(calls()).toBe(1);
    await clock.advance(600);
    expect(await graph.invoke(null, syncRun("t"))).toEqual({ log: ["call 2"] });
    expect(calls()).toBe(2);
    expect(parked).toHaveLength(2);
  });

  test("parks when exhausted, where told, and then begins a new series", async () => {
    const { graph, clock, calls } = await alone(
      () => {
        throw trouble();
      },
      { retry: { ...even, maxAttempts: 1, onExhausted: "park", parkFor: 60_000 }, parkAfter: 1 },
    );
    expect(parkOf(await graph.invoke({}, syncRun("t")))).toMatchObject({
      resumeAt: clock.now() + 60_000,
    });
    await clock.advance(59_000);
    await graph.invoke(null, syncRun("t"));
    expect(calls()).toBe(1);
    await clock.advance(1_000);
    await graph.invoke(null, syncRun("t"));
    expect(calls()).toBe(2);
  });

  test("falls back once it has failed for good", async () => {
    const used = heard("fallback.used");
    const { graph } = await alone(
      () => {
        throw trouble("down");
      },
      {
        retry: { maxAttempts: 2, initialInterval: 0 },
        fallback: (state, { error, attempts }) => ({
          log: [`${state.log.length} ${(error as Error).message} ${attempts}`],
        }),
      },
    );
    expect(await graph.invoke({}, syncRun("t"))).toEqual({ log: ["0 down 2"] });
    expect(used).toHaveLength(1);
  });

  test("makes LangGraph's own retry harmless", async () => {
    const notices = vi.spyOn(events, "onNotice").mockImplementation(() => undefined);
    onTestFinished(() => notices.mockRestore());
    const { saver } = await open();
    let calls = 0;
    const graph = new StateGraph(State)
      .addNode(
        `retried over ${saverName}`,
        step(
          () => {
            calls += 1;
            throw trouble();
          },
          { retry: { maxAttempts: 2, initialInterval: 0 } },
        ),
        { retryPolicy: { maxAttempts: 3, initialInterval: 1, jitter: false, logWarning: false } },
      )
      .addEdge(START, `retried over ${saverName}`)
      .compile({ checkpointer: saver });
    await expect(graph.invoke({}, syncRun("t"))).rejects.toThrow("overloaded");
    expect(calls).toBe(2);
    const said = notices.mock.calls
      .map(([message]) => message)
      .filter((m) => /retryPolicy/.test(m));
    expect(said).toHaveLength(1);
  });

  test("asks a person, keeps an answer across a failure, and asks again for nothing", async () => {
    const { graph, clock, calls } = await alone((call) => {
      const answer = interrupt<string, string>("well?");
      if (call === 2) throw trouble();
      return { log: [answer] };
    });
    expect(isInterrupted(await graph.invoke({}, syncRun("t")))).toBe(true);
    expect(isInterrupted(await graph.invoke(null, syncRun("t")))).toBe(true);
    expect(calls()).toBe(1);
    const answered = graph.invoke(new Command({ resume: "yes" }), syncRun("t"));
    expect(await clock.runUntil(answered)).toEqual({ log: ["yes"] });
    expect(calls()).toBe(3);
  });

  test("hands what it gave up on to LangGraph's error handler", async () => {
    const { saver, clock } = await open();
    const graph = new StateGraph(State)
      .addNode(
        "a",
        step(
          () => {
            throw trouble("down");
          },
          { retry: { ...even, maxAttempts: 2 } },
        ),
        {
          errorHandler: (_, { node, error }) => ({ log: [`${node}: ${error.message}`] }),
        },
      )
      .addEdge(START, "a")
      .addEdge("a", END)
      .compile({ checkpointer: saver });
    const result = await clock.runUntil(graph.invoke({}, syncRun("t")));
    expect(result).toEqual({ log: ["a: down"] });
    expect(clock.asked).toEqual([1_000]);
  });

  test("commands go where they say, to a parent graph, too", async () => {
    const { saver } = await open();
    const inner = new StateGraph(State)
      .addNode(
        "leave",
        durable(
          () => new Command({ graph: Command.PARENT, goto: "there", update: { log: ["left"] } }),
        ),
        { ends: [] },
      )
      .addEdge(START, "leave")
      .compile();
    const graph = new StateGraph(State)
      .addNode(
        "route",
        step(() => new Command({ goto: "inner", update: { log: ["routed"] } })),
        {
          ends: ["inner"],
        },
      )
      .addNode("inner", durable(inner), { ends: ["there"] })
      .addNode(
        "there",
        step(() => ({ log: ["there"] })),
      )
      .addEdge(START, "route")
      .compile({ checkpointer: saver });
    const result = await graph.invoke({}, syncRun("t"));
    expect(result).toEqual({ log: ["routed", "left", "there"] });
  });

  test("works in Send tasks and parallel branches: each counts for itself", async () => {
    const { saver, clock } = await open();
    const tries = new Map<string, number>();
    const graph = new StateGraph(State)
      .addNode(
        "work",
        durable(
          (item: { name: string; fails: number }) => {
            const call = (tries.get(item.name) ?? 0) + 1;
            tries.set(item.name, call);
            if (call <= item.fails) throw trouble();
            return { log: [`${item.name}${call}`] };
          },
          { retry: even },
        ),
      )
      .addConditionalEdges(START, () =>
        [0, 1, 2, 3].map((fails) => new Send("work", { name: "abcd"[fails], fails })),
      )
      .addEdge("work", END)
      .compile({ checkpointer: saver });
    expect(await clock.runUntil(graph.invoke({}, syncRun("t")))).toEqual({
      log: ["a1", "b2", "c3", "d4"],
    });
  });
});

test("says once that attempts are kept in memory, under another saver", async () => {
  const notices = vi.spyOn(events, "onNotice").mockImplementation(() => undefined);
  onTestFinished(() => notices.mockRestore());
  const graph = new StateGraph(State)
    .addNode(
      "a",
      step(() => ({ log: ["a"] })),
    )
    .addEdge(START, "a")
    .compile({ checkpointer: new MemorySaver() });
  await graph.invoke({}, syncRun("1"));
  await graph.invoke({}, syncRun("2"));
  expect(notices.mock.calls.filter(([message]) => /in memory/.test(message))).toHaveLength(1);
});

test("says once that async durability may lose nodes", async () => {
  const notices = vi.spyOn(events, "onNotice").mockImplementation(() => undefined);
  onTestFinished(() => notices.mockRestore());
  const { saver } = await inMemory();
  const graph = new StateGraph(State)
    .addNode(
      "a",
      step(() => ({ log: ["a"] })),
    )
    .addEdge(START, "a")
    .compile({ checkpointer: saver });
  await graph.invoke({}, { configurable: { thread_id: "1" } });
  await graph.invoke({}, { configurable: { thread_id: "2" } });
  expect(notices.mock.calls.filter(([message]) => /durability "async"/.test(message))).toHaveLength(
    1,
  );
  expect(notices.mock.calls.filter(([message]) => /sync/.test(message))).toHaveLength(1);
});

function same(error: unknown): unknown {
  return error;
}
