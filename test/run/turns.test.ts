import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isHoldfastError } from "../../src/errors.ts";
import type { Decided, RunRecord, Turn } from "../../src/run-store.ts";
import {
  accept,
  claim,
  expectAnswer,
  finish,
  isOver,
  retry,
  stop,
  upcoming,
  wake,
  type Ending,
} from "../../src/turns.ts";

const LEASE = 100;
const MAX_CRASHES = 2;
const WAITING: ReadonlySet<Ending["status"]> = new Set(["parked", "interrupted"]);
const GRAPHS = new Map([["g", { fingerprint: "f", pins: false }]]);

type Op =
  | {
      do: "accept";
      strategy: "reject" | "enqueue" | "interrupt" | "rollback";
      startIn: number;
      schedule: string | undefined;
    }
  | { do: "claim"; worker: number }
  | { do: "finish"; worker: number; ending: Ending["status"]; startIn: number }
  | { do: "stop"; run: number; request: "cancel" | "interrupt" | "rollback" }
  | { do: "retry"; run: number }
  | { do: "wake" }
  | { do: "expect" }
  | { do: "pass"; time: number };

const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record({
    do: fc.constant("accept" as const),
    strategy: fc.constantFrom("reject", "enqueue", "interrupt", "rollback"),
    startIn: fc.constantFrom(0, 0, 0, 150),
    schedule: fc.constantFrom(undefined, undefined, "s"),
  }),
  fc.record({ do: fc.constant("claim" as const), worker: fc.nat(2) }),
  fc.record({
    do: fc.constant("finish" as const),
    worker: fc.nat(2),
    ending: fc.constantFrom(
      ...(["completed", "failed", "cancelled", "parked", "interrupted", "queued"] as const),
    ),
    startIn: fc.constantFrom(0, 150),
  }),
  fc.record({
    do: fc.constant("stop" as const),
    run: fc.nat(5),
    request: fc.constantFrom("cancel", "interrupt", "rollback"),
  }),
  fc.record({ do: fc.constant("retry" as const), run: fc.nat(5) }),
  fc.constant({ do: "wake" as const }),
  fc.constant({ do: "expect" as const }),
  fc.record({ do: fc.constant("pass" as const), time: fc.constantFrom(10, 60, 200) }),
);

/** A thread in memory, and its workers, which believe what they were told last. */
class Model {
  now = 1_000;
  token = 0;
  lease: Turn["lease"];
  runs: RunRecord[] = [];
  readonly believe = new Map<number, { runId: string; token: number }>();
  /** Since when runs wait for a person. */
  readonly asked = new Map<string, number>();
  #claims = 0;

  turn(): Turn {
    const { now, token, lease } = this;
    return { now, token, lease, runs: this.runs.filter((run) => !isOver(run)) };
  }

  seeing(runId: string): Turn {
    const turn = this.turn();
    return { ...turn, runs: this.runs.filter((run) => !isOver(run) || run.runId === runId) };
  }

  apply<T>({ put = [], lease, result }: Decided<T>): T {
    for (const run of put) {
      const at = this.runs.findIndex(({ runId }) => runId === run.runId);
      // As in the database: while others are stored, two may not be at work.
      if (at < 0) this.runs.push({ ...run, seq: this.runs.length + 1 });
      else this.runs[at] = run;
      assert.ok(this.atWork().length <= 1, "two at work");
    }
    if (lease === "released") this.lease = undefined;
    else if (lease !== undefined) {
      this.lease = lease;
      this.token += 1;
    }
    return result;
  }

  atWork(): RunRecord[] {
    return this.runs.filter(({ status }) => status === "running" || status === "compensating");
  }

  do(each: Op): void {
    const before = structuredClone(this.runs);
    switch (each.do) {
      case "accept": {
        const runId = `r${this.runs.length}`;
        const run = {
          ...{ runId, threadId: "t", graph: "g", priority: 0, attempt: 0, crashes: 0 },
          // What a schedule fires is due at once.
          startAt:
            each.startIn === 0 || each.schedule !== undefined ? undefined : this.now + each.startIn,
          ...{ deadlineAt: this.now + 5_000, stop: undefined, reason: undefined },
          schedule: each.schedule,
        };
        const isActive = this.turn().runs.some(({ status }) => status !== "interrupted");
        const isAsked = this.turn().runs.some(({ status }) => status === "interrupted");
        try {
          this.apply(accept(this.turn(), run, each.strategy));
          assert.equal(isActive && each.strategy === "reject", false);
          // T7.
          assert.equal(isAsked && each.schedule !== undefined, false);
        } catch (error) {
          assert.ok(isHoldfastError(error, "RUN_ACTIVE"), String(error));
          assert.deepEqual(this.runs, before);
        }
        break;
      }
      case "claim": {
        const held = this.lease !== undefined && this.lease.expiresAt > this.now;
        const options = {
          ...{ owner: `w${each.worker}#${(this.#claims += 1)}`, graphs: GRAPHS },
          ...{ duration: LEASE, maxCrashes: MAX_CRASHES, isDead: () => false },
        };
        const { claimed } = this.apply(claim(this.turn(), options));
        if (claimed === undefined) break;
        // T1 and T2.
        assert.equal(held, false);
        assert.equal(claimed.lease.token, this.token);
        assert.deepEqual(this.atWork(), [claimed.run]);
        const isDue = ({ startAt = Infinity }: RunRecord): boolean => startAt <= this.now;
        const others = before.filter(({ runId }) => runId !== claimed.run.runId);
        const hasBegun = claimed.run.attempt > 1;
        const inTheWay = others.filter(
          ({ status, attempt, seq }) =>
            ((!hasBegun || seq < claimed.run.seq) && status === "parked") ||
            (!hasBegun && status === "queued" && attempt > 0),
        );
        assert.deepEqual(inTheWay, [], "a run that has begun was passed over");
        const earlier = others.filter(({ seq }) => seq < claimed.run.seq);
        for (const run of earlier.filter(({ status }) => status === "queued" && !hasBegun)) {
          assert.ok(!isDue(run), "an earlier run was passed over");
        }
        // T7.
        if (claimed.run.schedule !== undefined && claimed.run.attempt === 1) {
          const asking = before.filter(
            ({ status, runId }) => status === "interrupted" && runId !== claimed.run.runId,
          );
          assert.deepEqual(asking, [], "a schedule took the place of a question");
        }
        // T6.
        const was = before.find(({ runId }) => runId === claimed.run.runId);
        const since = this.asked.get(claimed.run.runId) ?? this.now;
        assert.equal(claimed.run.deadlineAt, (was?.deadlineAt ?? 0) + this.now - since);
        this.asked.delete(claimed.run.runId);
        this.believe.set(each.worker, { runId: claimed.run.runId, token: claimed.lease.token });
        break;
      }
      case "finish": {
        const believed = this.believe.get(each.worker);
        if (believed === undefined) break;
        this.believe.delete(each.worker);
        const isHolder = believed.token === this.token && this.lease !== undefined;
        const startAt = each.startIn === 0 ? undefined : this.now + each.startIn;
        const left = this.apply(
          finish(this.seeing(believed.runId), believed.runId, believed.token, {
            status: each.ending,
            startAt: each.ending === "queued" ? this.now : startAt,
            reason: WAITING.has(each.ending) ? `waits: ${each.ending}` : undefined,
          }),
        );
        // T3 and T4.
        assert.equal(left !== undefined, isHolder);
        if (!isHolder) assert.deepEqual(this.runs, before);
        else if (each.ending === "interrupted") this.asked.set(believed.runId, this.now);
        if (left?.stop !== undefined) assert.equal(isOver(left) || left.status === "queued", true);
        break;
      }
      case "stop": {
        const run = this.runs[each.run];
        if (run === undefined) break;
        this.apply(stop(this.seeing(run.runId), run.runId, each.request, "by hand"));
        if (isOver(run)) assert.deepEqual(this.runs, before);
        break;
      }
      case "retry": {
        const run = this.runs[each.run];
        if (run === undefined) break;
        try {
          this.apply(retry(this.seeing(run.runId), run.runId, 5_000));
          this.asked.delete(run.runId);
          assert.notEqual(run.status, "completed");
        } catch (error) {
          assert.ok(isHoldfastError(error, "INVALID_INPUT"), String(error));
          assert.deepEqual(this.runs, before);
        }
        break;
      }
      case "expect":
        this.apply(expectAnswer(this.turn(), 50));
        break;
      case "wake":
        this.apply(wake(this.turn()));
        break;
      case "pass":
        this.now += each.time;
    }
    // T8.
    for (const { status, reason } of this.runs) {
      if (reason?.startsWith("waits: ") === true) assert.equal(reason, `waits: ${status}`);
    }
    for (const run of before.filter(isOver)) {
      const now = this.runs.find(({ runId }) => runId === run.runId);
      if (each.do !== "retry") assert.deepEqual(now, run);
    }
  }

  /** A worker that does its duty, and a person who answers, bring everything to an end. */
  settle(): void {
    for (let i = 0; i < 200 && this.runs.some((run) => !isOver(run)); i += 1) {
      this.do({ do: "pass", time: 200 });
      this.do({ do: "wake" });
      this.do({ do: "claim", worker: 9 });
      this.do({ do: "finish", worker: 9, ending: "completed", startIn: 0 });
    }
  }
}

describe("what may become of runs", () => {
  it("keeps one writer, the order and the fence, and lets every run end, whatever happens", () => {
    fc.assert(
      fc.property(fc.array(op, { maxLength: 60, size: "max" }), (ops) => {
        const model = new Model();
        for (const each of ops) model.do(each);
        model.settle();
        expect(model.runs.filter((run) => !isOver(run))).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it("tells which run a worker could take next, and from when", () => {
    const some = fc.record({
      status: fc.constantFrom("queued", "parked", "interrupted", "running"),
      startAt: fc.option(fc.integer({ min: 90, max: 120 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(some, { maxLength: 5 }), (given) => {
        const model = new Model();
        for (const _ of given)
          model.do({ do: "accept", strategy: "enqueue", startIn: 0, schedule: undefined });
        const runs = given.map((each, i) => ({ ...model.runs[i], ...each }) as RunRecord);
        const now = 100;
        const claimed = (at: number): string | undefined =>
          claim(
            { now: at, token: 1, lease: undefined, runs },
            {
              ...{ owner: "w", graphs: GRAPHS, duration: LEASE, maxCrashes: MAX_CRASHES },
              isDead: () => false,
            },
          ).result.claimed?.run.runId;
        const next = upcoming(runs, now);
        if (runs.some(({ status }) => status === "running")) {
          expect(next).toBeUndefined();
          return;
        }
        const instants = Array.from({ length: 21 }, (_, i) => now + i);
        const at = instants.find((each) => claimed(each) !== undefined);
        expect(next?.at).toBe(at);
        if (at !== undefined) expect(next?.run.runId).toBe(claimed(at));
      }),
      { numRuns: 500 },
    );
  });

  it("goes on with a run that has begun before one that was accepted earlier for later", () => {
    const model = new Model();
    model.do({ do: "accept", strategy: "enqueue", startIn: 150, schedule: undefined });
    model.do({ do: "accept", strategy: "enqueue", startIn: 0, schedule: undefined });
    model.do({ do: "claim", worker: 1 });
    model.do({ do: "pass", time: 200 });
    model.do({ do: "claim", worker: 2 });
    expect(model.runs.map(({ status }) => status)).toEqual(["queued", "running"]);
    model.do({ do: "finish", worker: 2, ending: "parked", startIn: 150 });
    model.do({ do: "claim", worker: 1 });
    expect(model.runs.map(({ status }) => status)).toEqual(["queued", "parked"]);
  });

  it("gives up what kills its workers again and again", () => {
    const model = new Model();
    model.do({ do: "accept", strategy: "enqueue", startIn: 0, schedule: undefined });
    for (let crash = 0; crash <= MAX_CRASHES; crash += 1) {
      model.do({ do: "claim", worker: crash });
      expect(model.runs[0]).toMatchObject({ status: "running", crashes: crash });
      model.do({ do: "pass", time: 200 });
    }
    model.do({ do: "claim", worker: 1 });
    expect(model.runs[0]).toMatchObject({ status: "dead", crashes: MAX_CRASHES + 1 });
    expect(model.lease).toBeUndefined();
  });
});
