/** Several processes on one database, and processes that die. */

import { describe, expect, it, vi } from "vitest";
import { startChild } from "../../support/child.ts";
import { PLACES } from "../../support/places.ts";

describe.each(PLACES)("several processes on %s", (_, newPlace) => {
  it("decide on one key one after the other", async () => {
    const place = await newPlace();
    const children = Array.from({ length: 3 }, () =>
      startChild("decide.ts", place.url, "shared", "30"),
    );
    await Promise.all(children.map((child) => child.next("ready")));
    for (const child of children) child.send({ type: "go" });
    await Promise.all(children.map((child) => child.ended));
    const seen = children.flatMap((child) => {
      expect(child.messages.at(-1)).toMatchObject({ type: "done" });
      return child.messages.at(-1)?.["seen"] as number[];
    });
    // Of each kind every number was given out exactly once.
    const numbers = Array.from({ length: 90 }, (_, i) => i + 1);
    expect(seen.toSorted((a, b) => a - b)).toEqual(numbers.flatMap((n) => [n, n]));
    const { states } = place.open().steps;
    for (const kind of ["limits", "breakers"] as const) {
      expect((await states.read(kind, { name: "shared" })).state).toEqual({ n: 90 });
    }
  });

  it("lose no decision, and keep no lock, of one that is killed", async () => {
    const place = await newPlace();
    const child = startChild("decide.ts", place.url, "shared", "100000");
    await child.next("ready");
    child.send({ type: "go" });
    for (let i = 0; i < 20; i += 1) await child.next("decided");
    await child.kill();
    const told = Number(child.messages.at(-1)?.["count"]);
    const { states } = place.open().steps;
    const counts = await Promise.all(
      (["limits", "breakers"] as const).map((kind) =>
        states.decide<{ n: number }, number>(kind, { name: "shared" }, (state) => ({
          state: { n: 0 },
          result: state?.n ?? 0,
        })),
      ),
    );
    const total = (counts[0] ?? 0) + (counts[1] ?? 0);
    expect(total).toBeGreaterThanOrEqual(told);
    // What it could not tell any more: at most the two that were under way.
    expect(total).toBeLessThanOrEqual(told + 2);
  });

  it("find what one that was killed had written, at once, and what it had noted, soon", async () => {
    const place = await newPlace();
    const killed = startChild("note.ts", place.url, "t");
    await killed.next("written");
    await killed.kill();
    const { attempts, status, usage } = place.open().steps;
    const task = { threadId: "t", namespace: "", checkpointId: "c", taskId: "k" };
    expect(await attempts.read(task)).toEqual({ failed: 2, startedAt: 1, nextAttemptAt: 60_000 });

    const child = startChild("note.ts", place.url, "t");
    await child.next("noted");
    await vi.waitFor(async () => {
      expect((await status.read("t"))?.currentStep).toBe("ship");
      expect(await attempts.read({ ...task, taskId: "noted" })).toEqual({
        failed: 0,
        startedAt: 2,
      });
      expect(await usage.totals({ by: "node" })).toMatchObject([{ key: "ship", usd: 0.25 }]);
    });
    await child.kill();
  });
});
