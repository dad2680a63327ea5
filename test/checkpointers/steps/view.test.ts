/** The view `workflow_status`, as anybody reads it with SQL. */

import { describe, expect, it } from "vitest";
import { ManualClock } from "../../../src/testing/index.ts";
import { PLACES, type Place } from "../../support/places.ts";
import { execute, type Row } from "../../support/raw-tables.ts";

const COLUMNS = [
  ...["thread_id", "workflow_name", "current_step", "started_at", "last_heartbeat"],
  ...["progress_percent", "status", "error_message"],
];

function rowsOf(place: Place): Promise<Row[]> {
  return execute(
    place.url,
    (name) => `SELECT ${COLUMNS.join(", ")} FROM ${name("workflow_status")} ORDER BY started_at`,
  );
}

/** Postgres's driver gives dates, SQLite ISO texts. */
function instant(value: unknown): string {
  return value instanceof Date ? value.toISOString() : (value as string);
}

describe.each(PLACES)("the view workflow_status on %s", (_, newPlace) => {
  it("shows each thread in words and instants", async () => {
    const place = await newPlace();
    const clock = new ManualClock(new Date("2026-03-04T05:06:07.089Z"));
    const { status } = place.open({ clock }).steps;
    status.note("order-1", {
      workflowName: "returns",
      currentStep: "refund",
      progressPercent: 40,
      startedAt: Date.parse("2026-03-04T05:00:00.001Z"),
    });
    status.note("order-2", { status: "failed", errorMessage: 'no "stock"' });
    await status.flush();
    const [first, second, ...more] = await rowsOf(place);
    expect(more).toEqual([]);
    expect(first).toEqual({
      thread_id: "order-1",
      workflow_name: "returns",
      current_step: "refund",
      started_at: expect.anything() as unknown,
      last_heartbeat: expect.anything() as unknown,
      progress_percent: 40,
      status: "running",
      error_message: null,
    });
    expect(instant(first?.["started_at"])).toBe("2026-03-04T05:00:00.001Z");
    expect(instant(first?.["last_heartbeat"])).toBe("2026-03-04T05:06:07.089Z");
    expect(second).toMatchObject({ status: "failed", error_message: 'no "stock"' });
  });

  it("shows ids that no text column could keep as JSON strings", async () => {
    const place = await newPlace();
    const { status } = place.open().steps;
    for (const id of ["a\0b", "\ud800", "x".repeat(10_000)]) status.note(id, {});
    await status.flush();
    const shown = (await rowsOf(place)).map((row) => row["thread_id"]);
    expect(shown.toSorted()).toEqual(['"\\ud800"', '"a\\u0000b"', "x".repeat(10_000)].toSorted());
  });

  it("has columns that bear these names, and no others", async () => {
    const place = await newPlace();
    const { status } = place.open().steps;
    status.note("t", {});
    await status.flush();
    const [row] = await execute(place.url, (name) => `SELECT * FROM ${name("workflow_status")}`);
    expect(Object.keys(row ?? {})).toEqual(COLUMNS);
  });
});
