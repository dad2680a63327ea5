/** Turns of a thread: one after the other, whoever asks for them, and each once. */

import pg from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import { PostgresSaver } from "../../../checkpointers/postgres/index.ts";
import type { HoldfastSaver } from "../../../checkpointers/saver.ts";
import { accept } from "../../../src/turns.ts";
import { createDatabase } from "../../support/databases.ts";
import { PLACES } from "../../support/places.ts";

async function acceptOne({ steps }: HoldfastSaver): Promise<void> {
  await steps.queue.turn(
    "t",
    (turn) =>
      accept(
        turn,
        {
          ...{ runId: "r", threadId: "t", graph: "g", priority: 0, attempt: 0, crashes: 0 },
          ...{ startAt: undefined, deadlineAt: undefined, stop: undefined, reason: undefined },
          schedule: undefined,
        },
        "enqueue",
      ),
    { runId: "r", details: { input: { some: "input" }, metadata: {}, stepLimit: undefined } },
  );
}

/** Counts by the run's priority. */
function count({ steps }: HoldfastSaver, lease?: "taken"): Promise<number | undefined> {
  return steps.queue.turn("t", ({ runs: [run], now }) => {
    if (run === undefined) throw new Error("The run is gone.");
    const priority = run.priority + 1;
    const taken = { owner: `owner ${priority}`, expiresAt: now + 1_000 };
    return {
      put: [{ ...run, priority }],
      ...(lease && { lease: taken }),
      result: priority,
    };
  });
}

describe.each(PLACES)("turns on %s", (_, newPlace) => {
  it("are taken one after the other, by however many", async () => {
    const place = await newPlace();
    const [one, other] = [place.open(), place.open()];
    await acceptOne(one);
    const counts = await Promise.all(
      Array.from({ length: 40 }, (__, i) =>
        count(i % 2 === 0 ? one : other, i % 3 === 0 ? "taken" : undefined),
      ),
    );
    expect(counts.toSorted((a = 0, b = 0) => a - b)).toEqual(
      Array.from({ length: 40 }, (__, i) => i + 1),
    );
    expect(await one.steps.queue.read("r")).toMatchObject({
      priority: 40,
      details: { input: { some: "input" } },
    });
    expect(await one.steps.leases.read("t")).toMatchObject({ token: 14 });
  });

  it("change nothing where the decision throws, and store what a run left", async () => {
    const saver = (await newPlace()).open();
    await acceptOne(saver);
    const thrown = saver.steps.queue.turn("t", () => {
      throw new Error("no");
    });
    await expect(thrown).rejects.toThrow("no");
    const end = { checkpointId: "c", error: undefined, undone: ["a"], stuck: [] };
    await saver.steps.queue.turn(
      "t",
      ({ runs: [run], now }) => ({
        put: run === undefined ? [] : [{ ...run, status: "completed", endedAt: now }],
        result: undefined,
      }),
      { runId: "r", end },
    );
    expect(await saver.steps.queue.read("r")).toMatchObject({
      status: "completed",
      end: { checkpointId: "c", undone: ["a"] },
      details: { input: { some: "input" } },
    });
  });
});

describe("a turn whose connection breaks", () => {
  it.each([["before"], ["after"]] as const)("is taken once: %s its writing", async (side) => {
    const plan: ("before" | "after")[] = [];
    class Client extends pg.Client {
      constructor(config?: pg.ClientConfig) {
        super(config);
        // As the pool calls it: with a callback.
        const send = this.query.bind(this) as (...parameters: unknown[]) => unknown;
        this.query = ((query: { text?: string }, values: unknown, done: (error: Error) => void) => {
          const breaks =
            query.text?.startsWith("WITH taken AS") === true ? plan.shift() : undefined;
          if (breaks === undefined) return send(query, values, done);
          const lost = (): void => done(new Error("Connection terminated unexpectedly"));
          return breaks === "before" ? lost() : send(query, values, lost);
        }) as unknown as typeof this.query;
      }
    }
    const pool = new pg.Pool({ connectionString: await createDatabase(), Client });
    const saver = new PostgresSaver(pool);
    onTestFinished(() => saver.end());
    await acceptOne(saver);
    for (let i = 1; i <= 3; i += 1) {
      plan.push(side);
      expect(await count(saver, "taken")).toBe(i);
      expect(plan).toEqual([]);
    }
    expect(await saver.steps.leases.read("t")).toMatchObject({ token: 3, owner: "owner 3" });
  });
});
