import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Clock } from "../../src/clock.ts";
import { EventLog } from "../../src/run/event-log.ts";
import type { NewRunEvent } from "../../src/run-event-store.ts";

/** Whose waits are over at the next turn of the event loop. */
const eager: Clock = {
  now: () => 0,
  sleep: (_, signal) =>
    new Promise((resolve, reject) => {
      setImmediate(() => (signal?.aborted === true ? reject(new Error("hurry")) : resolve()));
    }),
};
/** Whose waits end by hurry alone. */
const patient: Clock = {
  now: () => 0,
  sleep: (_, signal) =>
    new Promise((_resolve, reject) => {
      signal?.addEventListener("abort", () => reject(new Error("hurry")));
    }),
};

const event = (data: string): Omit<NewRunEvent, "n"> => ({
  event: "custom",
  path: undefined,
  data,
});
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A store that takes its time, and fails at one of its batches. */
function slowStore(failsAt = Infinity) {
  const stored: NewRunEvent[] = [];
  let batches = 0;
  let storing = 0;
  let most = 0;
  return {
    stored,
    get most() {
      return most;
    },
    store: async (batch: readonly NewRunEvent[]): Promise<void> => {
      storing += 1;
      most = Math.max(most, storing);
      expect(batch.length).toBeLessThanOrEqual(100);
      expect(batch.length).toBeGreaterThan(0);
      for (let turns = batches % 3; turns > 0; turns -= 1) await turn();
      batches += 1;
      storing -= 1;
      if (batches >= failsAt) throw new Error("gone");
      stored.push(...batch);
    },
  };
}

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ add: fc.nat(130), size: fc.nat(3_000) }) },
    { weight: 2, arbitrary: fc.constant("flush" as const) },
    { weight: 2, arbitrary: fc.constant("turn" as const) },
    { weight: 1, arbitrary: fc.constant("room" as const) },
  ),
  { maxLength: 30 },
);

describe("a log of events", () => {
  it("stores all, in order, one batch at a time, up to where it fails", async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.option(fc.integer({ min: 1, max: 6 })), async (plan, fails) => {
        const told: unknown[] = [];
        const into = slowStore(fails ?? Infinity);
        const log = new EventLog({
          store: into.store,
          clock: eager,
          onFailure: (error) => told.push(error),
        });
        const flushed = async (upTo: number): Promise<void> => {
          const failure = await log.flush().catch((error: unknown) => ({ error }));
          if (failure === undefined) expect(into.stored.length).toBeGreaterThanOrEqual(upTo);
          else expect(failure.error).toEqual(told[0]);
        };
        let added = 0;
        const flushes: Promise<void>[] = [];
        for (const step of plan) {
          if (step === "turn") await turn();
          else if (step === "room") await log.room().catch(() => undefined);
          else if (step === "flush") {
            const upTo = added;
            flushes.push(flushed(upTo));
          } else {
            for (let i = 0; i < step.add; i += 1) {
              added += 1;
              log.add(event(`${added}`.padEnd(step.size)));
            }
          }
        }
        const end = await log.flush().catch((error: unknown) => error);
        await Promise.all(flushes);
        expect(into.most).toBeLessThanOrEqual(1);
        expect(into.stored.map(({ n }) => n)).toEqual(into.stored.map((_, i) => i + 1));
        expect(into.stored.every(({ n, data }) => Number(data) === n)).toBe(true);
        if (end === undefined) expect(into.stored).toHaveLength(added);
        else expect(end).toEqual(new Error("gone"));
        expect(told).toHaveLength(end === undefined ? 0 : 1);
      }),
      { numRuns: 150 },
    );
  });

  it("waits for others, and for nothing once it has a batch, or somebody waits for it", async () => {
    const into = slowStore();
    const log = new EventLog({ store: into.store, clock: patient });
    log.add(event("a"));
    await turn();
    expect(into.stored).toHaveLength(0);
    await log.flush();
    expect(into.stored).toHaveLength(1);
    for (let i = 0; i < 100; i += 1) log.add(event("b"));
    await expect.poll(() => into.stored.length).toBe(101);
    log.add(event("c".repeat(70_000)));
    await expect.poll(() => into.stored.length).toBe(102);
    await log.flush();
  });

  it("is full until the store has caught up", async () => {
    const release = Promise.withResolvers<void>();
    const log = new EventLog({ store: () => release.promise, clock: eager });
    for (let i = 0; i < 200; i += 1) log.add(event("few"));
    expect(log.isFull).toBe(false);
    await log.room();
    for (let i = 0; i < 1_000; i += 1) log.add(event("many"));
    expect(log.isFull).toBe(true);
    let hasRoom = false;
    const room = log.room().then(() => (hasRoom = true));
    await turn();
    expect(hasRoom).toBe(false);
    release.resolve();
    await room;
    expect(log.isFull).toBe(false);
    for (let i = 0; i < 10; i += 1) log.add(event("x".repeat(64 * 1_024)));
    expect(log.isFull).toBe(true);
    await log.flush();
  });
});
