import { MemorySaver } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import { idempotent } from "../../src/effects/idempotent.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { PLACES } from "../support/places.ts";

const HOUR = 3_600_000;

describe.each(PLACES)("idempotent() on %s", (_, newPlace) => {
  it("handles ten requests at once with one key once, and answers them all alike", async () => {
    const place = await newPlace();
    const savers = [place.open(), place.open()];
    let handled = 0;
    const answers = await Promise.all(
      Array.from({ length: 10 }, (__, i) =>
        idempotent(savers[i % 2] as never, "key", async () => {
          handled += 1;
          await Promise.resolve();
          return { status: 201, at: new Date(7) };
        }),
      ),
    );
    expect(handled).toBe(1);
    for (const answer of answers) expect(answer).toEqual({ status: 201, at: new Date(7) });
    expect(await idempotent(place.open(), "key", () => "another")).toEqual(answers[0]);
    expect(await idempotent(place.open(), "other key", () => "another")).toBe("another");
  });

  it("refuses another body under the same key", async () => {
    const saver = (await newPlace()).open();
    await idempotent(saver, "key", () => 1, { request: { amount: 1, to: "ada" } });
    expect(await idempotent(saver, "key", () => 2, { request: { to: "ada", amount: 1 } })).toBe(1);
    const other = idempotent(saver, "key", () => 3, { request: { amount: 2, to: "ada" } });
    await expect(other).rejects.toMatchObject({ code: "EFFECT_CONFLICT" });
  });

  it("runs the handler again after one that threw", async () => {
    const saver = (await newPlace()).open();
    const failing = idempotent(saver, "key", () => Promise.reject(new Error("no")));
    await expect(failing).rejects.toThrow("no");
    expect(await idempotent(saver, "key", () => "yes")).toBe("yes");
  });

  it("forgets an answer when its time is over", async () => {
    const place = await newPlace();
    const clock = new ManualClock();
    const saver = place.open({ clock });
    await idempotent(saver, "key", () => 1, { keepFor: HOUR });
    await clock.advance(HOUR - 1);
    expect(await idempotent(saver, "key", () => 2, { keepFor: HOUR })).toBe(1);
    await clock.advance(1);
    expect(await idempotent(saver, "key", () => 3, { keepFor: HOUR })).toBe(3);
    await clock.advance(2 * HOUR);
    await idempotent(saver, "another", () => 1);
    const rows = await saver.steps.effects?.list({ kind: "request" });
    expect(rows?.map(({ key }) => key)).toEqual(["another"]);
  });

  it("says what it needs", async () => {
    const saver = (await newPlace()).open();
    await expect(idempotent(saver, "", () => 1)).rejects.toMatchObject({ code: "INVALID_INPUT" });
    const memory = new MemorySaver() as never;
    await expect(idempotent(memory, "k", () => 1)).rejects.toMatchObject({ code: "NOT_DURABLE" });
  });
});
