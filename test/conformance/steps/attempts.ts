import { expect, it, vi } from "vitest";
import type { AttemptsRecord, TaskAddress } from "../../../src/step-store.ts";
import { HOSTILE_IDS, type NewStepPlace } from "./place.ts";

const task = (more: Partial<TaskAddress> = {}): TaskAddress => ({
  threadId: "t",
  namespace: "",
  checkpointId: "c",
  taskId: "k",
  ...more,
});

const record = (more: Partial<AttemptsRecord> = {}): AttemptsRecord => ({
  failed: 1,
  startedAt: 1_000,
  ...more,
});

export function attemptTests(newPlace: NewStepPlace): void {
  it("are there, for everyone, once they are written", async () => {
    const { open } = await newPlace();
    const [one, other] = [open(), open()];
    expect(await one.attempts.read(task())).toBeUndefined();
    const whole = record({
      failed: 3,
      running: { attempt: 4, process: "p", startedAt: 5 },
      nextAttemptAt: 6_000,
      error: { name: "E", message: "broke\0 \ud800", kind: "server", at: 7 },
      exhausted: true,
      waited: 8,
    });
    await one.attempts.write(task(), whole);
    expect(await other.attempts.read(task())).toEqual(whole);
    await other.attempts.write(task(), record({ failed: 4 }));
    expect(await one.attempts.read(task())).toEqual(record({ failed: 4 }));
    await one.attempts.write(task(), null);
    expect(await other.attempts.read(task())).toBeUndefined();
    await one.attempts.write(task(), null);
  });

  it("that are noted are there at once for who noted, and soon for everyone", async () => {
    const { open } = await newPlace();
    const [one, other] = [open(), open()];
    for (let failed = 1; failed <= 5; failed += 1) one.attempts.note(task(), record({ failed }));
    expect(await one.attempts.read(task())).toEqual(record({ failed: 5 }));
    await vi.waitFor(async () =>
      expect(await other.attempts.read(task())).toEqual(record({ failed: 5 })),
    );
    one.attempts.note(task(), null);
    expect(await one.attempts.read(task())).toBeUndefined();
    await vi.waitFor(async () => expect(await other.attempts.read(task())).toBeUndefined());
  });

  it("are as they were last told, noted or written", async () => {
    const { open } = await newPlace();
    const [one, other] = [open(), open()];
    one.attempts.note(task(), record({ failed: 1 }));
    const written = one.attempts.write(task(), record({ failed: 2 }));
    await written;
    expect(await other.attempts.read(task())).toEqual(record({ failed: 2 }));
    const writing = one.attempts.write(task(), record({ failed: 3 }));
    one.attempts.note(task(), record({ failed: 4 }));
    await writing;
    await vi.waitFor(async () =>
      expect(await other.attempts.read(task())).toEqual(record({ failed: 4 })),
    );
  });

  it("are apart by thread, namespace, checkpoint and task, whatever these look like", async () => {
    const { open } = await newPlace();
    const [one, other] = [open(), open()];
    const fields = ["threadId", "namespace", "checkpointId", "taskId"] as const;
    const tasks = [task()];
    for (const field of fields) for (const id of HOSTILE_IDS) tasks.push(task({ [field]: id }));
    for (const id of HOSTILE_IDS)
      tasks.push({ threadId: id, namespace: id, checkpointId: id, taskId: id });
    await Promise.all(tasks.map((one, i) => open().attempts.write(one, record({ failed: i }))));
    const found = await Promise.all(tasks.map((task) => other.attempts.read(task)));
    expect(found.map((found) => found?.failed)).toEqual(tasks.map((_, i) => i));
    await one.attempts.write(tasks[3] as TaskAddress, null);
    const left = await Promise.all(tasks.map((task) => other.attempts.read(task)));
    expect(left.filter((found) => found === undefined)).toHaveLength(1);
  });

  it("are copies", async () => {
    const { open } = await newPlace();
    const steps = open();
    const mine = record();
    steps.attempts.note(task(), mine);
    mine.failed = 7;
    const read = await steps.attempts.read(task());
    expect(read).toEqual(record());
    Object.assign(read ?? {}, { failed: 8 });
    expect(await steps.attempts.read(task())).toEqual(record());
  });
}
