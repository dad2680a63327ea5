/** What may sit between us and Postgres: a dead wire, and a pooler. */

import { describe, expect, it, onTestFinished } from "vitest";
import { PostgresSaver } from "../../checkpointers/postgres/index.ts";
import { createDatabase } from "../support/databases.ts";
import { dangling } from "../support/fsck.ts";
import { placeAt } from "../support/places.ts";
import { startPooler } from "../support/pooler.ts";
import { readTables } from "../support/raw-tables.ts";
import { chain, onThread, putOne, syncRun, wholeLog } from "../support/small-graphs.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

const RETRY_TIMEOUT = 1_000;
/** It may take one more round of waiting to find out, and a busy machine is slow. */
const REPORTED_WITHIN = 2_500;

async function behindProxy() {
  const url = await createDatabase();
  const proxy = await startTcpProxy(url);
  const saver = PostgresSaver.fromConnString(proxy.url, { retryTimeout: RETRY_TIMEOUT });
  onTestFinished(() => saver.end());
  await saver.setup();
  return { url, proxy, saver };
}

/** How long it took until this failed, with the error that says so. */
async function timeToReport(work: Promise<unknown>): Promise<number> {
  const start = performance.now();
  await expect(work).rejects.toMatchObject({ code: "DATABASE_UNAVAILABLE" });
  return performance.now() - start;
}

describe("a wire that goes dead", () => {
  it("is reported within the set time, and the run stops", async () => {
    const { proxy, saver } = await behindProxy();
    const ran: number[] = [];
    const graph = chain(saver, 5, (step) => {
      ran.push(step);
      if (step === 2) proxy.blackHole();
    });
    const run = graph.invoke({ log: [] }, syncRun("t"));
    await proxy.swallowed(1);
    expect(await timeToReport(run)).toBeLessThan(REPORTED_WITHIN);
    expect(ran).toEqual([1, 2]);
  });

  it("is forgotten once it works again", async () => {
    const { proxy, saver } = await behindProxy();
    await chain(saver, 2).invoke({ log: [] }, syncRun("t"));
    proxy.blackHole();
    await timeToReport(saver.getTuple(onThread("t")));
    proxy.heal();
    expect((await chain(saver, 2).getState(onThread("t"))).values).toEqual({ log: wholeLog(2) });
    await putOne(saver, "u", { value: 1 });
  });

  it("costs a retry, not the run, where only the open connections are dead", async () => {
    const { proxy, saver } = await behindProxy();
    await chain(saver, 2).invoke({ log: [] }, syncRun("t"));
    // As when a firewall forgets its connections: the old ones are dead, and new ones work.
    proxy.blackHole();
    const reads = saver.getTuple(onThread("t"));
    await proxy.swallowed(1);
    proxy.heal();
    expect(await reads).toBeDefined();
  });

  it.each(["prune", "deleteThread", "copyThread"] as const)(
    "is reported within the set time by %s, too",
    async (call) => {
      const { proxy, saver } = await behindProxy();
      await chain(saver, 3).invoke({ log: [] }, syncRun("t"));
      proxy.blackHole();
      const calls = {
        prune: () => saver.prune("*", { latestOnly: true }),
        deleteThread: () => saver.deleteThread("t"),
        copyThread: () => saver.copyThread("t", "u"),
      };
      expect(await timeToReport(calls[call]())).toBeLessThan(REPORTED_WITHIN);
    },
  );

  it("does not hold up end()", async () => {
    const { proxy, saver } = await behindProxy();
    await chain(saver, 2).invoke({ log: [] }, syncRun("t"));
    proxy.blackHole();
    const start = performance.now();
    await saver.end();
    expect(performance.now() - start).toBeLessThan(REPORTED_WITHIN);
  });
});

describe("connections that are cut", () => {
  it("cost a retry, not the run", async () => {
    const { proxy, saver } = await behindProxy();
    const graph = chain(saver, 8, () => proxy.cut());
    expect((await graph.invoke({ log: [] }, syncRun("t"))).log).toEqual(wholeLog(8));
  });
});

describe("a pooler in transaction mode", () => {
  it("serves runs, reads, and operations on whole threads", async () => {
    const url = await createDatabase();
    const pooler = await startPooler(url, 3);
    const saver = placeAt(pooler.url).open({ retryTimeout: 5_000 });
    const graph = chain(saver, 6);
    expect((await graph.invoke({ log: [] }, syncRun("t"))).log).toEqual(wholeLog(6));
    expect(await Array.fromAsync(saver.list(onThread("t")))).toHaveLength(8);
    await saver.copyThread("t", "u");
    await saver.prune(["t"], { latestOnly: true });
    expect((await graph.getState(onThread("t"))).values).toEqual({ log: wholeLog(6) });
    expect(await Array.fromAsync(saver.list(onThread("u")))).toHaveLength(8);
    await saver.deleteThread("u");
    expect(dangling(await readTables(url))).toEqual([]);
  });

  it("costs no more than a retry where prepared statements get lost, however many at once", async () => {
    const url = await createDatabase();
    await chain(placeAt(url).open(), 3).invoke({ log: [] }, syncRun("t"));
    const pooler = await startPooler(url, 4);
    // Two savers prepare the same statements, each believing that it has sessions of its own.
    const savers = [placeAt(pooler.url).open(), placeAt(pooler.url).open()];
    for (let round = 0; round < 3; round += 1) {
      await Promise.all(
        savers.flatMap((saver, s) =>
          Array.from({ length: 10 }, async (_, i) => {
            expect(await saver.getTuple(onThread("t"))).toBeDefined();
            await putOne(saver, `t${s}-${i}`, { round });
          }),
        ),
      );
    }
    expect(pooler.errors.filter((code) => code === "26000" || code === "42P05")).not.toEqual([]);
    expect(pooler.errors.length).toBeLessThan(40);
  });

  it("serves many processes' worth of concurrent runs", async () => {
    const url = await createDatabase();
    const pooler = await startPooler(url, 2);
    const savers = Array.from({ length: 4 }, () => placeAt(pooler.url).open());
    const states = await Promise.all(
      savers.flatMap((saver, s) =>
        Array.from({ length: 4 }, (_, i) =>
          chain(saver, 4).invoke({ log: [] }, syncRun(`t${s}-${i}`)),
        ),
      ),
    );
    for (const state of states) expect(state.log).toEqual(wholeLog(4));
    expect(dangling(await readTables(url))).toEqual([]);
  });
});
