import {
  Annotation,
  Command,
  END,
  START,
  Send,
  StateGraph,
  StateSchema,
  interrupt,
} from "@langchain/langgraph";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { currentAttempt } from "../../src/context.ts";
import { DeadlineExceededError } from "../../src/errors.ts";
import { events } from "../../src/events.ts";
import {
  durableState,
  durableStateSchema,
  durableZodState,
  withDeadline,
} from "../../src/state.ts";
import { durable } from "../../src/steps/durable.ts";
import type { DurablePolicy } from "../../src/steps/durable-policy.ts";
import { syncRun } from "../support/small-graphs.ts";
import { SAVERS, inMemory } from "./savers.ts";
import { trouble } from "./trouble.ts";

const log = Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] });
const State = Annotation.Root({ ...durableState, log });
const Plain = Annotation.Root({ log });
const step = durable.for(State);
const retry = { initialInterval: 1_000, jitter: "none" } as const;
const never = (): Promise<never> => new Promise(() => undefined);
const same = (error: unknown): unknown => error;

describe.each(SAVERS)("deadlines over %s", (_, open) => {
  async function alone(
    body: (call: number) => string | Promise<string>,
    policy: DurablePolicy<never, never> = {},
    compile: { interruptBefore?: "a"[] } = {},
  ) {
    const opened = await open();
    let calls = 0;
    const graph = new StateGraph(State)
      .addNode(
        "before",
        step(() => ({ log: ["before"] })),
      )
      .addNode(
        "a",
        step.with({ retry, ...policy })(async () => ({ log: [await body((calls += 1))] })),
      )
      .addEdge(START, "before")
      .addEdge("before", "a")
      .addEdge("a", END)
      .compile({ checkpointer: opened.saver, ...compile });
    const within = (duration: number, includeWaits = false) =>
      withDeadline(duration, { clock: opened.clock, includeWaits });
    /** Nobody runs the thread for so long. */
    const pass = async (duration: number): Promise<void> => {
      // What was noted is stored at once in real time, which stands still here.
      await opened.saver.steps.status.flush();
      await opened.clock.advance(duration);
    };
    return { ...opened, graph, within, pass, calls: () => calls };
  }

  test("a node past it is not begun, and goes on when it is given more time", async () => {
    const exceeded: number[] = [];
    onTestFinished(
      events.on("deadline.exceeded", ({ deadlineAt }) => void exceeded.push(deadlineAt)),
    );
    const { graph, within, calls, saver, pass } = await alone(
      () => "done",
      {},
      { interruptBefore: ["a"] },
    );
    const deadline = within(10_000, true);
    await graph.invoke(deadline, syncRun("t"));
    await pass(10_000);
    const error = await graph.invoke(null, syncRun("t")).catch(same);
    expect(error).toBeInstanceOf(DeadlineExceededError);
    expect(calls()).toBe(0);
    expect(exceeded).toEqual([deadline.deadlineAt]);
    expect(await saver.steps.status.read("t")).toMatchObject({
      status: "failed",
      currentStep: "a",
    });
    await graph.updateState(syncRun("t"), within(1_000), "before");
    expect(await graph.invoke(null, syncRun("t")).catch(same)).not.toBeInstanceOf(Error);
    expect((await graph.invoke(null, syncRun("t"))).log).toContain("done");
  });

  test("an attempt is cut to what is left, less the reserve", async () => {
    const { graph, clock, within } = await alone(never, { deadline: { reserve: 2_000 } });
    const start = clock.now();
    const error = await clock.runUntil(graph.invoke(within(10_000), syncRun("t")).catch(same));
    expect(error).toMatchObject({ code: "DEADLINE_EXCEEDED", deadlineAt: start + 10_000 });
    expect(clock.now() - start).toBe(8_000);
  });

  test("a wait that would run into it is not begun", async () => {
    const { graph, clock, within, calls } = await alone(() => {
      throw trouble("down");
    });
    const start = clock.now();
    const error = await clock.runUntil(graph.invoke(within(2_900), syncRun("t")).catch(same));
    expect(error).toMatchObject({ code: "DEADLINE_EXCEEDED", cause: { message: "down" } });
    expect(calls()).toBe(2);
    expect(clock.now() - start).toBe(1_000);
  });

  test("time that a person takes to answer does not count", async () => {
    const { graph, clock, within, pass } = await alone(async () => {
      const answer = interrupt<string, string>("well?");
      await clock.sleep(6_000);
      return `${answer} ${(currentAttempt()?.deadlineAt ?? 0) - clock.now()}`;
    });
    await graph.invoke(within(10_000), syncRun("t"));
    await pass(3_600_000);
    const answered = graph.invoke(new Command({ resume: "yes" }), syncRun("t"));
    expect((await clock.runUntil(answered)).log).toEqual(["before", "yes 4000"]);
  });

  test("of waits one after the other, none counts", async () => {
    const { graph, within, pass } = await alone(() => {
      const first = interrupt<string, string>("one?");
      return first + interrupt<string, string>("two?");
    });
    await graph.invoke(within(10_000), syncRun("t"));
    await pass(60_000);
    await graph.invoke(new Command({ resume: "a" }), syncRun("t"));
    await pass(60_000);
    const result = await graph.invoke(new Command({ resume: "b" }), syncRun("t"));
    expect(result.log).toEqual(["before", "ab"]);
  });

  test("it does count where told", async () => {
    const { graph, within, pass } = await alone(() => interrupt<string, string>("well?"));
    await graph.invoke(within(10_000, true), syncRun("t"));
    await pass(10_000);
    const error = await graph.invoke(new Command({ resume: "yes" }), syncRun("t")).catch(same);
    expect(error).toBeInstanceOf(DeadlineExceededError);
  });

  test("time before a static gate does not count", async () => {
    const { graph, within, pass } = await alone(() => "done", {}, { interruptBefore: ["a"] });
    await graph.invoke(within(10_000), syncRun("t"));
    await pass(3_600_000);
    expect((await graph.invoke(null, syncRun("t"))).log).toEqual(["before", "done"]);
  });

  test("time after a crash counts", async () => {
    const { graph, clock, within, saver, pass } = await alone(
      () => "done",
      {},
      { interruptBefore: ["a"] },
    );
    await graph.invoke(within(10_000), syncRun("t"));
    // What a process leaves that is killed in the node.
    const { config, tasks } = await graph.getState(syncRun("t"));
    const checkpointId = (config.configurable as { checkpoint_id: string }).checkpoint_id;
    await saver.steps.attempts.write(
      { threadId: "t", namespace: "", checkpointId, taskId: tasks[0]?.id ?? "" },
      {
        failed: 0,
        startedAt: clock.now(),
        running: { attempt: 1, process: "another", startedAt: clock.now() },
      },
    );
    await pass(3_600_000);
    const error = await graph.invoke(null, syncRun("t")).catch(same);
    expect(error).toBeInstanceOf(DeadlineExceededError);
  });

  test("a wait of the run before does not lengthen this one's", async () => {
    const { graph, clock, within, pass } = await alone(async (call) => {
      if (call <= 2) return interrupt<string, string>("well?");
      return never();
    });
    await graph.invoke(within(10_000), syncRun("t"));
    await pass(3_600_000);
    await graph.invoke(new Command({ resume: "yes" }), syncRun("t"));
    const start = clock.now();
    const error = await clock.runUntil(graph.invoke(within(10_000), syncRun("t")).catch(same));
    expect(error).toBeInstanceOf(DeadlineExceededError);
    expect(clock.now() - start).toBe(10_000);
  });
});

describe("where a deadline is known", () => {
  async function deadlineSeenBy(
    build: (
      seen: <T>(value: T) => () => T,
      opened: Awaited<ReturnType<typeof inMemory>>,
    ) => { invoke(input: never, config: object): Promise<unknown> },
  ) {
    const opened = await inMemory();
    const seen: unknown[] = [];
    const see =
      <T>(value: T) =>
      () => {
        seen.push(currentAttempt()?.deadlineAt);
        return value;
      };
    const deadline = withDeadline(5_000, { clock: opened.clock });
    await build(see, opened).invoke(deadline as never, syncRun("t"));
    return { seen, deadlineAt: deadline.deadlineAt };
  }

  test("in Send tasks, and nodes with an input of their own", async () => {
    const { seen, deadlineAt } = await deadlineSeenBy((see, { saver }) =>
      new StateGraph(State)
        .addNode("sent", durable(see({ log: ["sent"] })))
        .addNode("own", durable(see({ log: ["own"] })), { input: Plain })
        .addConditionalEdges(START, () => [new Send("sent", { anything: 1 })])
        .addEdge("sent", "own")
        .compile({ checkpointer: saver }),
    );
    expect(seen).toEqual([deadlineAt, deadlineAt]);
  });

  test("in subgraphs without the field, durable or not, and two deep", async () => {
    const { seen, deadlineAt } = await deadlineSeenBy((see, { saver }) => {
      const inner = (name: string) =>
        new StateGraph(Plain)
          .addNode("deep", durable(see({ log: [name] })))
          .addEdge(START, "deep")
          .compile();
      const middle = new StateGraph(Plain)
        .addNode("inner", inner("two deep"))
        .addEdge(START, "inner")
        .compile();
      return new StateGraph(State)
        .addNode("plain", inner("plain"))
        .addNode("durable", durable(inner("durable")))
        .addNode("middle", middle)
        .addEdge(START, "plain")
        .addEdge("plain", "durable")
        .addEdge("durable", "middle")
        .compile({ checkpointer: saver });
    });
    expect(seen).toEqual([deadlineAt, deadlineAt, deadlineAt]);
  });

  test("in StateSchema and zod states", async () => {
    const Schema = new StateSchema({ ...durableStateSchema, log: z.array(z.string()).default([]) });
    const Zod = z.object({ ...durableZodState(z), log: z.array(z.string()).default([]) });
    const bySchema = await deadlineSeenBy((see, { saver }) =>
      new StateGraph(Schema)
        .addNode("a", durable(see({ log: ["a"] })))
        .addEdge(START, "a")
        .compile({ checkpointer: saver }),
    );
    const byZod = await deadlineSeenBy((see, { saver }) =>
      new StateGraph(Zod)
        .addNode("a", durable(see({ log: ["a"] })))
        .addEdge(START, "a")
        .compile({ checkpointer: saver }),
    );
    expect(bySchema.seen).toEqual([bySchema.deadlineAt]);
    expect(byZod.seen).toEqual([byZod.deadlineAt]);
  });

  test("nowhere, where none was set or it was taken away", async () => {
    const { saver } = await inMemory();
    const seen: unknown[] = [];
    const graph = new StateGraph(State)
      .addNode(
        "a",
        durable(() => {
          seen.push(currentAttempt()?.deadlineAt);
          return { log: [] };
        }),
      )
      .addEdge(START, "a")
      .compile({ checkpointer: saver });
    await graph.invoke({}, syncRun("1"));
    await graph.invoke(withDeadline(Infinity), syncRun("2"));
    expect(seen).toEqual([undefined, undefined]);
  });
});
