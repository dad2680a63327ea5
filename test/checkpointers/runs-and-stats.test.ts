/** `deleteForRuns` and `stats`. */

import type { RunnableConfig } from "@langchain/core/runnables";
import { describe, expect, it } from "vitest";
import { dangling, unreachable } from "../support/fsck.ts";
import { PLACES } from "../support/places.ts";
import { readTables } from "../support/raw-tables.ts";
import { chain, deltaChain, onThread, syncRun, wholeLog } from "../support/small-graphs.ts";

describe.each(PLACES)("deleteForRuns on %s", (_, newPlace) => {
  it("removes what these runs wrote, by the id in metadata or config", async () => {
    const place = await newPlace();
    const saver = place.open();
    const graph = chain(saver, 2);
    const run = (config: RunnableConfig) =>
      graph.invoke({ log: [] }, { ...syncRun("t"), ...config });
    await run({});
    await run({ metadata: { run_id: "by-metadata" } });
    await run({ configurable: { thread_id: "t", run_id: "by-configurable" } });
    await run({ metadata: { run_id: "last" } });
    expect(await saver.deleteForRuns(["nobody's"])).toMatchObject({ checkpoints: 0 });
    expect(await saver.deleteForRuns(["by-metadata"])).toMatchObject({ checkpoints: 4, kept: 12 });
    expect(await saver.deleteForRuns(["by-configurable", "last"])).toMatchObject({
      checkpoints: 8,
      kept: 4,
    });
    // Back to what was before.
    expect((await graph.getState(onThread("t"))).values).toEqual({ log: wholeLog(2) });
    const tables = await readTables(place.url);
    expect(dangling(tables)).toEqual([]);
    expect(unreachable(tables)).toEqual([]);
    expect((await run({})).log).toEqual([...wholeLog(2), ...wholeLog(2)]);
  });

  it("keeps of a run what a later one's delta channels are made of", async () => {
    const saver = (await newPlace()).open();
    const graph = deltaChain(saver, 2);
    for (const run_id of ["one", "two"])
      await graph.invoke({ log: [run_id] }, { ...syncRun("t"), metadata: { run_id } });
    const before = await graph.getState(onThread("t"));
    await saver.deleteForRuns(["one"]);
    expect(await graph.getState(onThread("t"))).toEqual(before);
  });
});

describe.each(PLACES)("stats on %s", (_, newPlace) => {
  it("add up: of threads to the whole, and with what a prune says", async () => {
    const place = await newPlace();
    const saver = place.open();
    for (const thread of ["t", "u"])
      await chain(saver, 6).invoke(
        { log: [`gr\u{fc}\u{df}e `.repeat(300)] },
        { ...syncRun(thread), metadata: { city: "K\u{f6}ln \u{1f30a}" } },
      );
    const whole = await saver.stats();
    const [t, u] = [await saver.stats("t"), await saver.stats("u")];
    expect(whole.threads).toBe(2);
    expect(whole.bytes).toBe(t.bytes + u.bytes);
    expect(whole.checkpoints).toBe(t.checkpoints + u.checkpoints);
    expect(t.bytes).toBe(
      t.checkpointBytes +
        t.pendingWriteBytes +
        t.payloads.bytes +
        t.channels.reduce((sum, { bytes }) => sum + bytes, 0),
    );
    const tables = await readTables(place.url);
    expect(t.pendingWrites + u.pendingWrites).toBe(tables.writes.length);
    expect(whole.payloads.bytes).toBe(
      tables.payloads.reduce((sum, { data }) => sum + data.length, 0),
    );

    const { bytes } = await saver.prune(["t"], { keepLast: 2 });
    expect(t.bytes - (await saver.stats("t")).bytes).toBe(bytes);
    await expect(saver.stats("none")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});
