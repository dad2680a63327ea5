import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { ManualClock } from "../../src/testing/index.ts";

describe("time", () => {
  test("stands still until it is moved", async () => {
    const clock = new ManualClock(1_000);
    let isAwake = false;
    const slept = clock.sleep(500).then(() => (isAwake = true));
    await clock.advance(499);
    expect([clock.now(), isAwake, clock.pending]).toEqual([1_499, false, [1_500]]);
    await clock.advance(1);
    await slept;
    expect([clock.now(), isAwake, clock.pending]).toEqual([1_500, true, []]);
  });

  test("takes a date, and no nonsense", async () => {
    const clock = new ManualClock(new Date("2026-03-01T00:00:00Z"));
    expect(new Date(clock.now()).toISOString()).toBe("2026-03-01T00:00:00.000Z");
    expect(() => new ManualClock(Number.NaN)).toThrow("starts at an instant");
    await expect(clock.advance(-1)).rejects.toThrow("Time goes forward");
  });

  test("wakes who lies down on the way, at his instant", async () => {
    const clock = new ManualClock(0);
    const seen: number[] = [];
    void (async () => {
      for (const duration of [100, 20, 3]) {
        await clock.sleep(duration);
        seen.push(clock.now());
      }
    })();
    await clock.advance(1_000);
    expect(seen).toEqual([100, 120, 123]);
    expect(clock.now()).toBe(1_000);
    expect(clock.asked).toEqual([100, 20, 3]);
  });

  test("wakes all in the order of their instants, then of their coming, each at his own", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(50), { maxLength: 20 }), fc.nat(60), async (naps, step) => {
        const clock = new ManualClock(0);
        const woken: [number, number, number][] = [];
        for (const [index, nap] of naps.entries())
          void clock.sleep(nap).then(() => woken.push([nap, index, clock.now()]));
        while (clock.pending.length > 0) await clock.advance(step + 1);
        await clock.advance(0);
        const order = naps
          .map((nap, index): [number, number, number] => [nap, index, nap])
          .toSorted(([a, i], [b, j]) => a - b || i - j);
        expect(woken).toEqual(order);
      }),
      { numRuns: 50 },
    );
  });
});

describe("an aborted sleeper", () => {
  test("gets the reason, and nothing is left of him", async () => {
    const clock = new ManualClock();
    const controller = new AbortController();
    const slept = clock.sleep(1_000, controller.signal);
    controller.abort(new Error("no longer"));
    await expect(slept).rejects.toThrow("no longer");
    expect(clock.pending).toEqual([]);
    await expect(clock.sleep(1, controller.signal)).rejects.toThrow("no longer");
  });

  test("does not disturb another one of the same instant", async () => {
    const clock = new ManualClock();
    const controller = new AbortController();
    const first = clock.sleep(10);
    const second = clock.sleep(10, controller.signal);
    controller.abort(new Error("no longer"));
    await expect(second).rejects.toThrow("no longer");
    await clock.advance(10);
    await first;
  });
});

test("sleeping(n) settles when so many sleep", async () => {
  const clock = new ManualClock();
  const both = clock.sleeping(2);
  let areBoth = false;
  void both.then(() => (areBoth = true));
  void clock.sleep(1);
  await clock.advance(0);
  expect(areBoth).toBe(false);
  void clock.sleep(5);
  await both;
});

describe("runUntil", () => {
  test("passes hours in moments, and returns what the work returns", async () => {
    const clock = new ManualClock(0);
    const work = async (): Promise<number> => {
      for (let hour = 0; hour < 10; hour += 1) await clock.sleep(3_600_000);
      return clock.now();
    };
    expect(await clock.runUntil(work())).toBe(36_000_000);
  });

  test("throws what the work throws", async () => {
    const clock = new ManualClock();
    const work = clock.sleep(5).then(() => {
      throw new Error("after the wait");
    });
    await expect(clock.runUntil(work)).rejects.toThrow("after the wait");
  });

  test("a timeout does not overtake real work that goes on", async () => {
    const server = createServer((_, response) => {
      response.end("ok");
    });
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const clock = new ManualClock(0);
    const over = new AbortController();
    const timeout = clock.sleep(30_000, over.signal).then(
      () => "too late",
      () => "in time",
    );
    const work = async (): Promise<string[]> => {
      const answers: string[] = [];
      for (let calls = 0; calls < 20; calls += 1) answers.push(await (await fetch(url)).text());
      over.abort();
      return [...new Set(answers), await timeout];
    };
    expect(await clock.runUntil(work(), { quiet: 100 })).toEqual(["ok", "in time"]);
    expect(clock.now()).toBe(0);
  });

  test("a timeout ends what hangs", async () => {
    const clock = new ManualClock(0);
    const hanging = new Promise<never>(() => {});
    const timeout = clock.sleep(30_000).then(() => "timed out");
    expect(await clock.runUntil(Promise.race([hanging, timeout]))).toBe("timed out");
  });
});
