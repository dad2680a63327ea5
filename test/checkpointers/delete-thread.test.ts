/** `deleteThread`, also beside those who still write to the thread. */

import { describe, expect, it } from "vitest";
import { researchGraph } from "../conformance/history-graphs.ts";
import { startChild } from "../support/child.ts";
import { dangling } from "../support/fsck.ts";
import { PLACES } from "../support/places.ts";
import { readTables } from "../support/raw-tables.ts";
import { chain, deltaChain, onThread, syncRun, wholeLog } from "../support/small-graphs.ts";

describe.each(PLACES)("deleteThread on %s", (_, newPlace) => {
  it("leaves nothing behind, and other threads alone", async () => {
    const place = await newPlace();
    const saver = place.open();
    await researchGraph(saver).invoke({ topic: "kelp ".repeat(100) }, syncRun("gone"));
    await chain(saver, 2).invoke({ log: [] }, syncRun("stays"));
    await saver.deleteThread("gone");
    await saver.deleteThread("gone");
    await saver.deleteThread("never was");
    const tables = await readTables(place.url);
    expect(tables.threads.map(({ key }) => key)).toEqual(["stays"]);
    const thread = tables.threads[0]?.id;
    const { checkpoints, versions, payloads, writes } = tables;
    for (const row of [...checkpoints, ...versions, ...payloads, ...writes])
      expect(row.thread).toBe(thread);
    expect(await saver.getTuple(onThread("gone"))).toBeUndefined();
    await chain(saver, 2).invoke({ log: [] }, syncRun("gone"));
    expect((await saver.stats("gone")).checkpoints).toBe(4);
  });

  it("while another process writes to it leaves nothing dangling", async () => {
    const place = await newPlace();
    const saver = place.open();
    const child = startChild("chain-runs.ts", place.url, ["t"], "120");
    await child.next("ready");
    child.send({ type: "go" });
    let isOver = false;
    void child.ended.then(() => (isOver = true));
    for (let deletions = 0; !isOver;) {
      // SQLite answers at once: without this the loop would never let the child's end come in.
      await new Promise((resolve) => setImmediate(resolve));
      const tuple = await saver.getTuple(onThread("t"));
      if (tuple === undefined) continue;
      await saver.deleteThread("t");
      deletions += 1;
      expect(deletions).toBeLessThan(10_000);
    }
    const last = child.messages.at(-1);
    // It may have been told, but nothing else may have gone wrong.
    if (last?.type !== "done")
      expect(last).toMatchObject({ type: "failed", error: { code: "THREAD_GONE" } });
    expect(dangling(await readTables(place.url))).toEqual([]);
    for await (const { checkpoint } of saver.list(onThread("t"))) {
      const log = checkpoint.channel_values["log"] as string[] | undefined;
      expect(log ?? []).toEqual(wholeLog(log?.length ?? 0));
    }
  });

  it("while a run writes deltas to it never leaves a state that lacks some of them", async () => {
    const place = await newPlace();
    const saver = place.open();
    const other = place.open();
    await deltaChain(saver, 2).invoke({ log: ["first run"] }, syncRun("t"));
    const graph = deltaChain(saver, 4, async (step) => {
      if (step === 2) await other.deleteThread("t");
    });
    const outcome: unknown = await graph
      .invoke({ log: ["second run"] }, syncRun("t"))
      .catch((error: unknown) => error);
    const { values } = await graph.getState(onThread("t"));
    // Told that the thread is gone, or everything is there; not the rest without its beginning.
    if (outcome instanceof Error) {
      expect(outcome).toMatchObject({ code: "THREAD_GONE" });
      expect(values).toEqual({});
    } else {
      expect(values).toEqual({ log: ["first run", ...wholeLog(2), "second run", ...wholeLog(4)] });
    }
  });
});
