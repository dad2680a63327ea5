import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import { createRuntime } from "../../src/runtime/create-runtime.ts";
import { startChild, type Child } from "../support/child.ts";
import { PLACES } from "../support/places.ts";

const State = Annotation.Root({ topic: Annotation<string>() });
const tick = new StateGraph(State)
  .addNode("tick", () => ({}))
  .addEdge(START, "tick")
  .addEdge("tick", END)
  .compile();

describe.each(PLACES)("a schedule of every second on %s", (_, newPlace) => {
  it("is fired each second, once, by workers of which some are killed", async () => {
    const place = await newPlace();
    const runtime = createRuntime({
      ...{ saver: place.open(), graphs: { tick }, worker: false as const },
    });
    const first = await runtime.schedule("s", "* * * * * *", "tick", {}, { missed: "all" });
    const start = async (): Promise<Child> => {
      const child = startChild("scheduled-worker.ts", place.url);
      await child.next("ready");
      return child;
    };
    const workers = await Promise.all([start(), start(), start()]);
    const fired = (): unknown[] =>
      workers.flatMap(({ messages }) =>
        messages.filter(({ type }) => type === "fired").map(({ runId }) => runId),
      );
    // Killed right after something was fired, by it or by another one.
    for (const victim of workers.slice(0, 2)) {
      const before = fired().length;
      await expect.poll(() => fired().length, { timeout: 30_000 }).toBeGreaterThan(before);
      await victim.kill();
      workers.push(await start());
    }
    const count = fired().length;
    await expect.poll(() => fired().length, { timeout: 30_000 }).toBeGreaterThan(count + 2);
    await runtime.pauseSchedule("s");
    await expect
      .poll(async () => (await runtime.runs({ status: "completed" })).length, { timeout: 30_000 })
      .toBe((await runtime.runs()).length);

    const [schedule] = await runtime.schedules();
    const instants: string[] = [];
    for (let at = first.nextAt ?? NaN; at < (schedule?.nextAt ?? 0); at += 1_000) {
      instants.push(`cron:s:${new Date(at).toISOString().replace(".000Z", "Z")}`);
    }
    expect(instants.length).toBeGreaterThan(4);
    const runs = (await runtime.runs({ limit: 10_000 })).map(({ runId }) => runId);
    expect(runs.toSorted()).toEqual(instants);
    // A killed one may have had no time to say so.
    expect(new Set(fired()).size).toBe(fired().length);
  });
});
