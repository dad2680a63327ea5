import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { isHoldfastError } from "../../src/errors.ts";
import type { LeaseStore } from "../../src/step-store.ts";
import { systemProcesses } from "../../src/process.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { PLACES, type Place } from "../support/places.ts";

function leasesOf(place: Place, clock: ManualClock): LeaseStore {
  return place.open({ clock }).steps.leases;
}

describe.each(PLACES)("a lease on %s", (_, newPlace) => {
  it("is one owner's until it is given back, or expires", async () => {
    const place = await newPlace();
    const clock = new ManualClock();
    const [mine, theirs] = [leasesOf(place, clock), leasesOf(place, clock)];
    const first = await mine.acquire("t", "a", 1_000);
    expect(first).toMatchObject({ owner: "a", expiresAt: clock.now() + 1_000 });
    const busy = await theirs.acquire("t", "b", 1_000).catch((error: unknown) => error);
    expect(isHoldfastError(busy, "THREAD_BUSY")).toBe(true);
    expect(busy).toMatchObject({ owner: "a", expiresAt: first.expiresAt });

    await mine.release(first);
    expect(await theirs.read("t")).toBeUndefined();
    const second = await theirs.acquire("t", "b", 1_000);
    expect(second.token).toBeGreaterThan(first.token);
    await clock.advance(1_000);
    const third = await mine.acquire("t", "a", 1_000);
    expect(third.token).toBeGreaterThan(second.token);
    await expect(theirs.renew(second, 1_000)).rejects.toThrow(/was lost/);
    // What is lost is not given back, and takes nothing from who has it.
    await theirs.release(second);
    expect(await theirs.read("t")).toMatchObject({ owner: "a", token: third.token });
  });

  it("lasts as long as it is renewed", async () => {
    const place = await newPlace();
    const clock = new ManualClock();
    const [mine, theirs] = [leasesOf(place, clock), leasesOf(place, clock)];
    let lease = await mine.acquire("t", "a", 1_000);
    for (let i = 0; i < 5; i += 1) {
      await clock.advance(900);
      lease = await mine.renew(lease, 1_000);
    }
    await expect(theirs.acquire("t", "b", 1_000)).rejects.toThrow(/is being run by a/);
    expect(lease.expiresAt).toBe(clock.now() + 1_000);
  });

  it("that has expired is not renewed, whoever has not taken it", async () => {
    const place = await newPlace();
    const clock = new ManualClock();
    const leases = leasesOf(place, clock);
    const lease = await leases.acquire("t", "a", 1_000);
    await clock.advance(1_000);
    await expect(leases.renew(lease, 1_000)).rejects.toMatchObject({ code: "LEASE_LOST" });
  });

  it("of a process of this machine that is dead is free at once", async () => {
    const place = await newPlace();
    const leases = leasesOf(place, new ManualClock());
    const { pid } = spawnSync(process.execPath, ["-e", ""]);
    const dead = systemProcesses.own.replace(/:\d+:[^:]*$/, `:${pid}:1`);
    const first = await leases.acquire("t", `${dead}#1`, 60_000);
    const second = await leases.acquire("t", `${systemProcesses.own}#2`, 60_000);
    expect(second.token).toBe(first.token + 1);
    await expect(leases.acquire("t", `${systemProcesses.own}#3`, 60_000)).rejects.toThrow(
      /is being run by/,
    );
  });

  it("goes to one of many who ask at once", async () => {
    const place = await newPlace();
    const clock = new ManualClock();
    const stores = [1, 2, 3].map(() => leasesOf(place, clock));
    const results = await Promise.allSettled(
      Array.from({ length: 12 }, (__, i) =>
        (stores[i % 3] as LeaseStore).acquire("t", `o${i}`, 1_000),
      ),
    );
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });
});
