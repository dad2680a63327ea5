import {
  Annotation,
  Command,
  END,
  START,
  StateGraph,
  interrupt,
  type LangGraphRunnableConfig,
} from "@langchain/langgraph";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import { isHoldfastError } from "../../src/errors.ts";
import { events, type HoldfastEvents } from "../../src/events.ts";
import { runToEnd } from "../../src/run/run-to-end.ts";
import { createRuntime } from "../../src/runtime/create-runtime.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import type { RuntimeOptions } from "../../src/runtime/types.ts";
import { durable } from "../../src/steps/durable.ts";
import { sleep } from "../../src/steps/sleep.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { PLACES, type Place } from "../support/places.ts";
import { execute } from "../support/raw-tables.ts";

const HOUR = 3_600_000;
const at = (text: string): number => Date.parse(text);
const MIDNIGHT = at("2026-01-01T00:00Z");

const State = Annotation.Root({
  topic: Annotation<string>(),
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});

type Metadata = { schedule?: string; scheduledAt?: string; team?: string };

/** Its second node sleeps where the topic says so, and its last one asks. */
function digest() {
  return new StateGraph(State)
    .addNode("note", (_: typeof State.State, config: LangGraphRunnableConfig) => {
      const { schedule, scheduledAt, team } = (config.metadata ?? {}) as Metadata;
      return { log: [`${schedule} ${scheduledAt} ${team}`] };
    })
    .addNode(
      "rest",
      durable.for(State)(async ({ topic }) => {
        if (topic.includes("tired")) await sleep(20 * HOUR);
        return { log: [topic] };
      }),
    )
    .addNode("ask", ({ topic }: typeof State.State) =>
      topic.includes("asked") ? { log: [`said ${interrupt("really?") as string}`] } : {},
    )
    .addEdge(START, "note")
    .addEdge("note", "rest")
    .addEdge("rest", "ask")
    .addEdge("ask", END)
    .compile();
}

describe.each(PLACES)("schedules on %s", (_, newPlace) => {
  let clock: ManualClock;
  let place: Place;
  const open: { runtime: Runtime; saver: HoldfastSaver }[] = [];
  const fired: (HoldfastEvents["schedule.fired"] & { heardAt: number })[] = [];
  const skipped: HoldfastEvents["schedule.skipped"][] = [];

  async function begin(options: Partial<RuntimeOptions> = {}): Promise<Runtime> {
    clock = new ManualClock(MIDNIGHT);
    place = await newPlace();
    fired.length = 0;
    skipped.length = 0;
    onTestFinished(
      events.on("schedule.fired", (event) => {
        fired.push({ ...event, heardAt: clock.now() });
      }),
    );
    onTestFinished(events.on("schedule.skipped", (event) => void skipped.push(event)));
    return another(options);
  }

  /** With connections of its own. */
  function another(options: Partial<RuntimeOptions> = {}): Runtime {
    const saver = place.open({ clock });
    const runtime = createRuntime({
      saver,
      graphs: { digest: digest() },
      worker: false,
      ...options,
    });
    open.push({ runtime, saver });
    return runtime;
  }

  /** One that looks around seldom: an instant wakes it by itself. */
  async function work(runtime: Runtime): Promise<void> {
    await runtime.worker({ pollInterval: HOUR / 2, leaseDuration: 10 * HOUR }).start();
  }

  async function until(check: () => unknown): Promise<void> {
    await clock.runUntil(expect.poll(check, { timeout: 20_000 }).toBe(true));
  }

  const states = async (runtime: Runtime): Promise<string[]> =>
    (await runtime.runs()).map(({ runId, status }) => `${runId} ${status}`).toReversed();

  afterEach(async () => {
    for (const { runtime, saver } of open.splice(0)) {
      await runtime.close();
      await saver.end();
    }
  });

  it("fire at their instants, each on a thread of its own", async () => {
    const runtime = await begin();
    const schedule = await runtime.schedule(
      "daily",
      "0 9 * * *",
      "digest",
      { topic: "kelp" },
      { zone: "Europe/Berlin", priority: 3, metadata: { team: "sea" } },
    );
    expect(schedule).toEqual({
      ...{ name: "daily", cron: "0 9 * * *", zone: "Europe/Berlin", graph: "digest" },
      ...{ missed: "once", paused: false, nextAt: at("2026-01-01T08:00Z") },
      ...{ lastAt: undefined, lastRun: undefined, createdAt: MIDNIGHT, updatedAt: MIDNIGHT },
    });
    await work(runtime);
    await until(() => fired.length >= 2);
    const instants = ["2026-01-01T08:00:00Z", "2026-01-02T08:00:00Z"];
    const runId = `cron:daily:${instants[0]}`;
    expect((await runtime.runs({ schedule: "daily" })).at(-1)).toMatchObject({ runId });
    expect(await runtime.runs({ schedule: "weekly" })).toEqual([]);
    expect(fired.slice(0, 2)).toEqual(
      instants.map((text) => ({
        ...{ schedule: "daily", graph: "digest", scheduledAt: at(text), heardAt: at(text) },
        ...{ runId: `cron:daily:${text}`, threadId: `cron:daily:${text}` },
      })),
    );
    expect(await runtime.result(runId)).toMatchObject({
      status: "completed",
      values: { topic: "kelp", log: ["daily 2026-01-01T08:00:00.000Z sea", "kelp"] },
    });
    expect(await runtime.run(runId)).toMatchObject({ schedule: "daily", priority: 3 });
    const lastAt = (await runtime.schedules())[0]?.lastAt ?? NaN;
    expect(lastAt).toBeGreaterThan(at("2026-01-01"));
    const lastRun = `cron:daily:${new Date(lastAt).toISOString().replace(".000Z", "Z")}`;
    const nextAt = lastAt + 24 * HOUR;
    expect(await runtime.schedules()).toEqual([{ ...schedule, nextAt, lastAt, lastRun }]);
  });

  it("fire each instant once, however many workers there are", async () => {
    const runtimes = [await begin(), another(), another(), another()];
    const [runtime] = runtimes as [Runtime];
    for (const name of ["a", "b"]) {
      // Time leaps while a database is asked.
      const options = { missed: "all" as const };
      await runtime.schedule(name, "*/10 * * * *", "digest", { topic: name }, options);
    }
    await Promise.all(runtimes.map(work));
    await until(async () =>
      (await runtime.schedules()).every(({ nextAt = 0 }) => nextAt > MIDNIGHT + 2 * HOUR),
    );
    for (const name of ["a", "b"]) await runtime.pauseSchedule(name);
    await until(async () => (await runtime.runs({ status: "queued" })).length === 0);
    const runs = await runtime.runs({ limit: 10_000 });
    const expected = ["a", "b"].flatMap((name) =>
      Array.from({ length: 12 }, (_each, i) => {
        const instant = new Date(MIDNIGHT + (i + 1) * 600_000).toISOString();
        return `cron:${name}:${instant.replace(".000Z", "Z")}`;
      }),
    );
    const found = runs.map(({ runId }) => runId).filter((id) => expected.includes(id));
    expect(found.toSorted()).toEqual(expected.toSorted());
    expect(new Set(fired.map(({ runId }) => runId)).size).toBe(fired.length);
    expect(fired).toHaveLength(runs.length);
    expect(skipped).toEqual([]);
  });

  it.each([
    ["skip", [], "2026-01-01T00:10:00Z 2026-01-01T02:50:00Z"],
    ["once", ["02:50"], "2026-01-01T00:10:00Z 2026-01-01T02:40:00Z"],
    ["all", ["00:10", "00:20", "02:40", "02:50"], ""],
  ] as const)("that were missed: %s", async (missed, expected, left) => {
    const declared = await begin();
    await declared.schedule("s", "10,20,40,50 0,2 * * *", "digest", { topic: "x" }, { missed });
    await clock.advance(2 * HOUR + 55 * 60_000);
    // Those of 00:40, 00:50, 02:10 and 02:20 are missed, too.
    await work(declared);
    await until(async () => ((await declared.schedules())[0]?.nextAt ?? 0) > clock.now());
    const begun = fired.map(({ scheduledAt: instant }) =>
      new Date(instant).toISOString().slice(11, 16),
    );
    if (missed === "all") {
      expect(begun).toEqual(
        ["00", "02"].flatMap((hour) => ["10", "20", "40", "50"].map((m) => `${hour}:${m}`)),
      );
    } else expect(begun).toEqual(expected);
    const said = skipped.map((event) =>
      [event.scheduledAt, event.untilAt]
        .map((t) => new Date(t).toISOString().replace(".000Z", "Z"))
        .join(" "),
    );
    expect(said.join()).toBe(left);
    expect((await declared.schedules())[0]?.nextAt).toBe(at("2026-01-02T00:10Z"));
  });

  it("with much to catch up with keep no other waiting", async () => {
    const runtime = await begin();
    await runtime.schedule("busy", "* * * * * *", "digest", { topic: "x" }, { missed: "all" });
    await runtime.schedule("rare", "0 2 * * *", "digest", { topic: "y" }, { missed: "all" });
    await clock.advance(2 * HOUR);
    await work(runtime);
    await expect
      .poll(() => fired.find(({ schedule }) => schedule === "rare")?.scheduledAt, {
        timeout: 20_000,
      })
      .toBe(at("2026-01-01T02:00Z"));
    const { length } = fired.filter(({ schedule }) => schedule === "busy");
    expect(length).toBeLessThanOrEqual(100);
    expect(fired.slice(0, 2).map(({ scheduledAt: instant }) => instant)).toEqual([
      ...[MIDNIGHT + 1_000, MIDNIGHT + 2_000],
    ]);
  });

  it("go on where they were when they are declared again, unless it is for other instants", async () => {
    const runtime = await begin();
    const first = await runtime.schedule("s", "0 * * * *", "digest", { topic: "old" });
    await clock.advance(HOUR + 5_000);
    const both = [runtime, another()];
    const again = await Promise.all(
      [...both, ...both].map((each) =>
        each.schedule("s", " 0  * * * *", "digest", { topic: "new" }, { threadId: "t" }),
      ),
    );
    for (const each of again) {
      expect(each).toMatchObject({ nextAt: first.nextAt, createdAt: MIDNIGHT });
    }
    expect(await runtime.schedules()).toHaveLength(1);
    await work(runtime);
    await until(async () => (await runtime.runs({ status: "completed" })).length >= 1);
    expect(await runtime.state("t")).toMatchObject({ topic: "new" });
    const other = await runtime.schedule("s", "30 * * * *", "digest", { topic: "new" });
    expect(other.lastAt).toBe(first.nextAt);
    expect((other.nextAt ?? 0) - clock.now()).toBeLessThanOrEqual(HOUR);
    expect((other.nextAt ?? 0) % HOUR).toBe(HOUR / 2);
    const zone = "Asia/Kolkata";
    const elsewhere = await runtime.schedule("s", "30 * * * *", "digest", {}, { zone });
    expect(elsewhere.zone).toBe(zone);
    expect((elsewhere.nextAt ?? 0) % HOUR).toBe(0);
  });

  it("fire nothing while they are paused, and nothing of that time later", async () => {
    const runtime = await begin();
    await runtime.schedule("s", "0 * * * *", "digest", { topic: "x" }, { missed: "all" });
    expect(await runtime.pauseSchedule("s")).toMatchObject({ paused: true });
    await work(runtime);
    await clock.advance(3 * HOUR);
    // Who deploys does not undo what somebody else has paused.
    const again = await runtime.schedule("s", "0 * * * *", "digest", { topic: "x" });
    expect(again).toMatchObject({ paused: true });
    expect(await runtime.resumeSchedule("s")).toMatchObject({
      ...{ paused: false, nextAt: at("2026-01-01T04:00Z") },
    });
    await until(() => fired.length > 0);
    expect(fired[0]).toMatchObject({ scheduledAt: at("2026-01-01T04:00Z") });
    expect(await runtime.pauseSchedule("s")).toEqual(await runtime.pauseSchedule("s"));
    await expect(runtime.pauseSchedule("nobody")).rejects.toThrow(/no schedule "nobody"/);
    await expect(runtime.resumeSchedule("nobody")).rejects.toThrow(/no schedule "nobody"/);
  });

  it("are gone when they are removed", async () => {
    const runtime = await begin();
    await runtime.schedule("s", "0 * * * *", "digest", { topic: "x" });
    await runtime.schedule("other", "0 1 * * *", "digest", { topic: "x" });
    expect(await runtime.unschedule("s")).toBe(true);
    expect(await runtime.unschedule("s")).toBe(false);
    await work(runtime);
    await until(() => fired.length > 0);
    expect(await states(runtime)).toEqual([expect.stringMatching(/^cron:other:/)]);
  });

  it("wait for a worker that has their graph", async () => {
    const declaring = await begin({ graphs: { rare: digest() } });
    await declaring.schedule("s", "0 * * * *", "rare", { topic: "x" });
    const other = another();
    await other.schedule("known", "0 * * * *", "digest", { topic: "x" });
    await work(other);
    await until(() => fired.length >= 2);
    expect(new Set(fired.map(({ schedule }) => schedule))).toEqual(new Set(["known"]));
    expect(await other.schedules()).toMatchObject([
      { name: "known" },
      { name: "s", nextAt: at("2026-01-01T01:00Z") },
    ]);
    await work(declaring);
    await until(() => fired.some(({ schedule }) => schedule === "s"));
    expect(skipped.find(({ schedule }) => schedule === "s")).toMatchObject({ reason: "missed" });
  });

  it("queue on a thread that is at work, or leave it to that", async () => {
    const runtime = await begin();
    await runtime.start("digest", { topic: "tired" }, { threadId: "t", runId: "r" });
    await runtime.schedule("queues", "30 0 1 1 *", "digest", { topic: "q" }, { threadId: "t" });
    const options = { threadId: "t", multitaskStrategy: "reject" as const };
    await runtime.schedule("yields", "40 0 1 1 *", "digest", { topic: "y" }, options);
    await work(runtime);
    await until(async () => (await runtime.runs({ status: "completed" })).length === 2);
    expect(await states(runtime)).toEqual([
      "r completed",
      "cron:queues:2026-01-01T00:30:00Z completed",
    ]);
    expect(skipped).toEqual([
      {
        ...{ schedule: "yields", graph: "digest", threadId: "t" },
        ...{ scheduledAt: at("2026-01-01T00:40Z"), untilAt: at("2026-01-01T00:40Z") },
        reason: expect.stringMatching(
          /^Run "\S+" of thread "t" is (running|parked|queued)/,
        ) as string,
      },
    ]);
  });

  it("take the place of no question", async () => {
    const runtime = await begin();
    await runtime.start("digest", { topic: "asked" }, { threadId: "t", runId: "r" });
    const options = { threadId: "t", multitaskStrategy: "rollback" as const };
    await runtime.schedule("s", "0 * * * *", "digest", { topic: "cron" }, options);
    await work(runtime);
    const said = 'Run "r" of thread "t" is interrupted';
    await until(() => skipped.filter(({ reason }) => reason.startsWith(said)).length >= 2);
    expect(fired).toEqual([]);
    expect(await runtime.run("r")).toMatchObject({ status: "interrupted" });
    await runtime.resume("t", "yes");
    // While time stands still, or what is fired would roll it back.
    await expect.poll(async () => (await runtime.run("r")).status).toBe("completed");
    expect((await runtime.state("t"))["log"]).toContain("said yes");
    await until(() => fired.length > 0);
  });

  it("that are queued when a person is asked wait until that is over", async () => {
    const runtime = await begin();
    await runtime.start("digest", { topic: "tired asked" }, { threadId: "t", runId: "r" });
    await runtime.schedule("s", "30 0 1 1 *", "digest", { topic: "cron" }, { threadId: "t" });
    await work(runtime);
    await until(() => fired.length >= 1);
    const runId = "cron:s:2026-01-01T00:30:00Z";
    await until(async () => (await runtime.run("r")).status === "interrupted");
    expect(await runtime.run(runId)).toMatchObject({ status: "queued", startAt: undefined });
    expect(
      await runtime.saver.steps.queue?.due({ graphs: [{ name: "digest" }], limit: 10 }),
    ).toEqual([]);
    // Time alone changes nothing.
    await clock.advance(5 * HOUR);
    expect(await runtime.run("r")).toMatchObject({ status: "interrupted" });
    await runtime.resume("t", "yes");
    await until(async () => (await runtime.run(runId)).status === "completed");
    expect((await runtime.state("t"))["log"]).toEqual([
      ...[expect.any(String), "tired asked", "said yes"],
      ...[expect.stringMatching(/^s 2026-01-01T00:30/), "cron"],
    ]);
  });

  it("pass nothing that a thread waits for which no runtime runs", async () => {
    const runtime = await begin();
    const config = { configurable: { thread_id: "t" } };
    const graph = digest();
    graph.checkpointer = runtime.saver;
    expect(await runToEnd(graph, { topic: "asked" }, config)).toMatchObject({
      status: "interrupted",
    });
    await runtime.schedule("s", "0 * * * *", "digest", { topic: "cron" }, { threadId: "t" });
    await work(runtime);
    await until(() => skipped.length >= 1);
    expect(skipped[0]).toMatchObject({ reason: 'Thread "t" waits for a person.' });
    await graph.invoke(new Command({ resume: "yes" }), config);
    await until(() => fired.length >= 1);
    await until(async () => (await runtime.runs({ status: "completed" })).length >= 1);
    const { log } = (await runtime.state("t")) as { log: string[] };
    expect(log.slice(0, 5)).toEqual([
      ...[expect.any(String), "asked", "said yes"],
      ...[expect.stringMatching(/^s 2026-01-01T/), "cron"],
    ]);
  });

  it("go on with a thread whose question was cancelled", async () => {
    const runtime = await begin();
    await runtime.start("digest", { topic: "asked" }, { threadId: "t", runId: "r" });
    await work(runtime);
    await until(async () => (await runtime.run("r")).status === "interrupted");
    await runtime.cancel("r");
    await until(async () => (await runtime.run("r")).status === "cancelled");
    await runtime.schedule("s", "0 * * * *", "digest", { topic: "cron" }, { threadId: "t" });
    await until(() => fired.length + skipped.length >= 1);
    expect(skipped).toEqual([]);
    await until(async () => (await runtime.runs({ status: "completed" })).length > 0);
  });

  it("have any name that is not too long, and fire under it", async () => {
    const runtime = await begin();
    const names = [
      ...'nul\0nul|\ud800lone|"quoted"|\'; DROP TABLE runs; --|__proto__|ünï😀| |../x'.split("|"),
      "x".repeat(150),
    ];
    for (const name of names) await runtime.schedule(name, "0 1 1 1 *", "digest", { topic: name });
    await work(runtime);
    await until(() => fired.length === names.length);
    expect(fired.map(({ schedule }) => schedule).toSorted()).toEqual(names.toSorted());
    expect((await runtime.schedules()).map(({ name }) => name)).toEqual(names.toSorted());
    for (const name of names) {
      const runId = `cron:${name}:2026-01-01T01:00:00Z`;
      await until(async () => (await runtime.run(runId)).status === "completed");
      expect(await runtime.run(runId)).toMatchObject({ schedule: name });
      expect(await runtime.unschedule(name)).toBe(true);
    }
  });

  it("are refused where they make no sense", async () => {
    const runtime = await begin();
    const put = (name: unknown, input: unknown = {}, options: object = {}, cron = "0 9 * * *") =>
      runtime.schedule(name as string, cron, "digest", input, options);
    for (const name of ["", "x".repeat(151), "long\0".repeat(2_000), 7, undefined]) {
      await expect(put(name)).rejects.toThrow(
        /^The name of a schedule is a text of 1 to 150.{0,200}$/s,
      );
    }
    const wrong: [object, RegExp][] = [
      [{ zone: "Mars" }, /no time zone "Mars"/],
      [{ missed: "never" }, /missed of a schedule is "skip" or "once" or "all", not "never"/],
      [{ threadId: "" }, /threadId/],
      [{ priority: 0.5 }, /priority/],
      [{ deadline: -1 }, /deadline/],
      [{ deadline: NaN }, /deadline/],
      [{ stepLimit: 0 }, /stepLimit/],
      [{ multitaskStrategy: "wait" }, /multitaskStrategy/],
      [{ metadata: "x" }, /metadata/],
    ];
    for (const [options, message] of wrong) {
      await expect(put("s", {}, options)).rejects.toThrow(message);
    }
    for (const input of [null, undefined, new Command({ resume: "yes" })]) {
      await expect(put("s", input === undefined ? null : input)).rejects.toThrow(
        /input that is data/,
      );
    }
    await expect(put("s", {}, {}, "0 0 31 2 *")).rejects.toThrow(/never comes/);
    await expect(put("s", { topic: () => "x" })).rejects.toSatisfy((error) =>
      isHoldfastError(error, "UNSERIALIZABLE"),
    );
    await expect(put("s", { topic: () => "x" })).rejects.toThrow(
      /function.*schedule\.input\.topic/,
    );
    await expect(runtime.schedule("s", "@daily", "nobody", {})).rejects.toThrow(
      /no graph "nobody"/,
    );
    expect(await runtime.schedules()).toEqual([]);
  });

  it("that cannot be fired keep no other from it", async () => {
    const runtime = await begin();
    const troubles: unknown[] = [];
    onTestFinished(events.on("worker.troubled", ({ error }) => void troubles.push(error)));
    await runtime.schedule("broken", "0 1 * * *", "digest", { topic: "x" });
    await runtime.schedule("sound", "0 1 * * *", "digest", { topic: "x" });
    const text = "'{'";
    await execute(
      place.url,
      (table) => `UPDATE ${table("schedules")} SET details = ${text} WHERE name = 'broken'`,
    );
    await work(runtime);
    await until(() => fired.length >= 1);
    await until(() => troubles.length > 0);
    expect(fired[0]).toMatchObject({ schedule: "sound" });
    expect(await runtime.unschedule("broken")).toBe(true);
  });
});
