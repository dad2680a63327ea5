import { expect, it, onTestFinished, vi } from "vitest";
import { ServerTime } from "../../checkpointers/server-time.ts";

it("the server's time goes on since it was heard, never ahead of it, and is forgotten", () => {
  vi.useFakeTimers({ now: 5_000_000 });
  onTestFinished(() => void vi.useRealTimers());
  const time = new ServerTime();
  expect(time.now()).toBeUndefined();
  time.heard(1_000);
  vi.advanceTimersByTime(300);
  expect(time.now()).toBe(1_300);
  // An answer that was long on its way.
  time.heard(1_100);
  expect(time.now()).toBe(1_300);
  time.heard(1_310);
  expect(time.now()).toBe(1_310);
  vi.advanceTimersByTime(5_001);
  // Of a server whose clock was set back.
  time.heard(900);
  expect(time.now()).toBe(900);
  vi.advanceTimersByTime(59_000);
  expect(time.now()).toBe(59_900);
  vi.advanceTimersByTime(1_001);
  expect(time.now()).toBeUndefined();
});

it("the server's time is not told by a machine that slept, or whose clock was set", () => {
  vi.useFakeTimers({ now: 5_000_000 });
  onTestFinished(() => void vi.useRealTimers());
  for (const jump of [-1_000, 1_000]) {
    const time = new ServerTime();
    time.heard(1_000);
    vi.setSystemTime(Date.now() + jump);
    expect(time.now()).toBeUndefined();
    time.heard(2_000);
    vi.advanceTimersByTime(10_000);
    time.heard(12_000);
    expect(time.now()).toBe(12_000);
  }
});
