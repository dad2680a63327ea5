/** Who is at work and was not heard, and what nobody takes: by rows alone, on both databases. */

import { emptyCheckpoint, uuid6 } from "@langchain/langgraph-checkpoint";
import { describe, expect, it } from "vitest";
import type { HoldfastSaver } from "../../../checkpointers/saver.ts";
import type { RunRecord } from "../../../src/run-store.ts";
import { ManualClock } from "../../../src/testing/manual-clock.ts";
import { accept, claim, finish } from "../../../src/turns.ts";
import { PLACES } from "../../support/places.ts";

const MINUTE = 60_000;

async function enqueue(
  { steps }: HoldfastSaver,
  runId: string,
  { threadId = runId, schedule }: { threadId?: string; schedule?: string } = {},
): Promise<void> {
  const run = {
    ...{ runId, threadId, graph: "g", priority: 0, attempt: 0, crashes: 0, schedule },
    ...{ startAt: undefined, deadlineAt: undefined, stop: undefined, reason: undefined },
  };
  await steps.queue.turn(threadId, (turn) => accept(turn, run, "enqueue"), {
    runId,
    details: { input: {}, metadata: {}, stepLimit: undefined },
  });
}

async function take({ steps }: HoldfastSaver, threadId: string): Promise<RunRecord> {
  const claims = await steps.queue.turn(threadId, (turn) =>
    claim(turn, {
      ...{ owner: `worker of ${threadId}`, duration: MINUTE / 2, maxCrashes: 3 },
      graphs: new Map([["g", { fingerprint: "f", pins: false }]]),
      isDead: () => false,
    }),
  );
  if (claims?.claimed === undefined) throw new Error(`There is nothing to take of ${threadId}.`);
  return claims.claimed.run;
}

async function leave({ steps }: HoldfastSaver, { threadId, runId }: RunRecord): Promise<void> {
  await steps.queue.turn(threadId, (turn) =>
    finish(turn, runId, turn.token, { status: "completed" }),
  );
}

/** A checkpoint as it is made at that instant. */
async function checkpoint(saver: HoldfastSaver, threadId: string, at: number): Promise<void> {
  const { token } = (await saver.steps.leases.read(threadId)) ?? {};
  await saver.put(
    { configurable: { thread_id: threadId, checkpoint_ns: "", __holdfast_lease_token: token } },
    { ...emptyCheckpoint(), id: uuid6(0), ts: new Date(at).toISOString() },
    { source: "loop", step: 1, parents: {} },
    {},
  );
}

describe.each(PLACES)("what is heard, on %s", (_, newPlace) => {
  async function setUp(): Promise<{ clock: ManualClock; saver: HoldfastSaver }> {
    const clock = new ManualClock();
    const saver = (await newPlace()).open({ clock });
    await saver.setup();
    return { clock, saver };
  }

  it("of an accepted run is its begin, its nodes' signs of life and its checkpoints", async () => {
    const { clock, saver } = await setUp();
    const { pulses, status } = saver.steps;
    await enqueue(saver, "r", { threadId: "t" });
    expect(await pulses.atWork()).toEqual([]);
    await clock.advance(MINUTE);
    await take(saver, "t");
    const begun = clock.now();
    const heard = async (): Promise<number | undefined> => (await pulses.atWork())[0]?.heardAt;
    expect(await pulses.atWork()).toEqual([
      {
        ...{ threadId: "t", runId: "r", graph: "g", status: "running", step: undefined },
        heardAt: begun,
        lease: { owner: "worker of t", expiresAt: begun + MINUTE / 2 },
      },
    ]);
    await clock.advance(MINUTE);
    status.note("t", { status: "running", currentStep: "node" });
    expect(await pulses.atWork({ threadId: "t" })).toMatchObject([
      { step: "node", heardAt: clock.now() },
    ]);
    await checkpoint(saver, "t", clock.now() + 5);
    expect(await heard()).toBe(clock.now() + 5);
    await clock.advance(MINUTE);
    await checkpoint(saver, "t", clock.now());
    expect(await heard()).toBe(clock.now());
    const at = clock.now();
    expect(await pulses.atWork({ heardBefore: at - 1 })).toEqual([]);
    expect(await pulses.atWork({ heardBefore: at })).toHaveLength(1);
    expect(await pulses.atWork({ heardBefore: at, threadId: "other" })).toEqual([]);
    const leaseEnd = begun + MINUTE / 2;
    expect(await pulses.atWork({ leaseEndedBefore: leaseEnd - 1 })).toEqual([]);
    expect(await pulses.atWork({ heardBefore: 0, leaseEndedBefore: leaseEnd })).toHaveLength(1);
  });

  it("of other threads is what they note, and a thread with runs is as its runs are", async () => {
    const { clock, saver } = await setUp();
    const { pulses, status } = saver.steps;
    status.note("plain", { status: "running", workflowName: "mine", currentStep: "node" });
    status.note("done", { status: "completed" });
    const long = "ü".repeat(300);
    status.note(long, { status: "compensating" });
    await enqueue(saver, "r", { threadId: "t" });
    const run = await take(saver, "t");
    await leave(saver, run);
    // Its process died before it could note that.
    status.note("t", { status: "running" });
    const found = await pulses.atWork();
    expect(found.map(({ threadId }) => threadId).toSorted()).toEqual(["plain", long].toSorted());
    expect(found.find(({ threadId }) => threadId === "plain")).toEqual({
      ...{ threadId: "plain", runId: undefined, graph: "mine", status: "running", step: "node" },
      ...{ heardAt: clock.now(), lease: undefined },
    });
    expect(await pulses.atWork({ limit: 1 })).toHaveLength(1);
    const { expiresAt } = await saver.steps.leases.acquire("t", "a call of runToEnd", MINUTE);
    expect(await pulses.atWork({ threadId: "t" })).toMatchObject([
      { threadId: "t", runId: undefined, lease: { owner: "a call of runToEnd", expiresAt } },
    ]);
  });

  it("of runs that nobody takes is since when nothing is in their way", async () => {
    const { clock, saver } = await setUp();
    const { pulses } = saver.steps;
    const since = async (before = clock.now()): Promise<[string, number][]> =>
      (await pulses.overdue({ before })).map(({ run, since: at }) => [run.runId, at]);
    await enqueue(saver, "r-1", { threadId: "t" });
    const accepted = clock.now();
    await clock.advance(MINUTE);
    await enqueue(saver, "r-2", { threadId: "t" });
    expect(await since()).toEqual([["r-1", accepted]]);
    expect(await since(accepted - 1)).toEqual([]);
    const first = await take(saver, "t");
    expect(await since()).toEqual([]);
    await clock.advance(10 * MINUTE);
    // Its worker is gone: it is at work, and what is behind it has to wait.
    expect(await since()).toEqual([]);
    await leave(saver, first);
    const ended = clock.now();
    expect(await since()).toEqual([["r-2", ended]]);
    expect(await since(ended - 1)).toEqual([]);
    await clock.advance(MINUTE);
    await enqueue(saver, "other");
    expect(await since()).toEqual([
      ["other", clock.now()],
      ["r-2", ended],
    ]);
    expect(await pulses.overdue({ before: clock.now(), threadId: "t", limit: 5 })).toMatchObject([
      { run: { runId: "r-2", threadId: "t", graph: "g", status: "queued" }, since: ended },
    ]);
    const lease = await saver.steps.leases.acquire("t", "somebody", 10 * MINUTE);
    expect(await since()).toEqual([["other", clock.now()]]);
    await saver.steps.leases.release(lease);
    expect(await since()).toHaveLength(2);
  });

  it("of a schedule are the runs that it fired", async () => {
    const { saver } = await setUp();
    await enqueue(saver, "by hand");
    await enqueue(saver, "cron-1", { schedule: 'the "daily" one' });
    await enqueue(saver, "cron-2", { schedule: 'the "daily" one' });
    await enqueue(saver, "cron-3", { schedule: '"other"' });
    const of = async (schedule: string): Promise<string[]> =>
      (await saver.steps.queue.list({ schedule })).map(({ runId }) => runId);
    expect(await of('the "daily" one')).toEqual(["cron-2", "cron-1"]);
    expect(await of('"other"')).toEqual(["cron-3"]);
    expect(await of("nobody")).toEqual([]);
    const both = { schedule: 'the "daily" one', status: "queued", limit: 1 } as const;
    expect(await saver.steps.queue.list(both)).toMatchObject([
      { runId: "cron-2", schedule: 'the "daily" one' },
    ]);
  });
});
