import { expect, it, vi } from "vitest";
import type { WorkflowStatus } from "../../../src/step-store.ts";
import { HOSTILE_IDS, type NewStepPlace } from "./place.ts";

const fresh = (threadId: string, now: number): WorkflowStatus => ({
  threadId,
  runId: undefined,
  workflowName: undefined,
  currentStep: undefined,
  attempt: undefined,
  startedAt: now,
  lastHeartbeat: now,
  progressPercent: undefined,
  progressNote: undefined,
  status: "running",
  errorMessage: undefined,
  waited: 0,
  worker: undefined,
});

export function statusTests(newPlace: NewStepPlace): void {
  it("begins with the first note, as running", async () => {
    const { clock, open } = await newPlace();
    const [one, other] = [open(), open()];
    expect(await one.status.read("t")).toBeUndefined();
    one.status.note("t", {});
    expect(await one.status.read("t")).toEqual(fresh("t", clock.now()));
    expect(await other.status.read("t")).toEqual(fresh("t", clock.now()));
  });

  it("keeps every field as it was noted last", async () => {
    const { clock, open } = await newPlace();
    const [one, other] = [open(), open()];
    const whole = {
      runId: "r\0",
      workflowName: "returns",
      currentStep: '"refund"',
      attempt: 2,
      startedAt: clock.now() - 5_000,
      progressPercent: 12.5,
      progressNote: "halb\ud800",
      status: "failed",
      errorMessage: 'broke "here"\0',
      waited: 60_000,
    } as const;
    one.status.note("t", whole);
    await one.status.flush();
    expect(await other.status.read("t")).toEqual({
      ...fresh("t", clock.now()),
      ...whole,
    });
    const startedAt = clock.now() - 5_000;
    await clock.advance(10);
    other.status.note("t", { currentStep: "ship", attempt: undefined, errorMessage: undefined });
    other.status.note("t", { status: "running", progressNote: "" });
    await other.status.flush();
    expect(await one.status.read("t")).toEqual({
      ...fresh("t", clock.now()),
      ...whole,
      startedAt,
      currentStep: "ship",
      attempt: undefined,
      errorMessage: undefined,
      status: "running",
      progressNote: "",
    });
  });

  it("is durable soon, without anybody asking", async () => {
    const { open } = await newPlace();
    const [one, other] = [open(), open()];
    for (let i = 0; i < 600; i += 1) one.status.note(`t${i}`, { currentStep: `n${i}` });
    one.status.note("t7", { currentStep: "later" });
    await vi.waitFor(async () => {
      expect((await other.status.read("t599"))?.currentStep).toBe("n599");
      expect((await other.status.read("t7"))?.currentStep).toBe("later");
    });
  });

  it("is listed, the latest first, all of it or by what threads do", async () => {
    const { clock, open } = await newPlace();
    const steps = open();
    for (const [i, status] of (["running", "parked", "running", "failed"] as const).entries()) {
      await clock.advance(1);
      steps.status.note(`t${i}`, { status });
      await steps.status.flush();
    }
    const listed = async (options?: Parameters<typeof steps.status.list>[0]) =>
      (await steps.status.list(options)).map(({ threadId }) => threadId);
    expect(await listed()).toEqual(["t3", "t2", "t1", "t0"]);
    expect(await listed({ status: "running" })).toEqual(["t2", "t0"]);
    expect(await listed({ status: "dead" })).toEqual([]);
    expect(await listed({ limit: 2 })).toEqual(["t3", "t2"]);
  });

  it("knows threads of any id", async () => {
    const { clock, open } = await newPlace();
    const [one, other] = [open(), open()];
    for (const id of HOSTILE_IDS) one.status.note(id, { currentStep: id });
    await one.status.flush();
    for (const id of HOSTILE_IDS) {
      expect(await other.status.read(id)).toEqual({
        ...fresh(id, clock.now()),
        currentStep: id,
      });
    }
    const listed = (await other.status.list()).map(({ threadId }) => threadId);
    expect(listed.toSorted()).toEqual(HOSTILE_IDS.toSorted());
  });
}
