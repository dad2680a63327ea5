import { Annotation, END, START, StateGraph, interrupt } from "@langchain/langgraph";
import { tool } from "@langchain/core/tools";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import { effect } from "../../src/effects/effect.ts";
import { isHoldfastError } from "../../src/errors.ts";
import { events } from "../../src/events.ts";
import { createRuntime } from "../../src/runtime/create-runtime.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { durableState } from "../../src/state.ts";
import { durable } from "../../src/steps/durable.ts";
import { durableTool } from "../../src/steps/tool.ts";
import { approvals } from "../../src/steps/inbox.ts";
import { newEngine } from "../support/engines.ts";
import { SITES } from "../support/places.ts";

/** A database on a busy machine may take a while to answer; time must not pass meanwhile. */
const PATIENT = { quiet: 300 };

const State = Annotation.Root({
  topic: Annotation<string>(),
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});

/** What the world was asked to do. */
const world: string[] = [];
/** What nodes wait for, by name. */
let gates: Record<string, PromiseWithResolvers<void>> = {};
let atShip = (): void => undefined;
let trouble: Record<string, Error | undefined> = {};

const book = effect({
  name: "runtime-book",
  run: (topic: string) => {
    world.push(`book ${topic}`);
    return Promise.resolve("ok");
  },
  onUnknown: "repeat",
  undo: (topic: string) => {
    world.push(`cancel ${topic}`);
    return Promise.resolve();
  },
});

function graphOf(saver: HoldfastSaver, interruptBefore: "ship"[] = []) {
  return new StateGraph(State)
    .addNode(
      "book",
      durable(async (state: typeof State.State) => {
        await book(state.topic, { key: `${state.topic}-${state.log.length}` });
        return { log: ["booked"] };
      }),
    )
    .addNode(
      "ship",
      durable(
        async (_state: typeof State.State, config: { signal?: AbortSignal }) => {
          const gate = gates["ship"]?.promise;
          atShip();
          if (gate !== undefined) {
            const aborted = new Promise<never>((_, reject) => {
              config.signal?.addEventListener("abort", () => reject(new Error("aborted")));
            });
            await Promise.race([gate, aborted]);
          }
          if (trouble["ship"] !== undefined) throw trouble["ship"];
          return { log: ["shipped"] };
        },
        { retry: { maxAttempts: 1 } },
      ),
    )
    .addNode("ask", (state: typeof State.State) =>
      state.topic === "asked" ? { log: [`said ${interrupt("really?") as string}`] } : {},
    )
    .addEdge(START, "book")
    .addEdge("book", "ship")
    .addEdge("ship", "ask")
    .addEdge("ask", END)
    .compile({ checkpointer: saver, interruptBefore });
}

describe.each(SITES)("a runtime on %s", (_, newPlace, engineName) => {
  const engine = () => newEngine(engineName);
  const open: { runtime: Runtime; saver: HoldfastSaver }[] = [];

  async function begin(interruptBefore: "ship"[] = []): Promise<Runtime> {
    const saver = (await newPlace()).open();
    world.length = 0;
    trouble = {};
    gates = {};
    const graphs = { trip: graphOf(saver, interruptBefore) };
    const runtime = createRuntime({
      saver,
      graphs,
      engine: engine(),
      worker: { pollInterval: 50 },
    });
    open.push({ runtime, saver });
    return runtime;
  }

  afterEach(async () => {
    gates["ship"]?.resolve();
    for (const { runtime, saver } of open.splice(0)) {
      await runtime.close();
      await saver.end();
    }
  });

  it("does what it accepts", async () => {
    const runtime = await begin();
    const run = await runtime.start("trip", { topic: "Oslo" }, { threadId: "t" });
    expect(run).toMatchObject({ threadId: "t", graph: "trip", status: "queued", attempt: 0 });
    const result = await runtime.result(run.runId);
    expect(result).toMatchObject({
      status: "completed",
      values: { topic: "Oslo", log: ["booked", "shipped"] },
      error: undefined,
    });
    expect(await runtime.run(run.runId)).toMatchObject({ status: "completed", attempt: 1 });
    expect(await runtime.status("t")).toMatchObject({
      status: "completed",
      workflowName: "trip",
    });
    expect(await runtime.state("t")).toMatchObject({ log: ["booked", "shipped"] });
  });

  it("takes one run for one, however often it is started", async () => {
    const runtime = await begin();
    const options = { threadId: "t", runId: "r" };
    await Promise.all([1, 2, 3].map(() => runtime.start("trip", { topic: "Oslo" }, options)));
    await runtime.result("r");
    expect(await runtime.start("trip", { topic: "Oslo" }, options)).toMatchObject({
      status: "completed",
    });
    expect(world).toEqual(["book Oslo"]);
    const other = runtime.start("trip", {}, { threadId: "other", runId: "r" });
    await expect(other).rejects.toThrow(/was accepted before/);
  });

  it("runs one after the other on a thread", async () => {
    const runtime = await begin();
    gates["ship"] = Promise.withResolvers();
    const first = await runtime.start("trip", { topic: "Oslo" }, { threadId: "t" });
    const second = await runtime.start("trip", { topic: "Bergen" }, { threadId: "t" });
    await expect.poll(() => world).toEqual(["book Oslo"]);
    const refused = runtime.start("trip", {}, { threadId: "t", multitaskStrategy: "reject" });
    await expect(refused).rejects.toSatisfy((error) => isHoldfastError(error, "RUN_ACTIVE"));
    gates["ship"].resolve();
    expect(await runtime.result(first.runId)).toMatchObject({
      values: { topic: "Oslo", log: ["booked", "shipped"] },
    });
    expect(await runtime.result(second.runId)).toMatchObject({
      values: { topic: "Bergen", log: ["booked", "shipped", "booked", "shipped"] },
    });
  });

  it.each(["interrupt", "rollback"] as const)("stops for another run by %s", async (strategy) => {
    const runtime = await begin();
    gates["ship"] = Promise.withResolvers();
    const first = await runtime.start("trip", { topic: "Oslo" }, { threadId: "t" });
    await expect.poll(() => world).toEqual(["book Oslo"]);
    await expect.poll(async () => (await runtime.status("t")).currentStep).toBe("ship");
    expect(await runtime.status("t")).toMatchObject({
      ...{ status: "running", worker: expect.stringContaining(`:${process.pid}:`) },
    });
    const options = { threadId: "t", multitaskStrategy: strategy };
    const second = await runtime.start("trip", { topic: "Bergen" }, options);
    expect(await runtime.result(first.runId)).toMatchObject({ status: "cancelled" });
    gates["ship"].resolve();
    const { values } = await runtime.result(second.runId);
    expect((await runtime.status("t")).worker).toBeUndefined();
    expect(values["log"]).toEqual(
      strategy === "interrupt" ? ["booked", "booked", "shipped"] : ["booked", "shipped"],
    );
    expect(world).toEqual(
      strategy === "interrupt"
        ? ["book Oslo", "book Bergen"]
        : ["book Oslo", "cancel Oslo", "book Bergen"],
    );
  });

  it("takes back what a run did that fails, or is cancelled", async () => {
    const runtime = await begin();
    trouble["ship"] = new TypeError("no ship");
    const failed = await runtime.start("trip", { topic: "Oslo" }, { threadId: "t" });
    expect(await runtime.result(failed.runId)).toMatchObject({
      status: "failed",
      error: { name: "TypeError", message: "no ship" },
      undone: ["runtime-book"],
      stuck: [],
    });
    trouble = {};
    gates["ship"] = Promise.withResolvers();
    const slow = await runtime.start("trip", { topic: "Bergen" }, { threadId: "u" });
    await expect.poll(() => world.at(-1)).toBe("book Bergen");
    await expect.poll(async () => (await runtime.status("u")).currentStep).toBe("ship");
    expect(await runtime.cancel(slow.runId)).toMatchObject({ stopping: true });
    expect(await runtime.result(slow.runId)).toMatchObject({ status: "cancelled" });
    expect(world).toEqual(["book Oslo", "cancel Oslo", "book Bergen", "cancel Bergen"]);
  });

  it("lets what failed go on, and one that was undone from the beginning", async () => {
    const runtime = await begin();
    trouble["ship"] = new TypeError("no ship");
    const run = await runtime.start("trip", { topic: "Oslo" }, { threadId: "t" });
    await runtime.result(run.runId);
    trouble = {};
    await runtime.retry(run.runId);
    expect(await runtime.result(run.runId)).toMatchObject({
      status: "completed",
      values: { log: ["booked", "booked", "shipped"] },
    });
    await expect(runtime.retry(run.runId)).rejects.toThrow(/nothing to retry/);
    expect(world).toEqual(["book Oslo", "cancel Oslo", "book Oslo"]);
  });

  it("does not go on with a run behind one that its thread has gone on with", async () => {
    const runtime = await begin();
    trouble["ship"] = new TypeError("no ship");
    const failed = await runtime.start("trip", { topic: "Oslo" }, { threadId: "t" });
    expect((await runtime.result(failed.runId)).status).toBe("failed");
    trouble = {};
    const later = await runtime.start("trip", { topic: "Bergen" }, { threadId: "t" });
    expect((await runtime.result(later.runId)).status).toBe("completed");
    await expect(runtime.retry(failed.runId)).rejects.toThrow(/has gone on with run/);
    expect((await runtime.run(failed.runId)).status).toBe("failed");
  });

  it("waits at a gate for an approval, and for an answer", async () => {
    const runtime = await begin(["ship"]);
    const run = await runtime.start("trip", { topic: "asked" }, { threadId: "t" });
    expect(await runtime.result(run.runId)).toMatchObject({ status: "interrupted" });
    await runtime.resume("t");
    await expect.poll(async () => (await runtime.run(run.runId)).status).toBe("interrupted");
    const [gate] = await runtime.inbox.list();
    await runtime.approve(gate?.id ?? "", { by: "ada" });
    await expect.poll(async () => (await runtime.state("t"))["log"]).toEqual(["booked", "shipped"]);
    await expect.poll(async () => (await runtime.run(run.runId)).status).toBe("interrupted");
    await runtime.resume("t", "yes");
    expect(await runtime.result(run.runId)).toMatchObject({
      status: "completed",
      values: { log: ["booked", "shipped", "said yes"] },
    });
  });

  it("goes on by an answer in any inbox, also one that comes before the run waits for it", async () => {
    const runtime = await begin(["ship"]);
    const forget = events.on("approval.requested", ({ approvalId }) =>
      approvals(runtime.saver).approve(approvalId),
    );
    const first = await runtime.start("trip", { topic: "Oslo" }, { threadId: "t" });
    await expect.poll(async () => (await runtime.run(first.runId)).status).toBe("completed");
    forget();
    const second = await runtime.start("trip", { topic: "Bergen" }, { threadId: "u" });
    await expect.poll(async () => (await runtime.run(second.runId)).status).toBe("interrupted");
    const [gate] = await runtime.inbox.list({ threadId: "u" });
    await approvals(runtime.saver).approve(gate?.id ?? "");
    await expect.poll(async () => (await runtime.run(second.runId)).status).toBe("completed");
  });

  it("says how its worker left a run", async () => {
    const runtime = await begin(["ship"]);
    const left: string[] = [];
    const forget = events.on("run.left", ({ runId, graph, attempt, status }) => {
      left.push(`${runId} ${graph} ${attempt} ${status}`);
    });
    onTestFinished(forget);
    await runtime.start("trip", { topic: "Oslo" }, { threadId: "t", runId: "r" });
    expect(await runtime.result("r")).toMatchObject({ reason: "waits for an approval at a gate" });
    const [gate] = await runtime.inbox.list();
    await runtime.approve(gate?.id ?? "");
    await expect.poll(() => left).toEqual(["r trip 1 interrupted", "r trip 2 completed"]);
  });

  it("finds runs by the beginning of their ids", async () => {
    const runtime = await begin();
    for (const runId of ["ab%_1", "ab%_2", "abc", "b"]) {
      await runtime.start("trip", { topic: "Oslo" }, { runId });
    }
    const found = await runtime.runs({ prefix: "ab%_" });
    expect(found.map(({ runId }) => runId)).toEqual(["ab%_2", "ab%_1"]);
    await Promise.all(["ab%_1", "ab%_2", "abc", "b"].map((runId) => runtime.result(runId)));
  });

  it("revives what is dead, and nothing else", async () => {
    const runtime = await begin();
    trouble["ship"] = new TypeError("no ship");
    const run = await runtime.start("trip", { topic: "Oslo" }, { threadId: "t" });
    await runtime.result(run.runId);
    await expect(runtime.revive(run.runId)).rejects.toThrow(/is failed, and only a dead one/);
    await expect(runtime.revive("nobody")).rejects.toThrow(/no run "nobody"/);
    // As it is after the last of its workers has died.
    await runtime.saver.steps.queue?.turn(
      "t",
      ({ runs }) => ({ put: runs.map((each) => ({ ...each, status: "dead" })), result: undefined }),
      { runId: run.runId },
    );
    trouble = {};
    expect(await runtime.revive(run.runId)).toMatchObject({ status: "queued", crashes: 0 });
    expect((await runtime.result(run.runId)).status).toBe("completed");
  });

  it("lets a new input take the place of a question", async () => {
    const runtime = await begin();
    const first = await runtime.start("trip", { topic: "asked" }, { threadId: "t" });
    expect((await runtime.result(first.runId)).status).toBe("interrupted");
    const second = await runtime.start("trip", { topic: "Bergen" }, { threadId: "t" });
    expect((await runtime.result(second.runId)).status).toBe("completed");
    expect(await runtime.run(first.runId)).toMatchObject({
      status: "cancelled",
      reason: `superseded by run ${second.runId}`,
    });
  });

  it("ends a run at its deadline", async () => {
    const clock = new ManualClock();
    const saver = (await newPlace()).open({ clock });
    world.length = 0;
    trouble = {};
    gates = { ship: Promise.withResolvers() };
    const entered = Promise.withResolvers<void>();
    atShip = entered.resolve;
    const HOUR = 3_600_000;
    const worker = { pollInterval: HOUR, leaseDuration: 10 * HOUR };
    const graphs = { trip: graphOf(saver) };
    const runtime = createRuntime({ saver, graphs, engine: engine(), worker });
    open.push({ runtime, saver });
    const left = new Promise((resolve) => {
      const stop = events.on("run.left", (event) => {
        stop();
        resolve(event.status);
      });
    });
    const options = { threadId: "t", deadline: 60_000 };
    const run = await runtime.start("trip", { topic: "Oslo" }, options);
    await entered.promise;
    expect(await clock.runUntil(left, PATIENT)).toBe("failed");
    expect(clock.now()).toBe(run.deadlineAt);
    expect(await runtime.result(run.runId)).toMatchObject({
      status: "failed",
      error: { name: "DeadlineExceededError" },
      undone: ["runtime-book"],
    });
    // It has as much time again.
    gates["ship"]?.resolve();
    expect((await runtime.retry(run.runId)).deadlineAt).toBe(clock.now() + 60_000);
    expect(await clock.runUntil(runtime.result(run.runId), PATIENT)).toMatchObject({
      status: "completed",
    });
  });

  it("does not count against a deadline what it waits for people", async () => {
    const clock = new ManualClock();
    const saver = (await newPlace()).open({ clock });
    world.length = 0;
    trouble = {};
    gates = {};
    const HOUR = 3_600_000;
    const worker = { pollInterval: HOUR, leaseDuration: 10 * HOUR };
    const Timed = Annotation.Root({ ...durableState, answer: Annotation<string>() });
    const seen: unknown[] = [];
    let failing = false;
    const timed = new StateGraph(Timed)
      .addNode(
        "last",
        durable.for(Timed)(async () => {
          if (failing) await new Promise(() => undefined);
          return {};
        }),
      )
      .addNode("ask", (state: typeof Timed.State) => {
        seen.push(state.deadlineAt);
        return { answer: interrupt("well?") as string };
      })
      .addEdge(START, "ask")
      .addEdge("ask", "last")
      .addEdge("last", END)
      .compile();
    const runtime = createRuntime({ saver, graphs: { timed }, worker });
    open.push({ runtime, saver });
    const options = { threadId: "t", deadline: 60_000 };
    const { runId, deadlineAt } = await runtime.start("timed", {}, options);
    expect(deadlineAt).toBe(clock.now() + 60_000);
    expect(await runtime.result(runId)).toMatchObject({ status: "interrupted" });
    expect(seen).toEqual([deadlineAt]);
    await clock.advance(HOUR);
    await runtime.resume("t", "fine");
    expect(await clock.runUntil(runtime.result(runId))).toMatchObject({
      status: "completed",
      values: { answer: "fine" },
    });
    expect(await runtime.run(runId)).toMatchObject({ deadlineAt: (deadlineAt ?? 0) + HOUR });

    // One that was late has as much time again, its durable nodes, too.
    failing = true;
    const late = await runtime.start("timed", {}, { ...options, threadId: "late" });
    expect((await runtime.result(late.runId)).status).toBe("interrupted");
    await runtime.resume("late", "fine");
    expect((await clock.runUntil(runtime.result(late.runId))).status).toBe("failed");
    failing = false;
    await clock.advance(HOUR);
    expect((await runtime.retry(late.runId)).deadlineAt).toBe(clock.now() + 60_000);
    expect(await clock.runUntil(runtime.result(late.runId))).toMatchObject({
      status: "completed",
    });
  });

  it("keeps all that a run does within its budget", async () => {
    const saver = (await newPlace()).open();
    const call = durableTool(
      tool(({ i }: { i: number }) => `did ${i}`, {
        name: "do",
        schema: z.object({ i: z.number() }),
      }),
      { onUnknown: "repeat", onFailure: "throw" },
    );
    const asks = new StateGraph(State)
      .addNode(
        "ask",
        durable.for(State)(
          async () => {
            for (const i of [1, 2, 3]) await call.invoke({ i });
            return {};
          },
          { retry: { maxAttempts: 1 } },
        ),
      )
      .addEdge(START, "ask")
      .addEdge("ask", END)
      .compile();
    const runtime = createRuntime({ saver, graphs: { asks }, worker: { pollInterval: 50 } });
    open.push({ runtime, saver });
    const end = async (budget: { calls: number }) => {
      const { runId } = await runtime.start("asks", {}, { budget });
      return runtime.result(runId);
    };
    expect(await end({ calls: 3 })).toMatchObject({ status: "completed" });
    expect(await end({ calls: 2 })).toMatchObject({
      status: "failed",
      error: { name: "BudgetExceededError" },
    });
    await expect(runtime.start("asks", {}, { budget: { usd: -1 } })).rejects.toThrow(/budget/);
  });

  it("takes nothing back that an earlier run of the thread did", async () => {
    const saver = (await newPlace()).open();
    world.length = 0;
    trouble = {};
    gates = {};
    const graphs = { trip: graphOf(saver) };
    const runtime = createRuntime({ saver, graphs, engine: engine(), worker: false });
    open.push({ runtime, saver });
    const worker = runtime.worker({ pollInterval: 50 });
    await worker.start();
    const first = await runtime.start("trip", { topic: "Oslo" }, { threadId: "t" });
    expect((await runtime.result(first.runId)).status).toBe("completed");
    await worker.drain();
    // Past its deadline before anybody takes it; and cancelled as it is taken.
    const late = await runtime.start("trip", { topic: "x" }, { threadId: "t", deadline: 1 });
    const ended = await runtime.start("trip", { topic: "y" }, { threadId: "t" });
    const queue = saver.steps.queue;
    await queue?.turn("t", ({ runs }) => ({
      put: runs.map((run) =>
        run.runId === ended.runId ? { ...run, attempt: 1, stop: "cancel" } : run,
      ),
      result: undefined,
    }));
    await runtime.worker({ pollInterval: 50 }).start();
    for (const [run, status] of [
      [late, "failed"],
      [ended, "cancelled"],
    ] as const) {
      expect(await runtime.result(run.runId)).toMatchObject({ status, undone: [], stuck: [] });
    }
    expect(world).toEqual(["book Oslo"]);
  });

  it("leaves its runs after their superstep when it is drained, and others go on", async () => {
    const runtime = await begin();
    const worker = runtime.worker({ pollInterval: 50 });
    await worker.start();
    gates["ship"] = Promise.withResolvers();
    const run = await runtime.start("trip", { topic: "Oslo" }, { threadId: "t" });
    await expect.poll(async () => (await runtime.status("t")).currentStep).toBe("ship");
    const drained = worker.drain();
    gates["ship"].resolve();
    await drained;
    expect(await runtime.run(run.runId)).toMatchObject({ status: "queued" });
    expect(await runtime.state("t")).toMatchObject({ log: ["booked", "shipped"] });
    const other = runtime.worker({ pollInterval: 50 });
    await other.start();
    expect(await runtime.result(run.runId)).toMatchObject({ status: "completed" });
    expect(await runtime.run(run.runId)).toMatchObject({ attempt: 2, crashes: 0 });
    expect(world).toEqual(["book Oslo"]);
  });

  it("takes what is due, the more urgent first, and nothing before its time", async () => {
    const saver = (await newPlace()).open();
    gates = {};
    trouble = {};
    const graphs = { trip: graphOf(saver) };
    const runtime = createRuntime({ saver, graphs, engine: engine(), worker: false });
    open.push({ runtime, saver });
    const startAt = new Date(Date.now() + 3_600_000);
    const start = (runId: string, options: object) =>
      runtime.start("trip", { topic: runId }, { runId, ...options });
    await start("slow", { priority: -1 });
    await start("plain", {});
    await start("later", { startAt });
    await start("urgent", { priority: 5 });
    const order: string[] = [];
    const stop = events.on("run.started", ({ runId }) => void order.push(runId ?? ""));
    await runtime.worker({ concurrency: 1, pollInterval: 50 }).start();
    await runtime.result("slow");
    stop();
    expect(order).toEqual(["urgent", "plain", "slow"]);
    expect(await runtime.run("later")).toMatchObject({ status: "queued", startAt: +startAt });
    expect(await runtime.cancel("later")).toMatchObject({ status: "cancelled", attempt: 0 });
    const ids = (await runtime.runs({ status: "completed" })).map(({ runId }) => runId);
    expect(ids).toEqual(["urgent", "plain", "slow"]);
  });

  it("refuses what it cannot do, in a sentence", async () => {
    const runtime = await begin();
    const other = (await newPlace()).open();
    expect(() => createRuntime({ saver: {}, graphs: {} })).toThrow(/needs a saver/);
    const saver = runtime.saver;
    expect(() => createRuntime({ saver, graphs: { trip: graphOf(other) } })).toThrow(
      /compiled with another saver/,
    );
    expect(() => runtime.worker({ graphs: ["nowhere"] })).toThrow(/no graph "nowhere"/);
    expect(() => runtime.worker({ concurrency: 0 })).toThrow(/concurrency/);
    await expect(runtime.start("nowhere", {})).rejects.toThrow(/no graph "nowhere"; it has "trip"/);
    await expect(runtime.start("trip", {}, { threadId: "" })).rejects.toThrow(/id of a thread/);
    await expect(runtime.start("trip", {}, { runId: "r".repeat(201) })).rejects.toThrow(/1 to 200/);
    const bad = runtime.start("trip", { topic: () => 1 }, { runId: "bad" });
    await expect(bad).rejects.toSatisfy((error) => isHoldfastError(error, "UNSERIALIZABLE"));
    await expect(runtime.run("bad")).rejects.toThrow(/no run "bad"/);
    await expect(runtime.cancel("bad")).rejects.toThrow(/no run "bad"/);
    await expect(runtime.resume("t", "yes")).rejects.toSatisfy((error) =>
      isHoldfastError(error, "NOT_FOUND"),
    );
    expect(await runtime.resume("t")).toEqual([]);
  });
});
