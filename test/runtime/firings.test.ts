import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isHoldfastError } from "../../src/errors.ts";
import type { Missed } from "../../src/schedule-store.ts";
import { parseCron, type Cron } from "../../src/runtime/cron.ts";
import { ON_TIME, firings } from "../../src/runtime/firings.ts";

const at = (text: string): number => Date.parse(text);
const HOUR = 3_600_000;

function comes(cron: string, zone: string, from: string, count: number): string[] {
  const parsed = parseCron(cron, zone);
  const found: string[] = [];
  let last = at(from);
  while (found.length < count) {
    last = parsed.next(last) ?? NaN;
    found.push(new Date(last).toISOString().replace(":00.000Z", "Z"));
  }
  return found;
}

describe("a cron expression", () => {
  it("comes by the clocks of its zone, once in the night when they change", () => {
    expect(comes("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00Z", 3)).toEqual([
      // There is no 2:30 on the 29th: the first time that there is.
      ...["2026-03-28T01:30Z", "2026-03-29T01:00Z", "2026-03-30T00:30Z"],
    ]);
    expect(comes("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00Z", 3)).toEqual([
      // 2:30 is twice on the 25th: the first one.
      ...["2026-10-24T00:30Z", "2026-10-25T00:30Z", "2026-10-26T01:30Z"],
    ]);
    // What is not bound to a time of day goes on through both.
    expect(comes("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00Z", 3)).toEqual([
      ...["2026-03-29T00:30Z", "2026-03-29T01:00Z", "2026-03-29T01:30Z"],
    ]);
    expect(comes("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00Z", 3)).toEqual([
      ...["2026-10-25T00:30Z", "2026-10-25T01:00Z", "2026-10-25T01:30Z"],
    ]);
  });

  it("has five fields, or seconds, or a name", () => {
    expect(comes("0 9 * * MON-FRI", "UTC", "2026-01-02T10:00Z", 1)).toEqual(["2026-01-05T09:00Z"]);
    expect(comes("30 0 9 1 * *", "UTC", "2026-01-02T10:00Z", 1)).toEqual([
      "2026-02-01T09:00:30.000Z",
    ]);
    expect(comes(" @daily ", "Asia/Tokyo", "2026-01-02T10:00Z", 1)).toEqual(["2026-01-02T15:00Z"]);
    expect(parseCron("  0\t9 * *   * ", "UTC").text).toBe("0 9 * * *");
  });

  it.each([
    ["", /has to have five fields/],
    ["0 9 * *", /five fields, or six with seconds in front, not 4/],
    ["0 0 9 * * * 2027", /not 7/],
    ["2026-01-01T09:00:00", /not 1/],
    ["61 * * * *", /minute: 61/],
    ["? 9 * * *", /instead of/],
    ["@reboot", /@reboot/],
    ["x".repeat(10_000), /^.{0,400}$/],
    ["0 9 * * *\0", /cannot be read/],
    ["'; DROP TABLE schedules; --", /cannot be read/],
  ])("is refused where it is %j", (text, message) => {
    const refused = (): Cron => parseCron(text, "UTC");
    expect(refused).toThrow(message);
    expect(refused).toThrow(/It is something like "0 9 \* \* 1-5"/);
  });

  it.each(["Mars/Olympus", "", "Europe/Berlin; DROP", "\0"])("is in no zone %j", (zone) => {
    try {
      parseCron("0 9 * * *", zone);
      expect.unreachable();
    } catch (error) {
      expect(isHoldfastError(error, "INVALID_INPUT")).toBe(true);
      expect(String(error)).toContain(`There is no time zone ${JSON.stringify(zone)}`);
    }
  });
});

/** Every instant up to there, one by one. */
function all(cron: Cron, first: number, until: number): number[] {
  const found: number[] = [];
  for (let next: number | undefined = first; next !== undefined && next <= until;) {
    found.push(next);
    next = cron.next(next);
  }
  return found;
}

const CRONS = [
  ...["* * * * * *", "*/7 * * * * *", "* * * * *", "*/13 * * * *", "0 9 * * *", "30 2 * * *"],
  ...["0 0 1 * *", "* * 29 2 *", "*/5 1-3 * * 0"],
].flatMap((text) => ["UTC", "Europe/Berlin"].map((zone) => parseCron(text, zone)));

const START = at("2026-03-27T00:00Z");

const looks = fc.array(
  fc.oneof(fc.nat(3_000), fc.nat(200_000), fc.nat(6 * HOUR), fc.nat(40 * 24 * HOUR)),
  { minLength: 1, maxLength: 12 },
);

describe("what is fired", () => {
  it("is each instant once, and of missed ones what was chosen, however seldom somebody looks", () => {
    const policy = fc.constantFrom<Missed>("skip", "once", "all");
    fc.assert(
      fc.property(
        fc.constantFrom(...CRONS),
        policy,
        looks,
        fc.constantFrom(1, 3, 100),
        (cron, missed, pauses, limit) => {
          let nextAt = cron.next(START);
          let now = START;
          for (const pause of pauses) {
            now += pause;
            if (nextAt === undefined) break;
            const before = nextAt;
            const look = firings(cron, { missed, nextAt: before }, now, limit);
            assert.ok(look.fire.length <= limit);
            const left = look.nextAt ?? Infinity;
            // F1 and F2.
            for (const fired of look.fire) {
              assert.equal(cron.next(fired - 1), fired);
              assert.ok(fired >= before && fired <= now && fired < left);
            }
            assert.deepEqual(
              look.fire,
              [...new Set(look.fire)].toSorted((a, b) => a - b),
            );
            const [first = left] = look.fire;
            if (look.missed === undefined) assert.equal(first, before);
            else {
              assert.equal(look.missed.at, before);
              const { until } = look.missed;
              assert.equal(cron.next(until), first);
              assert.ok(until < first && until <= now);
            }
            // None in between is left out.
            if (look.fire.length > 0) {
              const last = look.fire.at(-1) ?? 0;
              assert.deepEqual(all(cron, first, last), look.fire);
              assert.equal(look.nextAt, cron.next(last));
            }
            if (look.fire.length < limit) assert.ok(left > now);
            // Of what is missed:
            const late = look.fire.filter((fired) => fired < now - ON_TIME);
            if (missed === "skip") assert.deepEqual(late, []);
            if (missed === "once") assert.ok(late.length <= 1);
            if (missed === "once" && before <= now) assert.ok(look.fire.length > 0);
            if (missed === "all") assert.equal(look.missed, undefined);
            // What is on time is never left out.
            if (look.missed !== undefined && missed === "skip") {
              assert.ok(look.missed.until < now - ON_TIME);
            }
            ({ nextAt } = look);
          }
        },
      ),
      { numRuns: 120 },
    );
  });

  it("is the latest for all that were missed, or what is on time", () => {
    const cron = parseCron("0 * * * *", "UTC");
    const nextAt = at("2026-01-01T09:00Z");
    const at1210 = at("2026-01-01T12:10Z");
    const noon = at("2026-01-01T12:00Z");
    expect(firings(cron, { missed: "once", nextAt }, at1210, 100)).toEqual({
      fire: [noon],
      missed: { at: nextAt, until: at("2026-01-01T11:00Z") },
      nextAt: at("2026-01-01T13:00Z"),
    });
    expect(firings(cron, { missed: "skip", nextAt }, at1210, 100)).toEqual({
      fire: [],
      missed: { at: nextAt, until: noon },
      nextAt: at("2026-01-01T13:00Z"),
    });
    expect(firings(cron, { missed: "skip", nextAt }, noon + 60_000, 100).fire).toEqual([noon]);
    expect(firings(cron, { missed: "once", nextAt }, noon + 60_000, 100).fire).toEqual([noon]);
    expect(firings(cron, { missed: "all", nextAt }, at1210, 3)).toEqual({
      fire: [nextAt, nextAt + HOUR, nextAt + 2 * HOUR],
      missed: undefined,
      nextAt: noon,
    });
  });

  it("costs no more after a year in which nobody looked at a schedule of every second", () => {
    let asked = 0;
    const every = parseCron("* * * * * *", "UTC");
    const cron: Cron = {
      ...every,
      next: (after) => {
        asked += 1;
        return every.next(after);
      },
    };
    const nextAt = START;
    const now = START + 365 * 24 * HOUR;
    for (const missed of ["skip", "once", "all"] as const) {
      firings(cron, { missed, nextAt }, now, 100);
      expect(asked).toBeLessThan(300);
      asked = 0;
    }
  });
});
