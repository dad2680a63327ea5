/** Processes that are killed with SIGKILL in the middle of a durable node. */

import { describe, expect, onTestFinished, test } from "vitest";
import { events, type HoldfastEvents } from "../../src/events.ts";
import { isDurableSaver, type AttemptsRecord, type DurableSaver } from "../../src/step-store.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { PLACES, type Place } from "../support/places.ts";
import { startChild } from "../support/child.ts";
import { syncRun } from "../support/small-graphs.ts";
import { crashGraph } from "./crash-graph.ts";

function open(place: Place, clock = new ManualClock(new Date())): DurableSaver {
  const saver = place.open({ clock });
  if (!isDurableSaver(saver)) throw new Error("The saver has no steps.");
  return saver;
}

/** The record of the node that a thread stands at. */
async function recordOf(saver: DurableSaver, thread: string): Promise<AttemptsRecord | undefined> {
  const graph = crashGraph(saver, () => "");
  const { config, tasks } = await graph.getState(syncRun(thread));
  const { checkpoint_id: checkpointId } = config.configurable as { checkpoint_id: string };
  const taskId = tasks[0]?.id ?? "";
  return saver.steps.attempts.read({ threadId: thread, namespace: "", checkpointId, taskId });
}

describe.each(PLACES)("killed on %s", (_, newPlace) => {
  test("in a backoff: neither the count nor the wait is lost", async () => {
    const place = await newPlace();
    const child = startChild("durable-run.ts", place.url, "t", "fail");
    const { nextAttemptAt } = (await child.next("failed")) as unknown as { nextAttemptAt: number };
    await child.kill();
    const clock = new ManualClock(new Date());
    const saver = open(place, clock);
    expect(await recordOf(saver, "t")).toMatchObject({ failed: 1, nextAttemptAt });
    const run = crashGraph(saver, () => "done").invoke(null, syncRun("t"));
    await clock.sleeping();
    expect(clock.pending).toEqual([nextAttemptAt]);
    await clock.advance(nextAttemptAt - clock.now());
    expect(await run).toEqual({ log: ["before", "attempt 2: done"] });
    expect(await recordOf(saver, "t")).toBeUndefined();
  });

  test("in an attempt: it counts, and too many of them end the series", async () => {
    const place = await newPlace();
    const looker = open(place);
    const first = startChild("durable-run.ts", place.url, "t", "hang");
    await first.next("attempt");
    await expect
      .poll(() => recordOf(looker, "t"), { timeout: 20_000 })
      .toMatchObject({ failed: 0, running: { attempt: 1 } });
    await first.kill();
    for (const attempt of [2, 3, 4]) {
      const child = startChild("durable-run.ts", place.url, "t", "hang", "resume");
      expect(await child.next("failed")).toMatchObject({ attempt: attempt - 1, kind: "crash" });
      // On record before its body runs, since it may have run before.
      expect(await child.next("attempt")).toMatchObject({ attempt });
      await child.kill();
    }
    const last = startChild("durable-run.ts", place.url, "t", "hang", "resume");
    expect(await last.next("ended")).toMatchObject({ name: "AttemptCrashedError" });
    await last.ended;

    const failed: HoldfastEvents["attempt.failed"][] = [];
    onTestFinished(events.on("attempt.failed", (data) => void failed.push(data)));
    const again = await crashGraph(open(place), () => "done").invoke(null, syncRun("t"));
    expect(again).toEqual({ log: ["before", "attempt 1: done"] });
    expect(failed).toEqual([]);
  });
});
