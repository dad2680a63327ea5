import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it, onTestFinished } from "vitest";
import { events, type HoldfastEvents } from "../../src/events.ts";
import { createRuntime } from "../../src/runtime/create-runtime.ts";
import { durable } from "../../src/steps/durable.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { PLACES } from "../support/places.ts";

const MINUTE = 60_000;
const FOREVER = 100 * 24 * 60 * MINUTE;

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});

describe.each(PLACES)("a run that hangs, on %s", (_, newPlace) => {
  it.each(["plain", "durable"])("in a %s node is told of once for each silence", async (kind) => {
    const clock = new ManualClock();
    const saver = (await newPlace()).open({ clock });
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let entered = Promise.withResolvers<void>();
    let beat = (): void => undefined;
    let calls = 0;
    const hang = async (
      _state: typeof State.State,
      config: { heartbeat?: () => void },
    ): Promise<{ log: string[] }> => {
      beat = () => config.heartbeat?.();
      const gate = gates[calls]?.promise;
      calls += 1;
      entered.resolve();
      await gate;
      return { log: ["went on"] };
    };
    const node =
      kind === "durable" ? durable.for(State)(hang, { timeout: FOREVER }) : (hang as () => object);
    const graph = new StateGraph(State)
      .addNode("first", node)
      .addNode("second", node)
      .addEdge(START, "first")
      .addEdge("first", "second")
      .addEdge("second", END)
      .compile();
    const runtime = createRuntime({ saver, graphs: { graph }, worker: false });
    onTestFinished(async () => {
      for (const gate of gates) gate.resolve();
      await runtime.close();
    });
    const stalls: HoldfastEvents["run.stalled"][] = [];
    onTestFinished(events.on("run.stalled", (event) => void stalls.push(event)));
    const worker = runtime.worker({
      ...{ pollInterval: MINUTE, leaseDuration: FOREVER, stallAfter: 30 * MINUTE },
    });
    await worker.start();
    await runtime.start("graph", {}, { threadId: "t", runId: "r" });
    /** In a node, and what the run noted until then is stored: at the instant when it is, as always. */
    async function inNode(): Promise<void> {
      await entered.promise;
      await saver.steps.status.flush();
    }
    await inNode();
    const begunAt = clock.now();
    /** Minute by minute, each once the worker has looked around. */
    async function pass(minutes: number, isOver = (): boolean => false): Promise<void> {
      for (let i = 0; i < minutes && !isOver(); i += 1) {
        const isResting = (): boolean => clock.pending.some((at) => at <= clock.now() + MINUTE);
        await expect.poll(isResting, { timeout: 20_000, interval: 5 }).toBe(true);
        await clock.advance(MINUTE);
      }
    }
    const told = (count: number): Promise<void> => pass(60, () => stalls.length >= count);
    if (kind === "durable") {
      for (let i = 0; i < 3; i += 1) {
        await pass(15);
        beat();
        await saver.steps.status.flush();
      }
      expect(stalls).toEqual([]);
    }
    const heardAt = kind === "durable" ? clock.now() : begunAt;
    await told(1);
    expect(stalls[0]).toMatchObject({ threadId: "t", runId: "r", graph: "graph" });
    expect(stalls[0]?.step).toBe(kind === "durable" ? "first" : undefined);
    expect(Math.abs((stalls[0]?.lastHeartbeat ?? 0) - heardAt)).toBeLessThan(2 * MINUTE);
    expect(clock.now() - (stalls[0]?.lastHeartbeat ?? 0)).toBeGreaterThanOrEqual(30 * MINUTE);
    await pass(60);
    expect(stalls).toHaveLength(1);

    entered = Promise.withResolvers<void>();
    gates[0]?.resolve();
    await inNode();
    await told(2);
    expect(stalls).toHaveLength(2);
    gates[1]?.resolve();
    expect(await clock.runUntil(runtime.result("r"))).toMatchObject({
      ...{ status: "completed", values: { log: ["went on", "went on"] } },
    });
  });
});
