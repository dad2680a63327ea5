import { Annotation, END, MemorySaver, START, StateGraph, interrupt } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import { effect } from "../../src/effects/effect.ts";
import { compensate } from "../../src/effects/saga.ts";
import { isHoldfastError } from "../../src/errors.ts";
import { runToEnd } from "../../src/run/run-to-end.ts";
import { approval } from "../../src/steps/approval.ts";
import { durable } from "../../src/steps/durable.ts";
import { approvals } from "../../src/steps/inbox.ts";
import { sleep } from "../../src/steps/sleep.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { PLACES } from "../support/places.ts";

const State = Annotation.Root({
  topic: Annotation<string>(),
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});

/** What the world was asked to do, by the name of the effect. */
const world: string[] = [];
let trouble: Record<string, Error | undefined> = {};

const booking = (name: string) =>
  effect({
    name: `run-to-end-${name}`,
    run: (topic: string) => {
      world.push(`${name} ${topic}`);
      return Promise.resolve(`${name}-id`);
    },
    onUnknown: "repeat",
    undo: () => {
      world.push(`cancel ${name}`);
      const error = trouble[`cancel ${name}`];
      return error === undefined ? Promise.resolve() : Promise.reject(error);
    },
    retry: { maxAttempts: 1 },
  });
const bookFlight = booking("flight");
const bookHotel = booking("hotel");

function travel(saver: HoldfastSaver, interruptBefore: ("hotel" | "itinerary")[] = []) {
  return new StateGraph(State)
    .addNode("flight", async ({ topic }) => ({ log: [await bookFlight(topic, { key: topic })] }))
    .addNode("hotel", async ({ topic }) => ({ log: [await bookHotel(topic, { key: topic })] }))
    .addNode("itinerary", () => {
      if (trouble["itinerary"] !== undefined) throw trouble["itinerary"];
      return { log: ["itinerary"] };
    })
    .addEdge(START, "flight")
    .addEdge("flight", "hotel")
    .addEdge("hotel", "itinerary")
    .addEdge("itinerary", END)
    .compile({ checkpointer: saver, interruptBefore });
}

const on = (id: string) => ({ configurable: { thread_id: id } });

describe.each(PLACES)("runToEnd on %s", (_, newPlace) => {
  it("runs to the end, and tells what came of it", async () => {
    trouble = {};
    world.length = 0;
    const saver = (await newPlace()).open();
    const outcome = await runToEnd(travel(saver), { topic: "Oslo" }, on("t"));
    expect(outcome).toEqual({
      status: "completed",
      threadId: "t",
      values: { topic: "Oslo", log: ["flight-id", "hotel-id", "itinerary"] },
      checkpointId: (await saver.getTuple(on("t")))?.checkpoint.id,
    });
    expect(await saver.steps.status.read("t")).toMatchObject({ status: "completed" });
    expect(await saver.steps.leases?.read("t")).toBeUndefined();
    // Nothing is left to do, and nothing is done.
    expect((await runToEnd(travel(saver), null, on("t"))).status).toBe("completed");
    expect(world).toEqual(["flight Oslo", "hotel Oslo"]);
  });

  it("stops at each gate, and passes one for each word", async () => {
    trouble = {};
    const saver = (await newPlace()).open();
    const graph = travel(saver, ["hotel", "itinerary"]);
    const first = await runToEnd(graph, { topic: "Oslo" }, on("t"));
    expect(first).toMatchObject({ status: "interrupted", gates: [{ nodes: ["hotel"] }] });
    expect((await runToEnd(graph, null, on("t"))).status).toBe("interrupted");
    expect((await runToEnd(graph, { topic: "Oslo" }, on("t"))).status).toBe("interrupted");
    const second = await runToEnd(graph, null, on("t"), { approve: true });
    expect(second).toMatchObject({ status: "interrupted", gates: [{ nodes: ["itinerary"] }] });
    // The other one in the inbox.
    const [gate] = await approvals(saver).list();
    await approvals(saver).approve(gate?.id ?? "", { by: "ada" });
    expect((await runToEnd(graph, null, on("t"))).status).toBe("completed");
    expect(await approvals(saver).list()).toEqual([]);
  });

  it("takes back what was done when the run fails for good, newest first", async () => {
    trouble = { itinerary: new TypeError("no itinerary") };
    world.length = 0;
    const saver = (await newPlace()).open();
    const outcome = await runToEnd(travel(saver), { topic: "Oslo" }, on("t"));
    expect(outcome).toMatchObject({
      status: "failed",
      error: { message: "no itinerary" },
      undone: ["run-to-end-hotel", "run-to-end-flight"],
      stuck: [],
    });
    expect(world).toEqual(["flight Oslo", "hotel Oslo", "cancel hotel", "cancel flight"]);
    expect(await saver.steps.status.read("t")).toMatchObject({
      status: "failed",
      errorMessage: "no itinerary",
    });
    trouble = {};
    // It has no way on, and says what became of it, also to one that did not hear it the first time.
    const again = await runToEnd(travel(saver), null, on("t"));
    expect(again).toMatchObject({
      status: "failed",
      error: { message: "no itinerary" },
      undone: ["run-to-end-hotel", "run-to-end-flight"],
    });
    expect(world).toHaveLength(4);
    // An input begins anew, and its effects are new ones.
    world.length = 0;
    expect((await runToEnd(travel(saver), { topic: "Oslo" }, on("t"))).status).toBe("completed");
    expect(world).toEqual(["flight Oslo", "hotel Oslo"]);
  });

  it("takes nothing back of the run before, where its own input cannot be stored", async () => {
    trouble = {};
    world.length = 0;
    const saver = (await newPlace()).open();
    const graph = travel(saver);
    expect((await runToEnd(graph, { topic: "Oslo" }, on("t"))).status).toBe("completed");
    const outcome = await runToEnd(graph, { topic: () => "not to be stored" }, on("t"));
    expect(outcome).toMatchObject({ status: "failed", undone: [], stuck: [] });
    expect(world).toEqual(["flight Oslo", "hotel Oslo"]);
  });

  it("does not go on behind what a person took back", async () => {
    trouble = {};
    const saver = (await newPlace()).open();
    const graph = travel(saver, ["itinerary"]);
    await runToEnd(graph, { topic: "Oslo" }, on("t"));
    await compensate(graph, "t");
    await expect(runToEnd(graph, null, on("t"), { approve: true })).rejects.toThrow(/was undone/);
  });

  it("undoes all it can, and lists what is stuck", async () => {
    trouble = { itinerary: new TypeError("no"), "cancel hotel": new TypeError("closed") };
    world.length = 0;
    const saver = (await newPlace()).open();
    const outcome = await runToEnd(travel(saver), { topic: "Oslo" }, on("t"));
    expect(outcome).toMatchObject({ status: "failed", undone: ["run-to-end-flight"] });
    expect(outcome.status === "failed" && outcome.stuck).toHaveLength(1);
    expect(world.slice(2)).toEqual(["cancel hotel", "cancel flight"]);
  });

  it("keeps what was done where it is told to", async () => {
    trouble = { itinerary: new TypeError("no") };
    world.length = 0;
    const saver = (await newPlace()).open();
    const graph = travel(saver);
    const outcome = await runToEnd(graph, { topic: "Oslo" }, on("t"), { compensate: false });
    expect(outcome).toMatchObject({ status: "failed", undone: [] });
    trouble = {};
    expect((await runToEnd(graph, null, on("t"))).status).toBe("completed");
    expect(world).toEqual(["flight Oslo", "hotel Oslo"]);
  });

  it("is refused while another one runs the thread, and another input while it is under way", async () => {
    trouble = {};
    const saver = (await newPlace()).open();
    const entered = Promise.withResolvers<void>();
    const leave = Promise.withResolvers<void>();
    const slow = new StateGraph(State)
      .addNode("slow", async () => {
        entered.resolve();
        await leave.promise;
        return {};
      })
      .addEdge(START, "slow")
      .addEdge("slow", END)
      .compile({ checkpointer: saver });
    const one = runToEnd(slow, { topic: "Oslo" }, on("slow"));
    await entered.promise;
    await expect(runToEnd(slow, { topic: "Oslo" }, on("slow"))).rejects.toSatisfy((error) =>
      isHoldfastError(error, "THREAD_BUSY"),
    );
    leave.resolve();
    expect((await one).status).toBe("completed");
    const graph = travel(saver, ["hotel"]);
    expect((await runToEnd(graph, { topic: "Oslo" }, on("t"))).status).toBe("interrupted");
    await expect(runToEnd(graph, { topic: "Rome" }, on("t"))).rejects.toThrow(/another input/);
    await expect(runToEnd(graph, null, on("new"))).rejects.toThrow(/no thread "new"/);
    await expect(runToEnd(graph, null, {})).rejects.toThrow(/thread's id/);
    const replay = { configurable: { thread_id: "t", checkpoint_id: undefined } };
    await expect(runToEnd(graph, null, replay)).rejects.toThrow(/no checkpoint_id/);
  });

  it("waits out what waits for a time, or returns parked", async () => {
    const clock = new ManualClock();
    const saver = (await newPlace()).open({ clock });
    const graph = new StateGraph(State)
      .addNode(
        "nap",
        durable(async () => {
          await sleep(60_000);
          return { log: ["rested"] };
        }),
      )
      .addEdge(START, "nap")
      .addEdge("nap", END)
      .compile({ checkpointer: saver });
    const began = clock.now();
    const leaseDuration = 3_600_000;
    const waited = await clock.runUntil(
      runToEnd(graph, { topic: "a" }, on("waits"), { leaseDuration }),
    );
    expect(waited).toMatchObject({ status: "completed", values: { log: ["rested"] } });
    expect(clock.now()).toBeGreaterThanOrEqual(began + 60_000);

    const parked = await runToEnd(graph, { topic: "a" }, on("parks"), { park: true });
    const resumeAt = clock.now() + 60_000;
    expect(parked).toMatchObject({ status: "parked", resumeAt });
    expect((await runToEnd(graph, null, on("parks"), { park: true })).status).toBe("parked");
    await clock.advance(60_000);
    expect((await runToEnd(graph, null, on("parks"), { park: true })).status).toBe("completed");
  });

  it("stops for questions, and goes on with their answers", async () => {
    const saver = (await newPlace()).open();
    const graph = new StateGraph(State)
      .addNode("ask", async () => {
        const name = interrupt("Who?") as string;
        const { response } = await approval({
          title: "Pay how?",
          payload: name,
          choices: ["cash", "card"],
        });
        return { log: [name, String(response)] };
      })
      .addEdge(START, "ask")
      .addEdge("ask", END)
      .compile({ checkpointer: saver });
    const first = await runToEnd(graph, { topic: "a" }, on("t"));
    expect(first).toMatchObject({ status: "interrupted", questions: [{ value: "Who?" }] });
    const id = first.status === "interrupted" ? (first.questions[0]?.id ?? "") : "";
    const second = await runToEnd(graph, null, on("t"), { answers: { [id]: "ada" } });
    expect(second).toMatchObject({
      status: "interrupted",
      questions: [{ value: { title: "Pay how?" } }],
    });
    expect((await runToEnd(graph, null, on("t"))).status).toBe("interrupted");
    const [open] = await approvals(saver).list();
    await approvals(saver).respond(open?.id ?? "", "cash");
    const done = await runToEnd(graph, null, on("t"));
    expect(done).toMatchObject({ status: "completed", values: { log: ["ada", "cash"] } });
  });

  it("ends in order when its signal aborts, and goes on later", async () => {
    const saver = (await newPlace()).open();
    const abort = new AbortController();
    let slow = true;
    const graph = new StateGraph(State)
      .addNode("first", () => ({ log: ["first"] }))
      .addNode("second", async (__, { signal }) => {
        if (slow) {
          abort.abort(new Error("enough"));
          await new Promise((___, reject) => {
            if (signal?.aborted) reject(signal.reason as Error);
            signal?.addEventListener("abort", () => reject(signal.reason as Error));
          });
        }
        return { log: ["second"] };
      })
      .addEdge(START, "first")
      .addEdge("first", "second")
      .addEdge("second", END)
      .compile({ checkpointer: saver });
    const stopped = await runToEnd(graph, { topic: "a" }, { ...on("t"), signal: abort.signal });
    expect(stopped).toMatchObject({ status: "stopped", values: { log: ["first"] } });
    slow = false;
    expect(await runToEnd(graph, null, on("t"))).toMatchObject({
      status: "completed",
      values: { log: ["first", "second"] },
    });
  });
});

it("runs over other savers, too, without a lease and a ledger", async () => {
  const graph = new StateGraph(State)
    .addNode("one", () => ({ log: ["one"] }))
    .addEdge(START, "one")
    .addEdge("one", END)
    .compile({ checkpointer: new MemorySaver() });
  expect(await runToEnd(graph, { topic: "a" }, on("t"))).toMatchObject({
    status: "completed",
    values: { log: ["one"] },
  });
  expect((await runToEnd(graph, null, on("t"))).status).toBe("completed");
});
